//! The last sample of a source, and what must be added to it until the next.

use super::sync::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Bytes leave a reservation when they are in the heap, or when they will never be. Which of the two, only the next
/// sample tells; until then all of them count.
///
/// One word keeps the sample and the count of released bytes together: the sample less what had been released before it
/// was taken. What is released while it is taken may be in it and is added all the same, so the sum errs upwards.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The sample less `released` at the time; wraps.
    base: AtomicU64,
    /// Bytes that ever left a reservation; wraps.
    released: AtomicU64,
}

impl Sample {
    pub(crate) fn new() -> Self {
        Self {
            base: AtomicU64::new(0),
            released: AtomicU64::new(0),
        }
    }

    pub(crate) fn take(&self, read: impl FnOnce() -> u64) {
        let before = self.released.load(Acquire);
        self.base.store(read().wrapping_sub(before), Release);
    }

    pub(crate) fn bytes(&self) -> u64 {
        // In this order, `released` is at least what it was when the sample was taken.
        let base = self.base.load(Acquire);
        base.wrapping_add(self.released.load(Relaxed))
    }

    /// Counts bytes that are about to leave a reservation.
    pub(crate) fn release(&self, bytes: u64) {
        self.released.fetch_add(bytes, Release);
    }
}
