//! The level as all threads see it: the pure controller's state in one atomic word.

use std::{ops::Range, time::Duration};

use super::{
    Level, Thresholds,
    controller::{State, Strain},
    sync::{AtomicU64, Ordering::Relaxed, watch},
    thresholds::Bounds,
};

#[derive(Debug)]
pub(crate) struct Gauge {
    bounds: Bounds,
    /// The state: milliseconds above two bits of falls above two bits of level.
    word: AtomicU64,
    /// Says the level to whoever watches it; follows the word.
    told: watch::Sender<Level>,
}

impl Gauge {
    pub(crate) fn new(budget: u64, thresholds: &Thresholds) -> Self {
        Self {
            bounds: thresholds.of(budget),
            word: AtomicU64::new(pack(State::START)),
            told: watch::Sender::new(Level::Normal),
        }
    }

    /// The level with `heap` bytes in use, under `strain`. `now`, since a fixed moment, is asked for only if the level may change.
    #[inline]
    pub(crate) fn observe(
        &self,
        heap: u64,
        strain: Strain,
        now: impl FnOnce() -> Duration,
    ) -> Level {
        let word = self.word.load(Relaxed);
        let level = level(word);
        let wanted = self.bounds.wanted(level, heap, strain);
        if wanted == level {
            level
        } else {
            self.change(word, wanted, now())
        }
    }

    #[cold]
    fn change(&self, word: u64, wanted: Level, now: Duration) -> Level {
        let state = unpack(word);
        let next = state.towards(wanted, now, self.bounds.dwell);
        if next == state {
            return state.level;
        }
        let (word, next) = (&self.word, pack(next));
        match word.compare_exchange(pack(state), next, Relaxed, Relaxed) {
            Ok(_) => self.tell(),
            // Whoever loses the swap takes the winner's level: both have just looked.
            Err(other) => return level(other),
        }
        level(next)
    }

    /// Two that change the level one after the other may come here in the other order. Read under the channel's lock,
    /// the word is at least as new as what this thread wrote, so the last to come tells the last level.
    fn tell(&self) {
        self.told.send_if_modified(|told| {
            let now = level(self.word.load(Relaxed));
            let news = *told != now;
            *told = now;
            news
        });
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Level> {
        self.told.subscribe()
    }

    /// Between which fillings requests of low priority are shed by and by: from where `Soft` is entered to where `Hard` is.
    pub(crate) const fn shedding(&self) -> Range<u64> {
        self.bounds.enter[1]..self.bounds.enter[2]
    }

    /// How far `heap` is above where `Hard` is left.
    pub(crate) const fn above_hard(&self, heap: u64) -> u64 {
        (heap + 1).saturating_sub(self.bounds.leave[2])
    }

    /// For how long the level has been what it is.
    pub(crate) fn stay(&self, now: Duration) -> Duration {
        now.saturating_sub(unpack(self.word.load(Relaxed)).since)
    }

    /// How far `heap` is above what reclaim aims for: the entry of `Elevated`, well below `Soft`, so that it does not run
    /// for every request.
    pub(crate) const fn above_target(&self, heap: u64) -> u64 {
        heap.saturating_sub(self.bounds.enter[0])
    }
}

fn pack(state: State) -> u64 {
    (state.since.as_millis() as u64) << 4 | u64::from(state.falls) << 2 | state.level as u64
}

const fn level(word: u64) -> Level {
    Level::ALL[(word & 3) as usize]
}

const fn unpack(word: u64) -> State {
    State {
        level: level(word),
        since: Duration::from_millis(word >> 4),
        falls: (word >> 2 & 3) as u8,
    }
}
