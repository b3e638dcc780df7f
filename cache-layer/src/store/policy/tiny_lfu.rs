//! TinyLFU behind a small window (Einziger, Friedman and Manes 2017): newcomers enter the window; whoever
//! leaves it for want of space must be worth more than each of those it would replace.
//!
//! An entry is worth how often its key was asked for of late ([`Fading`]), for the root of its bytes.
//! For each byte, as GreedyDual-Size-Frequency has it (Cherkasova 1998), brings the most hits where few
//! are large; for each entry, the most bytes; this is between them, and close to the best of both. What
//! those were worth who have left is not forgotten ([`Ghosts`]).

use super::duels::Duels;
use super::fading::{Fading, Log, first_likely, sum};
use super::ghosts::Ghosts;
use super::queue::Queue;
use super::{Entry, LOOKS, Next, coldest, coldest_at_last, enter};
use smallvec::SmallVec;
use std::sync::Arc;

const WINDOW: u8 = 0;
const MAIN: u8 = 1;

pub(super) struct TinyLfu<E> {
    fading: Fading,
    ghosts: Ghosts,
    duels: Duels<E>,
    entries: usize,
    /// The latest newcomers by their last use, in a hundredth of the room.
    window: Queue<E>,
    max_window: u64,
    /// The others, by what they are worth.
    main: Queue<E>,
}

impl<E: Entry> TinyLfu<E> {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            fading: Fading::default(),
            ghosts: Ghosts::default(),
            duels: Duels::default(),
            entries: 0,
            window: Queue::default(),
            max_window: max_bytes / 100,
            main: Queue::default(),
        }
    }

    pub(super) fn fit(&mut self, entries: usize) {
        self.entries = entries;
        self.ghosts.fit(entries);
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
        self.ask(entry, older);
        if let Some(older) = older {
            // It has its place, and nobody's to take.
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
            && let Some(coldest) = self
                .main_coldest_at_last()
                .or_else(|| coldest_at_last(&mut self.window))
        {
            excess = excess.saturating_sub(coldest.weight());
            self.part(&coldest);
            leave(coldest);
        }
    }

    /// Being fetched is being asked for.
    fn ask(&mut self, entry: &E, older: Option<&E>) {
        let (digest, at) = (entry.digest(), entry.uses().last());
        self.fading.advance(at, self.entries);
        let surprises = self.duels.asked_for(digest) + self.duels.look();
        self.fading.learn(surprises);
        let ghost = self.ghosts.take(digest, self.fading.now());
        let past = older.map(|older| older.place().worth()).or(ghost);
        let worth = self.fading.uses(1, at, at) - size(entry);
        entry
            .place()
            .set_worth(past.map_or(worth, |past| sum(past, worth)));
        entry.place().set_since(at);
    }

    /// One who leaves the window: to the others, if there is room or it is worth more than each who
    /// would leave for it.
    fn contend(&mut self, entry: Arc<E>, excess: &mut u64, leave: &mut impl FnMut(Arc<E>)) {
        self.note(&entry);
        let mut given_back = 0;
        let mut others: SmallVec<[Arc<E>; 16]> = SmallVec::new();
        let mut wins = true;
        while wins && given_back < *excess {
            let Some(other) = self.main_coldest_at_last() else {
                break;
            };
            wins = entry.place().worth() > other.place().worth();
            given_back += other.weight();
            others.push(other);
        }
        let met = !others.is_empty();
        if wins && given_back >= *excess {
            *excess = 0;
            for other in others {
                self.part(&other);
                leave(other);
            }
            if met {
                self.watch(&entry);
            }
            self.enter(MAIN, &entry);
        } else {
            *excess = excess.saturating_sub(entry.weight());
            others.iter().for_each(|other| self.enter(MAIN, other));
            self.watch(&entry);
            self.part(&entry);
            leave(entry);
        }
    }

    /// Now and then, learns how fast uses fade from whom is asked for first: this newcomer or any of the
    /// others, be they worth little or much.
    fn watch(&mut self, newer: &Arc<E>) {
        if !self.duels.is_due(newer.uses().last(), self.entries) {
            return;
        }
        // As good as drawn by lot: digests are.
        let way = (newer.digest() as u16) as f64 / f64::from(u16::MAX);
        let Some(older) = self.main.between(way).map(Arc::clone) else {
            return;
        };
        self.main.remove(older.place().rank(), &older);
        self.note(&older);
        self.enter(MAIN, &older);
        let expected = first_likely(uses(&**newer), uses(&*older));
        let surprise = self.duels.begin(newer, &older, expected);
        self.fading.learn(surprise);
    }

    pub(super) fn remove(&mut self, entry: &Arc<E>) {
        let rank = entry.place().rank();
        self.segment(entry.place().segment()).remove(rank, entry);
        self.note(entry);
        self.part(entry);
    }

    /// The next with this key starts with what it was worth.
    fn part(&mut self, entry: &E) {
        let surprise = self.duels.left(entry);
        self.fading.learn(surprise);
        let worth = entry.place().worth();
        self.ghosts.put(entry.digest(), worth, self.fading.now());
    }

    /// Takes out the coldest of all.
    pub(super) fn coldest(&mut self, looks: usize) -> Next<E> {
        let main = match self.main_coldest(looks) {
            Next::One(main) => Some(main),
            Next::Nobody => None,
            Next::NotYet => return Next::NotYet,
        };
        let newcomer = match coldest(&mut self.window, looks) {
            Next::One(newcomer) => {
                self.note(&newcomer);
                Some(newcomer)
            }
            Next::Nobody => None,
            Next::NotYet if main.is_none() => return Next::NotYet,
            Next::NotYet => None,
        };
        let coldest = match (main, newcomer) {
            (Some(main), Some(newcomer)) if newcomer.place().worth() < main.place().worth() => {
                self.enter(MAIN, &main);
                newcomer
            }
            (Some(main), newcomer) => {
                newcomer.iter().for_each(|one| self.enter(WINDOW, one));
                main
            }
            (None, Some(newcomer)) => newcomer,
            (None, None) => return Next::Nobody,
        };
        self.part(&coldest);
        Next::One(coldest)
    }

    fn main_coldest_at_last(&mut self) -> Option<Arc<E>> {
        match self.main_coldest(LOOKS) {
            Next::One(entry) => Some(entry),
            Next::NotYet => self.main.pop().inspect(|entry| {
                self.note(entry);
            }),
            Next::Nobody => None,
        }
    }

    /// Takes out the one of the others who is worth the least. Those used since they were put in order
    /// are put where they belong, so many at most.
    fn main_coldest(&mut self, looks: usize) -> Next<E> {
        for _ in 0..=looks {
            let Some(first) = self.main.pop() else {
                return Next::Nobody;
            };
            if !self.note(&first) {
                return Next::One(first);
            }
            self.enter(MAIN, &first);
        }
        Next::NotYet
    }

    /// Counts the hits that have not been counted yet; whether there were any.
    fn note(&mut self, entry: &E) -> bool {
        let place = entry.place();
        let (hits, last) = (entry.uses().hits(), entry.uses().last());
        let new = hits.wrapping_sub(place.noted());
        if new > 0 {
            let counted = self.fading.uses(new, place.since(), last);
            place.set_noted(hits);
            place.set_since(last);
            place.set_worth(sum(place.worth(), counted - size(entry)));
        }
        new > 0
    }

    fn enter(&mut self, segment: u8, entry: &Arc<E>) {
        entry.place().set_segment(segment);
        if segment == WINDOW {
            enter(&mut self.window, entry);
        } else {
            let rank = entry.place().worth().to_bits();
            entry.place().set_rank(rank);
            self.main.push(rank, Arc::clone(entry));
        }
    }

    fn segment(&mut self, segment: u8) -> &mut Queue<E> {
        match segment {
            WINDOW => &mut self.window,
            _ => &mut self.main,
        }
    }
}

/// How often its key was asked for.
fn uses<E: Entry>(entry: &E) -> Log {
    entry.place().worth() + size(entry)
}

/// What a use counts less for the bytes that it takes: the root of them, as a logarithm.
fn size<E: Entry>(entry: &E) -> Log {
    (entry.weight().max(1) as f64).log2() / 2.0
}
