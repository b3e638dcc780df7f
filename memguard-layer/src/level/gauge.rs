//! The level as all threads see it: the pure controller's state in one atomic word.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Level,
    controller::{State, Thresholds},
};

#[derive(Debug)]
pub(crate) struct Gauge {
    thresholds: Thresholds,
    start: Instant,
    /// Milliseconds from `start` at which the level was entered, above two bits of level.
    word: AtomicU64,
}

impl Gauge {
    pub(crate) fn new(budget: u64) -> Self {
        let normal = State {
            level: Level::Normal,
            since: Duration::ZERO,
        };
        Self {
            thresholds: Thresholds::of(budget),
            start: Instant::now(),
            word: AtomicU64::new(pack(normal)),
        }
    }

    /// The level with `heap` bytes in use. The clock is read only if the level may change.
    #[inline]
    pub(crate) fn observe(&self, heap: u64) -> Level {
        let word = self.word.load(Relaxed);
        let state = unpack(word);
        let wanted = self.thresholds.wanted(state.level, heap);
        if wanted == state.level {
            wanted
        } else {
            self.change(word, wanted)
        }
    }

    #[cold]
    fn change(&self, word: u64, wanted: Level) -> Level {
        let next = unpack(word).towards(wanted, self.start.elapsed());
        // Whoever loses the swap takes the winner's level: both have just looked.
        match self
            .word
            .compare_exchange(word, pack(next), Relaxed, Relaxed)
        {
            Ok(_) => next.level,
            Err(other) => unpack(other).level,
        }
    }

    /// How far `heap` is above what reclaim aims for.
    pub(crate) const fn above_target(&self, heap: u64) -> u64 {
        heap.saturating_sub(self.thresholds.target())
    }
}

fn pack(state: State) -> u64 {
    (state.since.as_millis() as u64) << 2 | state.level.index()
}

const fn unpack(word: u64) -> State {
    State {
        level: Level::from_index(word),
        since: Duration::from_millis(word >> 2),
    }
}
