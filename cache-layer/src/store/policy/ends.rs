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
            if self.fresh.first().is_none_or(|(end, _)| end > now) {
                return false;
            }
            let Some(entry) = self.fresh.pop() else {
                return false;
            };
            let ends = entry.ends();
            if ends.fresh() > now {
                // Somebody has asked for it in the meantime.
                put(&mut self.fresh, ends.fresh(), &entry);
            } else {
                entry.place().set_expired(true);
                put(&mut self.expired, ends.useful(), &entry);
            }
        }
        true
    }

    /// Takes out one that is of no use to anybody any more, after so many looks at most.
    pub(super) fn pop_useless(&mut self, now: u64, looks: usize) -> Next<E> {
        for _ in 0..looks {
            let due = self.expired.first().is_some_and(|(end, _)| end <= now);
            if due && let Some(entry) = self.expired.pop() {
                let end = entry.ends().useful();
                if end <= now {
                    return Next::One(entry);
                }
                // Somebody has asked for it in the meantime.
                put(&mut self.expired, end, &entry);
            } else if !self.expire(now, 1) {
                return Next::Nobody;
            }
        }
        Next::NotYet
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
