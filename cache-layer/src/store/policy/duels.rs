//! Whether uses fade too fast or too slowly, by who is asked for first.
//!
//! How often each of two was asked for, and how long ago, says how likely the one is to be asked for
//! before the other. Of some pairs it is watched what happens: a newcomer that has just met the others,
//! whether it stays or leaves, and one who has been there for longer. If the newcomers come first more
//! often than was to be expected, the past counts for too much, and if less often, for too little.

use super::Entry;
use std::sync::Arc;

/// So many are watched at a time, and so many begin, at most, while each entry is used once.
const MOST: usize = 64;

pub(super) struct Duels<E> {
    places: Box<[Option<Duel<E>>]>,
    /// Where the next one begins, in place of the oldest.
    next: usize,
    /// Which one is looked at next.
    look: usize,
    /// The next begins with this use, or later.
    due: u64,
}

struct Duel<E> {
    newer: Side<E>,
    older: Side<E>,
    /// How likely the newer one is to be asked for first.
    expected: f64,
}

struct Side<E> {
    digest: u128,
    /// The entry and the hits that it had, for as long as it is there.
    there: Option<(Arc<E>, u32)>,
}

impl<E> Default for Duels<E> {
    fn default() -> Self {
        Self {
            places: (0..MOST).map(|_| None).collect(),
            next: 0,
            look: 0,
            due: 0,
        }
    }
}

/// Whatever ends one or more of them says how surprising that is: 1 if the newer one was asked for
/// first, 0 if it was the older one, less how likely the former was.
impl<E: Entry> Duels<E> {
    /// Whether one is to begin: so many entries are there, and it is the `now`th use.
    pub(super) fn is_due(&mut self, now: u64, entries: usize) -> bool {
        let due = now >= self.due;
        if due {
            self.due = now + (entries / MOST) as u64;
        }
        due
    }

    pub(super) fn begin(&mut self, newer: &Arc<E>, older: &Arc<E>, expected: f64) -> f64 {
        let duel = Duel {
            newer: Side::of(newer),
            older: Side::of(older),
            expected,
        };
        let oldest = self.places[self.next].replace(duel);
        self.next = (self.next + 1) % MOST;
        oldest.and_then(|oldest| oldest.end()).unwrap_or_default()
    }

    /// A key is asked for that is not there.
    pub(super) fn asked_for(&mut self, digest: u128) -> f64 {
        self.end_those(|duel| {
            let newer = duel.newer.digest == digest;
            let is = newer || duel.older.digest == digest;
            is.then(|| duel.end().unwrap_or_else(|| duel.surprise(newer)))
        })
    }

    /// One leaves: nobody holds on to it here.
    pub(super) fn left(&mut self, entry: &E) -> f64 {
        if !entry.place().is_watched() {
            return 0.0;
        }
        self.end_those(|duel| {
            let end = duel.end();
            duel.newer.leave(entry);
            duel.older.leave(entry);
            end
        })
    }

    /// Looks at one of them, the next one in turn.
    pub(super) fn look(&mut self) -> f64 {
        self.look = (self.look + 1) % MOST;
        let place = &mut self.places[self.look];
        let end = place.as_ref().and_then(Duel::end);
        if end.is_some() {
            *place = None;
        }
        end.unwrap_or_default()
    }

    fn end_those(&mut self, mut end: impl FnMut(&mut Duel<E>) -> Option<f64>) -> f64 {
        let ended = self.places.iter_mut().filter_map(|place| {
            let surprise = end(place.as_mut()?)?;
            *place = None;
            Some(surprise)
        });
        ended.sum()
    }
}

impl<E: Entry> Duel<E> {
    /// What can be told from the hits of those who are there.
    fn end(&self) -> Option<f64> {
        match (self.newer.is_used(), self.older.is_used()) {
            (false, false) => None,
            // Nobody knows who came first.
            (true, true) => Some(0.0),
            (newer, _) => Some(self.surprise(newer)),
        }
    }

    fn surprise(&self, newer_first: bool) -> f64 {
        f64::from(u8::from(newer_first)) - self.expected
    }
}

impl<E: Entry> Side<E> {
    fn of(entry: &Arc<E>) -> Self {
        entry.place().set_watched();
        Self {
            digest: entry.digest(),
            there: Some((Arc::clone(entry), entry.uses().hits())),
        }
    }

    fn is_used(&self) -> bool {
        let there = self.there.as_ref();
        there.is_some_and(|(there, hits)| there.uses().hits() != *hits)
    }

    fn leave(&mut self, entry: &E) {
        self.there
            .take_if(|(there, _)| std::ptr::eq(&**there, entry));
    }
}
