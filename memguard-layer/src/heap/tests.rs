//! Each call counts what it changes, and nothing else.

use std::{
    ptr,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicPtr},
    thread,
};

use super::*;

/// The counters belong to the process, so one test at a time may count.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn counted() -> u64 {
    allocated().unwrap_or(0)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// An allocator that has no memory left.
struct Exhausted;

// SAFETY: failing is always allowed; nothing is ever handed out, so `dealloc` is never called.
unsafe impl GlobalAlloc for Exhausted {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {
        unreachable!("nothing was handed out");
    }

    unsafe fn realloc(&self, _: *mut u8, _: Layout, _: usize) -> *mut u8 {
        ptr::null_mut()
    }
}

#[test]
fn every_call_counts_what_it_changes() {
    let _alone = alone();
    let heap = Heap::new();
    let start = counted();
    // SAFETY: sizes are not zero, and each block is used with the layout it has at the time.
    unsafe {
        let block = heap.alloc(layout(1000));
        assert_eq!(counted(), start + 1000);
        block.write_bytes(7, 1000);
        let block = heap.realloc(block, layout(1000), 5000);
        assert_eq!(counted(), start + 5000);
        assert!(
            (0..1000).all(|i| *block.add(i) == 7),
            "growing keeps the contents"
        );
        let block = heap.realloc(block, layout(5000), 10);
        assert_eq!(counted(), start + 10);
        let zeroed = heap.alloc_zeroed(layout(300));
        assert_eq!(counted(), start + 310);
        assert!((0..300).all(|i| *zeroed.add(i) == 0));
        heap.dealloc(block, layout(10));
        heap.dealloc(zeroed, layout(300));
    }
    assert_eq!(counted(), start);
}

#[test]
fn what_failed_does_not_count() {
    let _alone = alone();
    let heap = Heap::with(Exhausted);
    let start = counted();
    let mut kept = [1_u8; 16];
    // SAFETY: sizes are not zero; `Exhausted` does not touch the block it is asked to move.
    unsafe {
        assert!(heap.alloc(layout(1000)).is_null());
        assert!(heap.alloc_zeroed(layout(1000)).is_null());
        assert!(heap.realloc(kept.as_mut_ptr(), layout(16), 1000).is_null());
    }
    assert_eq!(counted(), start);
}

#[test]
fn blocks_may_be_freed_on_other_threads_and_after_theirs_ended() {
    let _alone = alone();
    let start = counted();
    let blocks: Vec<AtomicPtr<u8>> = (0..100)
        .map(|i| {
            thread::spawn(move || {
                // SAFETY: the size is not zero.
                AtomicPtr::new(unsafe { Heap::new().alloc(layout(64 + i)) })
            })
            .join()
            .unwrap()
        })
        .collect();
    assert_eq!(counted(), start + (0..100).map(|i| 64 + i).sum::<u64>());
    for (i, block) in blocks.into_iter().enumerate() {
        // SAFETY: allocated above by the same allocator with the same layout, and freed once.
        unsafe { Heap::new().dealloc(block.into_inner(), layout(64 + i)) };
    }
    assert_eq!(counted(), start);
}

#[test]
fn a_deficit_reads_as_nothing() {
    let _alone = alone();
    let start = counted();
    count(-signed(usize::try_from(start).unwrap()) - 100);
    assert_eq!(allocated(), Some(0));
    count(signed(usize::try_from(start).unwrap()) + 100);
    assert_eq!(counted(), start);
}

#[test]
fn the_peak_stays_when_what_made_it_is_gone() {
    let _alone = alone();
    let noting = Heap::new().with_peak();
    let quiet = Heap::new();
    let grow = |heap: &Heap, from: usize, to: usize| {
        // SAFETY: sizes are not zero, and the block is used with the layout it has at the time.
        unsafe {
            let block = heap.alloc(layout(from));
            let block = heap.realloc(block, layout(from), to);
            heap.dealloc(block, layout(to));
        }
    };
    grow(&noting, 1, 8192);
    reset_peak();
    let start = counted();
    let above = |peak: u64| peak - start;
    assert!(above(peak().unwrap()) <= 1, "reset to what is allocated");
    grow(&noting, 5000, 10_000);
    assert_eq!(above(peak().unwrap()), 10_000);
    grow(&noting, 50_000, 60);
    assert_eq!(above(peak().unwrap()), 50_000);
    grow(&noting, 20_000, 30_000);
    grow(&quiet, 80_000, 90_000);
    assert_eq!(
        above(peak().unwrap()),
        50_000,
        "the highest, and only if it is asked for"
    );
    let small: Vec<_> = (0..1000)
        // SAFETY: the size is not zero.
        .map(|_| unsafe { noting.alloc(layout(64)) })
        .collect();
    reset_peak();
    let more: Vec<_> = (0..1000)
        // SAFETY: the size is not zero.
        .map(|_| unsafe { noting.alloc(layout(64)) })
        .collect();
    for block in small.into_iter().chain(more) {
        // SAFETY: allocated above by the same allocator with the same layout, and freed once.
        unsafe { noting.dealloc(block, layout(64)) };
    }
    let seen = above(peak().unwrap());
    assert!((128_000 - 4096..=128_000).contains(&seen), "{seen}");
    assert_eq!(counted(), start);
}
