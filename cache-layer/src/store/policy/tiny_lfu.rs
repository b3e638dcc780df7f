//! TinyLFU behind a small window (Einziger, Friedman and Manes 2017, section 4): newcomers enter the
//! window; whoever leaves it for want of space must have been asked for more often than those it
//! replaces. What is used again is protected from those that are not (segmented LRU).

use super::queue::Queue;
use super::sketch::{MOST, Sketch};
use super::{Coldest, Entry, LOOKS, coldest, coldest_at_last, enter};
use smallvec::SmallVec;
use std::sync::Arc;

const WINDOW: u8 = 0;
const PROBATION: u8 = 1;
const PROTECTED: u8 = 2;

pub(super) struct TinyLfu<E> {
    sketch: Sketch,
    /// How often newcomers have lost since the last time that it wore off.
    wins: u32,
    /// The latest newcomers, in a hundredth of the room.
    window: Queue<E>,
    max_window: u64,
    /// Those who have not been used again since they came here.
    probation: Queue<E>,
    /// Those who have, in four fifths of what the window leaves.
    protected: Queue<E>,
    max_protected: u64,
}

impl<E: Entry> TinyLfu<E> {
    pub(super) fn new(max_bytes: u64) -> Self {
        let max_window = max_bytes / 100;
        Self {
            sketch: Sketch::default(),
            wins: 0,
            window: Queue::default(),
            max_window,
            probation: Queue::default(),
            protected: Queue::default(),
            max_protected: (max_bytes - max_window) / 5 * 4,
        }
    }

    pub(super) fn fit(&mut self, entries: usize) {
        self.sketch.fit(entries);
    }

    /// Takes in an entry that is so many bytes too much for the room; who must leave for it leaves,
    /// itself perhaps.
    pub(super) fn admit(
        &mut self,
        entry: &Arc<E>,
        older: Option<&E>,
        mut excess: u64,
        leave: &mut impl FnMut(Arc<E>),
    ) {
        // Being fetched is being asked for.
        self.sketch.count(entry.digest(), 1, entry.uses().last());
        if let Some(older) = older {
            // It has its place, and nobody's to take.
            self.note(older);
            self.enter(older.place().segment(), entry);
        } else if entry.weight() > self.max_window {
            // It would turn out all the others there.
            self.contend(Arc::clone(entry), &mut excess, leave);
        } else {
            self.enter(WINDOW, entry);
        }
        while self.window.bytes() > self.max_window
            && let Some(leaving) = coldest_at_last(&mut self.window)
        {
            self.contend(leaving, &mut excess, leave);
        }
        while excess > 0
            && let Some(coldest) = self.coldest_at_last()
        {
            excess = excess.saturating_sub(coldest.weight());
            leave(coldest);
        }
        while self.protected.bytes() > self.max_protected
            && let Some(demoted) = coldest_at_last(&mut self.protected)
        {
            self.enter(PROBATION, &demoted);
        }
    }

    /// One who leaves the window: on probation, if there is room or it is worth more than those who
    /// would leave for it.
    fn contend(&mut self, entry: Arc<E>, excess: &mut u64, leave: &mut impl FnMut(Arc<E>)) {
        let worth = self.note(&entry);
        let (mut given_back, mut theirs) = (0, 0);
        let mut others: SmallVec<[Arc<E>; 16]> = SmallVec::new();
        let mut wins = true;
        while wins && given_back < *excess {
            let Some(other) = self.main_coldest() else {
                break;
            };
            let its_worth = self.note(&other);
            theirs += its_worth;
            given_back += other.weight();
            others.push(other);
            // Who is asked for as often as can be counted need not outweigh a crowd together: nobody
            // knows how much more often that is.
            wins = worth > if worth == MOST { its_worth } else { theirs };
        }
        if wins && given_back >= *excess {
            *excess = 0;
            others.into_iter().for_each(leave);
            self.enter(PROBATION, &entry);
        } else {
            *excess = excess.saturating_sub(entry.weight());
            // They have not moved: the coldest are the coldest still.
            others
                .iter()
                .for_each(|other| self.enter(other.place().segment(), other));
            self.wear_off(&others);
            leave(entry);
        }
    }

    /// What was popular and is not asked for any more must not turn down newcomers for ever: each so
    /// many times that it does, it has been asked for once less.
    fn wear_off(&mut self, winners: &[Arc<E>]) {
        const TIMES: u32 = 16;
        self.wins += 1;
        if self.wins >= TIMES {
            self.wins = 0;
            winners
                .iter()
                .for_each(|winner| self.sketch.uncount(winner.digest()));
        }
    }

    pub(super) fn remove(&mut self, entry: &Arc<E>) {
        // The next with this key starts with what it was worth.
        self.note(entry);
        let rank = entry.place().rank();
        self.segment(entry.place().segment()).remove(rank, entry);
    }

    /// Takes out the coldest of all: on probation, then of the newcomers, then of the protected.
    pub(super) fn coldest(&mut self, looks: usize) -> Coldest<E> {
        match self.probation_coldest(looks) {
            Coldest::Nobody => {}
            found => return found,
        }
        match coldest(&mut self.window, looks) {
            Coldest::Nobody => coldest(&mut self.protected, looks),
            found => found,
        }
    }

    fn coldest_at_last(&mut self) -> Option<Arc<E>> {
        self.main_coldest()
            .or_else(|| coldest_at_last(&mut self.window))
    }

    /// Takes out the coldest of those whom a newcomer must be worth more than.
    fn main_coldest(&mut self) -> Option<Arc<E>> {
        match self.probation_coldest(LOOKS) {
            Coldest::One(entry) => Some(entry),
            Coldest::NotYet => self.probation.pop(),
            Coldest::Nobody => coldest_at_last(&mut self.protected),
        }
    }

    /// Takes out the coldest on probation; those used again meanwhile are protected from now on.
    fn probation_coldest(&mut self, looks: usize) -> Coldest<E> {
        for _ in 0..=looks {
            let Some(first) = self.probation.pop() else {
                return Coldest::Nobody;
            };
            if first.uses().last() <= first.place().rank() {
                return Coldest::One(first);
            }
            self.note(&first);
            self.enter(PROTECTED, &first);
        }
        Coldest::NotYet
    }

    /// Counts the hits that have not been counted yet; how often it was asked for lately.
    fn note(&mut self, entry: &E) -> u32 {
        let hits = entry.uses().hits();
        let new = hits.wrapping_sub(entry.place().noted());
        if new > 0 {
            entry.place().set_noted(hits);
            self.sketch.count(entry.digest(), new, entry.uses().last());
        }
        self.sketch.estimate(entry.digest())
    }

    fn enter(&mut self, segment: u8, entry: &Arc<E>) {
        entry.place().set_segment(segment);
        enter(self.segment(segment), entry);
    }

    fn segment(&mut self, segment: u8) -> &mut Queue<E> {
        match segment {
            WINDOW => &mut self.window,
            PROBATION => &mut self.probation,
            _ => &mut self.protected,
        }
    }
}
