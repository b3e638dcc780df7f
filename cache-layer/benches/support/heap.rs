//! What the heap holds, counted by the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A slot for each thread, on cache lines of its own: threads do not slow each other by being counted.
#[repr(align(128))]
struct Slot {
    allocations: AtomicU64,
    live: AtomicI64,
}

const SLOTS: usize = 64;

static COUNTS: [Slot; SLOTS] = [const {
    Slot {
        allocations: AtomicU64::new(0),
        live: AtomicI64::new(0),
    }
}; SLOTS];

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn mine() -> &'static Slot {
    // A thread that ends may free after its own values are gone.
    let slot = MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(THREADS.fetch_add(1, Relaxed) % SLOTS);
        }
        mine.get()
    });
    &COUNTS[slot.unwrap_or(0)]
}

struct Counting;

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let slot = mine();
        slot.allocations.fetch_add(1, Relaxed);
        slot.live.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        mine().live.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations made so far.
pub fn allocations() -> u64 {
    let each = COUNTS.iter().map(|slot| slot.allocations.load(Relaxed));
    each.sum()
}

/// Bytes held now.
pub fn live() -> i64 {
    COUNTS.iter().map(|slot| slot.live.load(Relaxed)).sum()
}
