//! A quota in its algorithm's terms: two numbers that change together and are read on every check.

use super::sync::{AtomicU64, Ordering, fence, spin_loop};
use Ordering::{Acquire, Relaxed, Release};

/// A sequence lock over two words: readers take no lock and write nothing; they read again if the
/// version was odd or has changed, which only happens while a quota is being set.
#[derive(Debug)]
pub(crate) struct Terms {
    version: AtomicU64,
    words: [AtomicU64; 2],
}

impl Terms {
    pub(crate) fn new((first, second): (u64, u64)) -> Self {
        Self {
            version: AtomicU64::new(0),
            words: [AtomicU64::new(first), AtomicU64::new(second)],
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> (u64, u64) {
        loop {
            let before = self.version.load(Acquire);
            let words = (self.words[0].load(Relaxed), self.words[1].load(Relaxed));
            fence(Acquire);
            if before.is_multiple_of(2) && self.version.load(Relaxed) == before {
                return words;
            }
            spin_loop();
        }
    }

    /// For one caller at a time.
    pub(crate) fn set(&self, (first, second): (u64, u64)) {
        let version = self.version.load(Relaxed);
        self.version.store(version + 1, Relaxed);
        fence(Release);
        self.words[0].store(first, Relaxed);
        self.words[1].store(second, Relaxed);
        self.version.store(version + 2, Release);
    }
}
