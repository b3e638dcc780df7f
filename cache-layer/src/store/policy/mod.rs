//! Whom a full cache parts with, and what is dead: the books that are kept of all entries.
//!
//! Nothing here reads a clock, takes a lock or drops an entry. Hits leave a mark in the entry itself
//! ([`Uses`]) and touch no book; the books take note of it when they next come upon the entry, which
//! is before they part with it.

mod duels;
mod ends;
mod fading;
mod ghosts;
mod queue;
mod tiny_lfu;
mod uses;

pub(crate) use ends::Ends;
pub(crate) use uses::{Place, UseClock, Uses};

use ends::Times;
use queue::Queue;
use smallvec::SmallVec;
use std::sync::Arc;
use tiny_lfu::TinyLfu;

/// Whom a full cache parts with, once nothing is left that has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Eviction {
    /// Whom it is asked for least often, of late and for the root of its bytes (TinyLFU, Einziger,
    /// Friedman and Manes 2017): a newcomer stays only if it has been asked for more often than those it
    /// would replace. A flood of answers that nobody asks for twice replaces nothing. How fast the past
    /// is forgotten is learnt from the traffic: soon where the new is what is asked for, else late.
    #[default]
    TinyLfu,
    /// Whom it has not been asked for longest.
    Lru,
    /// Who would be the first to expire.
    SoonestToExpire,
}

/// What the books are kept of.
pub(crate) trait Entry {
    fn digest(&self) -> u128;
    /// Bytes.
    fn weight(&self) -> u64;
    fn uses(&self) -> &Uses;
    /// What the books note in the entry.
    fn place(&self) -> &Place;
    fn ends(&self) -> Ends;
}

/// Why an entry left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It had expired.
    Expired,
    /// The policy preferred others.
    Room,
}

/// Those who leave. They are dropped by the caller, when no lock is held.
pub(crate) type Gone<E> = SmallVec<[(Arc<E>, Cause); 4]>;

/// How many entries that were used in the meantime a newcomer may have put back in order. One look
/// is cheap, but a cache full of hits must not have them all made up for by one newcomer.
const LOOKS: usize = 64;

/// The books.
pub(crate) struct Policy<E> {
    order: Order<E>,
    times: Times<E>,
    max_bytes: u64,
}

enum Order<E> {
    TinyLfu(TinyLfu<E>),
    Lru(Queue<E>),
    /// The order of the times.
    SoonestToExpire,
}

/// The next to leave.
pub(crate) enum Next<E> {
    One(Arc<E>),
    /// All that were looked at stay, but their places are right now; look again.
    NotYet,
    /// There is none.
    Nobody,
}

impl<E: Entry> Policy<E> {
    pub(crate) fn new(max_bytes: u64, eviction: Eviction) -> Self {
        Self {
            order: match eviction {
                Eviction::TinyLfu => Order::TinyLfu(TinyLfu::new(max_bytes)),
                Eviction::Lru => Order::Lru(Queue::default()),
                Eviction::SoonestToExpire => Order::SoonestToExpire,
            },
            times: Times::default(),
            max_bytes,
        }
    }

    /// Bytes of all entries.
    pub(crate) fn bytes(&self) -> u64 {
        self.times.bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Takes an entry in, in place of an older one if there is one, and names those who leave for it;
    /// itself perhaps.
    pub(crate) fn admit(&mut self, entry: &Arc<E>, older: Option<&Arc<E>>, now: u64) -> Gone<E> {
        let mut gone = Gone::new();
        // Who has left already has no place to give.
        let older = older.filter(|older| self.remove(older));
        if entry.weight() > self.max_bytes {
            gone.push((Arc::clone(entry), Cause::Room));
            return gone;
        }
        let goal = self.max_bytes - entry.weight();
        self.times.expire(now, LOOKS);
        while self.bytes() > goal
            && let Some(expired) = self.times.pop_expired()
        {
            self.order.remove(&expired);
            gone.push((expired, Cause::Expired));
        }
        let entries = self.len() + 1;
        let excess = (self.bytes() + entry.weight()).saturating_sub(self.max_bytes);
        self.times.insert(entry);
        let mut leave = |leaving: Arc<E>| gone.push((leaving, Cause::Room));
        match &mut self.order {
            Order::TinyLfu(order) => {
                order.fit(entries);
                order.admit(entry, older.map(|older| &**older), excess, &mut leave);
            }
            Order::Lru(queue) => {
                let mut left = excess;
                while left > 0
                    && let Some(coldest) = coldest_at_last(queue)
                {
                    left = left.saturating_sub(coldest.weight());
                    leave(coldest);
                }
                enter(queue, entry);
            }
            Order::SoonestToExpire => {
                while self.times.bytes() > self.max_bytes
                    && let Some(soonest) = self.times.pop_soonest()
                {
                    leave(soonest);
                }
            }
        }
        for (leaving, _) in gone.iter().filter(|(_, cause)| *cause == Cause::Room) {
            self.times.remove(leaving);
        }
        gone
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, entry: &Arc<E>) -> bool {
        let was_there = self.times.remove(entry);
        if was_there {
            self.order.remove(entry);
        }
        was_there
    }

    /// Takes out one that is of no use to anybody any more, after so many looks at most.
    pub(crate) fn pop_useless(&mut self, now: u64, looks: usize) -> Next<E> {
        let useless = self.times.pop_useless(now, looks);
        if let Next::One(useless) = &useless {
            self.order.remove(useless);
        }
        useless
    }

    /// Takes out one that has expired, useful or not, after so many looks at most.
    pub(crate) fn pop_expired(&mut self, now: u64, looks: usize) -> Next<E> {
        if !self.times.has_expired() && self.times.expire(now, looks) {
            return Next::NotYet;
        }
        let Some(expired) = self.times.pop_expired() else {
            return Next::Nobody;
        };
        self.order.remove(&expired);
        Next::One(expired)
    }

    /// Takes out the one to part with first, after so many looks at most.
    pub(crate) fn pop_coldest(&mut self, looks: usize) -> Next<E> {
        let coldest = match &mut self.order {
            Order::TinyLfu(order) => order.coldest(looks),
            Order::Lru(queue) => coldest(queue, looks),
            Order::SoonestToExpire => {
                let soonest = self.times.pop_soonest();
                return soonest.map_or(Next::Nobody, Next::One);
            }
        };
        if let Next::One(entry) = &coldest {
            self.times.remove(entry);
        }
        coldest
    }
}

impl<E: Entry> Order<E> {
    fn remove(&mut self, entry: &Arc<E>) {
        match self {
            Self::TinyLfu(order) => order.remove(entry),
            Self::Lru(queue) => {
                queue.remove(entry.place().rank(), entry);
            }
            Self::SoonestToExpire => {}
        }
    }
}

/// Puts an entry where its last use belongs.
fn enter<E: Entry>(queue: &mut Queue<E>, entry: &Arc<E>) {
    let rank = entry.uses().last();
    entry.place().set_rank(rank);
    queue.push(rank, Arc::clone(entry));
}

/// Takes out the one whose last use is longest ago. Those used since they were put in order are put
/// where they belong, so many at most.
fn coldest<E: Entry>(queue: &mut Queue<E>, looks: usize) -> Next<E> {
    for _ in 0..=looks {
        let Some((rank, first)) = queue.first() else {
            return Next::Nobody;
        };
        let used_since = first.uses().last() > rank;
        let Some(first) = queue.pop() else {
            return Next::Nobody;
        };
        if !used_since {
            return Next::One(first);
        }
        enter(queue, &first);
    }
    Next::NotYet
}

/// As [`coldest`], by the order as it is known if too many were used.
fn coldest_at_last<E: Entry>(queue: &mut Queue<E>) -> Option<Arc<E>> {
    match coldest(queue, LOOKS) {
        Next::One(entry) => Some(entry),
        Next::NotYet => queue.pop(),
        Next::Nobody => None,
    }
}

#[cfg(test)]
mod tests;
