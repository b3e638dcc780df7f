//! When entries end: the fresh ones by their lifetime, the others by what they are still good for.

use super::queue::Queue;
use super::{Entry, Next};
use std::sync::Arc;

/// The ends of an entry, in milliseconds since the store was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// From then on it is not fresh.
    pub(crate) fresh: u64,
    /// From then on nobody can do anything with it.
    pub(crate) useful: u64,
    /// From then on nobody has asked for it for too long, if nobody does until then.
    pub(crate) idle: u64,
}

impl Ends {
    fn fresh(self) -> u64 {
        self.fresh.min(self.idle)
    }

    fn useful(self) -> u64 {
        // Who asks for nothing but fresh answers can do with it what others can.
        self.useful.max(self.fresh).min(self.idle)
    }
}

/// All entries, by their ends.
pub(super) struct Times<E> {
    fresh: Queue<E>,
    expired: Queue<E>,
}

impl<E> Default for Times<E> {
    fn default() -> Self {
        Self {
            fresh: Queue::default(),
            expired: Queue::default(),
        }
    }
}

impl<E: Entry> Times<E> {
    pub(super) fn bytes(&self) -> u64 {
        self.fresh.bytes() + self.expired.bytes()
    }

    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.expired.len()
    }

    pub(super) fn insert(&mut self, entry: &Arc<E>) {
        put(&mut self.fresh, entry.ends().fresh(), entry);
    }

    pub(super) fn remove(&mut self, entry: &Arc<E>) -> bool {
        let queue = if entry.place().is_expired() {
            &mut self.expired
        } else {
            &mut self.fresh
        };
        queue.remove(entry.place().end(), entry).is_some()
    }

    /// Moves what has expired by now, after so many looks at most; true if there may be more.
    pub(super) fn expire(&mut self, now: u64, looks: usize) -> bool {
        for _ in 0..looks {
            match self.pop_due(now) {
                Some(entry) => self.sort(&entry, now),
                None => return false,
            }
        }
        true
    }

    /// Takes out one that is of no use to anybody any more, after so many looks at most.
    pub(super) fn pop_useless(&mut self, now: u64, looks: usize) -> Next<E> {
        for _ in 0..looks {
            let due = self.expired.first().is_some_and(|(end, _)| end <= now);
            let entry = if due {
                self.expired.pop()
            } else {
                self.pop_due(now)
            };
            match entry {
                Some(entry) if entry.ends().useful() <= now => return Next::One(entry),
                Some(entry) => self.sort(&entry, now),
                None => return Next::Nobody,
            }
        }
        Next::NotYet
    }

    /// One that was to expire by now.
    fn pop_due(&mut self, now: u64) -> Option<Arc<E>> {
        let due = self.fresh.first().is_some_and(|(end, _)| end <= now);
        due.then(|| self.fresh.pop())?
    }

    /// Puts one where it belongs: somebody may have asked for it since it was put where it was.
    fn sort(&mut self, entry: &Arc<E>, now: u64) {
        let ends = entry.ends();
        if !entry.place().is_expired() && ends.fresh() > now {
            put(&mut self.fresh, ends.fresh(), entry);
        } else {
            entry.place().set_expired(true);
            put(&mut self.expired, ends.useful(), entry);
        }
    }

    /// Whether some are known to have expired.
    pub(super) fn has_expired(&self) -> bool {
        self.expired.len() > 0
    }

    pub(super) fn pop_expired(&mut self) -> Option<Arc<E>> {
        self.expired.pop()
    }

    pub(super) fn pop_soonest(&mut self) -> Option<Arc<E>> {
        self.expired.pop().or_else(|| self.fresh.pop())
    }
}

fn put<E: Entry>(queue: &mut Queue<E>, end: u64, entry: &Arc<E>) {
    entry.place().set_end(end);
    queue.push(end, Arc::clone(entry));
}
