//! The counting allocator: what the process has allocated and not freed, exact to the byte.
//!
//! Each thread adds to one of 64 counters, each alone on its cache lines, so threads do not contend; whoever wants the
//! total sums them. A counter is an accumulator and not a balance: a block allocated on one thread and freed on another
//! leaves one counter high and another negative, and only the sum has a meaning. Nothing is lost when a thread ends.

#![expect(
    unsafe_code,
    reason = "`GlobalAlloc` is an unsafe trait, which nothing else of the crate implements"
)]

#[cfg(test)]
mod tests;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fmt,
    sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed},
};

const SLOTS: usize = 64;

/// Two lines of 64 bytes, since processors fetch them in pairs.
#[repr(align(128))]
struct Slot(AtomicIsize);

static COUNTED: [Slot; SLOTS] = [const { Slot(AtomicIsize::new(0)) }; SLOTS];

/// Threads that have allocated so far; zero means that no [`Heap`] is at work.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The highest total that a look for the peak has seen.
static PEAK: AtomicIsize = AtomicIsize::new(0);

/// A slot that grows past a multiple of this looks for the peak; a power of two.
const PEAK_STEP: isize = 4096;

thread_local! {
    // A constant without a destructor: reading it neither allocates nor fails while the thread ends.
    static SLOT: Cell<Option<&'static Slot>> = const { Cell::new(None) };
}

/// A counting allocator over `A`: every byte handed out is counted, every byte taken back is subtracted.
///
/// Installed as the global allocator it makes the guard exact, for about a nanosecond per allocation:
///
/// ```
/// use memguard_layer::{Heap, heap};
///
/// #[global_allocator]
/// static HEAP: Heap = Heap::new();
///
/// # fn main() {
/// let before = heap::allocated().expect("a Heap is installed");
/// let block = vec![0_u8; 1 << 20];
/// assert!(heap::allocated().unwrap() >= before + (1 << 20));
/// # drop(block);
/// # }
/// ```
///
/// Over another allocator: `static HEAP: Heap<Jemalloc> = Heap::with(Jemalloc);`. With [`with_peak`](Self::with_peak) it
/// notes the highest total too. The counters belong to the process;
/// several `Heap`s count into the same total. What is counted is what was asked for, without the allocator's rounding
/// and without memory it keeps for later. The target must have native thread-locals, as Linux, macOS and Windows (MSVC)
/// have: elsewhere the standard library allocates them, which would ask this allocator while it answers.
pub struct Heap<A = System> {
    inner: A,
    /// A constant in a `static`, so without it the compiler leaves the look for the peak out.
    tracks_peak: bool,
}

impl Heap {
    /// Counts over the system's allocator.
    #[must_use]
    pub const fn new() -> Self {
        Self::with(System)
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl<A> Heap<A> {
    /// Counts over `inner`.
    #[must_use]
    pub const fn with(inner: A) -> Self {
        Self {
            inner,
            tracks_peak: false,
        }
    }

    /// Notes the highest total as well, for [`peak`]: `static HEAP: Heap = Heap::new().with_peak();`.
    ///
    /// Sums the counters for each 4 KiB that a thread's total grows by: a few nanoseconds more per allocation.
    #[must_use]
    pub const fn with_peak(mut self) -> Self {
        self.tracks_peak = true;
        self
    }

    #[inline]
    fn grew(&self, bytes: usize) {
        let bytes = signed(bytes);
        let before = count(bytes);
        if self.tracks_peak && (before ^ before.wrapping_add(bytes)) & -PEAK_STEP != 0 {
            look_for_peak();
        }
    }
}

impl<A> fmt::Debug for Heap<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("allocated", &allocated())
            .finish_non_exhaustive()
    }
}

/// Bytes allocated and not freed at this moment, or `None` if no [`Heap`] is installed.
///
/// Takes some 15 ns and no lock. Threads that allocate during the call may or may not be seen.
#[must_use]
pub fn allocated() -> Option<u64> {
    // Below zero only if a block was freed behind the reader and allocated ahead of it: then the truth is small.
    (THREADS.load(Relaxed) > 0).then(|| u64::try_from(total()).unwrap_or(0))
}

/// The most bytes ever allocated at once, or since [`reset_peak`]; `None` if no [`Heap`] notes it.
///
/// Between two looks a thread's total grows by less than 4 KiB, so the peak is low by less than that for each thread
/// that allocates (of 64 at most). One thread's growth is seen at once if it is that large.
#[must_use]
pub fn peak() -> Option<u64> {
    let peak = PEAK.load(Relaxed);
    (peak > 0).then(|| u64::try_from(peak.max(total())).unwrap_or(0))
}

/// Forgets the peak so far: from here on it is what is allocated now, or becomes so.
pub fn reset_peak() {
    if PEAK.load(Relaxed) > 0 {
        PEAK.store(total().max(1), Relaxed);
    }
}

fn total() -> isize {
    let threads = THREADS.load(Relaxed);
    COUNTED[..threads.min(SLOTS)]
        .iter()
        .map(|slot| slot.0.load(Relaxed))
        .sum()
}

/// Adds to this thread's counter, and returns what it held before.
#[inline]
fn count(bytes: isize) -> isize {
    let slot = SLOT.get().unwrap_or_else(assign);
    slot.0.fetch_add(bytes, Relaxed)
}

#[cold]
fn look_for_peak() {
    // The lower of two readings: a reader held up midway may have seen blocks allocated and not their predecessors freed.
    let seen = total();
    if seen > PEAK.load(Relaxed) {
        PEAK.fetch_max(seen.min(total()), Relaxed);
    }
}

#[cold]
fn assign() -> &'static Slot {
    let slot = &COUNTED[THREADS.fetch_add(1, Relaxed) % SLOTS];
    SLOT.set(Some(slot));
    slot
}

/// The size as the counters hold it; no layout is larger than `isize::MAX`.
#[inline]
#[expect(
    clippy::cast_possible_wrap,
    reason = "`Layout` keeps sizes within `isize`"
)]
const fn signed(size: usize) -> isize {
    size as isize
}

// SAFETY: every call goes to `A` with the caller's own arguments and its result is handed back untouched, so `A`'s
// guarantees are ours. Counting neither allocates, nor unwinds, nor touches the blocks.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Heap<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc`'s contract (a layout of non-zero size).
        let block = unsafe { self.inner.alloc(layout) };
        if !block.is_null() {
            self.grew(layout.size());
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc_zeroed`'s contract, which is `alloc`'s.
        let block = unsafe { self.inner.alloc_zeroed(layout) };
        if !block.is_null() {
            self.grew(layout.size());
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller got `block` from us, that is from `A`, with this layout.
        unsafe { self.inner.dealloc(block, layout) };
        count(-signed(layout.size()));
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller got `block` from us, that is from `A`, with this layout, and `new_size` is valid for it.
        let moved = unsafe { self.inner.realloc(block, layout, new_size) };
        // On failure the old block stays as it was, and so does the count.
        if !moved.is_null() {
            if new_size > layout.size() {
                self.grew(new_size - layout.size());
            } else {
                count(signed(new_size) - signed(layout.size()));
            }
        }
        moved
    }
}
