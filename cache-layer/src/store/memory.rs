//! The store in memory, bounded at every moment by the bytes that its entries really hold.
//!
//! It is our own because this bound is the point: moka's is an eventual one, which a burst of writers
//! outruns, what it evicts is dropped some epochs later, and its look-up was a quarter of a hit.
//!
//! Readers go by the [`Index`] alone: what it has is what is stored. The [`Policy`] says who leaves for
//! what is put in, and knows of an entry once that is [entered](super::entering). What leaves is dropped
//! when no lock is held. Locks are taken in this order: a key's turn, the books, the index or the notes.

use super::books::{Books, Parting};
use super::clock::Clock;
use super::entering::{Note, Notes};
use super::head::Head;
use super::hottest::{Count, Hottest, TopBy, due, rest};
use super::index::Index;
use super::ledger::Ledger;
use super::policy::{Entry, Eviction, Policy};
use super::resource::{Resource, Variants};
use super::stored::Stored;
use crate::key::{Key, Lookup};
use crate::stats::{Counter, Evictions};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) struct MemoryStore {
    pub(super) index: Index,
    pub(super) books: Books,
    /// What the books do not know yet.
    pub(super) notes: Notes,
    ledger: Arc<Ledger>,
    pub(super) clock: Clock,
    pub(super) max_bytes: u64,
    max_variants: usize,
    eviction: Eviction,
    /// Writers of one key take turns: a resource is read, extended and put back.
    writers: [Mutex<()>; 512],
    hottest: Hottest,
    pub(crate) evicted: Evicted,
}

/// Entries that left, by cause.
#[derive(Debug, Default)]
pub(crate) struct Evicted {
    pub(crate) expired: Counter,
    pub(crate) room: Counter,
    pub(crate) reclaimed: Counter,
    pub(crate) invalidated: Counter,
}

impl Evicted {
    pub(crate) fn so_far(&self) -> Evictions {
        Evictions {
            expired: self.expired.get(),
            room: self.room.get(),
            reclaimed: self.reclaimed.get(),
            invalidated: self.invalidated.get(),
        }
    }
}

/// What became of an answer that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// At least until the books are free, if they are not.
    Stored,
    /// It would have taken more bytes than there are.
    NoRoom,
    /// Others are worth more.
    NotWorthIt,
}

impl MemoryStore {
    pub(crate) fn new(
        max_bytes: u64,
        eviction: Eviction,
        max_variants: usize,
        max_idle: Option<Duration>,
    ) -> Self {
        Self {
            index: Index::new(),
            books: Books::new(Policy::new(max_bytes, eviction)),
            notes: Notes::default(),
            ledger: Arc::new(Ledger::new(max_bytes.saturating_add(max_bytes / 4))),
            clock: Clock::new(max_idle),
            max_bytes,
            max_variants,
            eviction,
            writers: [const { Mutex::new(()) }; 512],
            hottest: Hottest::default(),
            evicted: Evicted::default(),
        }
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub(crate) fn get(&self, key: &impl Lookup, now: Instant) -> Option<Arc<Resource>> {
        let resource = self.index.get(key.digest())?;
        let idle = self.clock.minds_idling() && resource.is_idle(self.clock.at(now));
        (!idle && resource.is_of(key)).then_some(resource)
    }

    /// Takes note that one of its answers is used, and says how many times one was with this.
    pub(crate) fn used(&self, resource: &Resource, answer: &Stored, now: Instant) -> u32 {
        let hits = self.clock.hit(resource.uses(), now);
        let due = due(hits);
        if due > 0 {
            self.hottest.note(resource.digest(), due, answer.octets());
        }
        hits
    }

    /// The keys asked for most, the first one first, with what is there of them.
    pub(crate) fn top(&self, by: TopBy, most: usize) -> Vec<(Count, Option<Arc<Resource>>)> {
        let counts = self.hottest.top(by).into_iter();
        let mut top: Vec<_> = counts
            .map(|mut count| {
                let there = self.index.get(count.digest);
                if let Some(resource) = &there {
                    count.count += match by {
                        TopBy::Hits => rest(resource.uses().hits()),
                        TopBy::Bytes => rest(resource.uses().hits()) * resource.octets(),
                    };
                }
                (count, there)
            })
            .collect();
        top.sort_by_key(|(count, _)| std::cmp::Reverse(count.count));
        top.truncate(most);
        top
    }

    /// Adds an answer to its key, in place of the older one for the same request fields, and of the
    /// one that it `renews`.
    pub(crate) fn put(
        &self,
        key: &Key,
        stored: Arc<Stored>,
        renews: Option<&Arc<Stored>>,
        stands: impl Fn(&Head) -> bool,
    ) -> Put {
        let now = stored.head.received();
        let turn = self.turn(key.digest());
        let mut variants = self.get(key, now).map_or_else(Variants::new, |old| {
            let worth = |other: &&Arc<Stored>| {
                let renewed = renews.is_some_and(|renewed| Arc::ptr_eq(renewed, other));
                !renewed && other.head.useful_until() > now && stands(&other.head)
            };
            old.variants().iter().filter(worth).cloned().collect()
        });
        let alike = variants
            .iter()
            .position(|other| other.head.selection() == stored.head.selection());
        let stored = match alike.map(|place| variants.remove(place)) {
            Some(older) => stored.combine(&older, &self.ledger),
            None => stored,
        };
        if variants.len() >= self.max_variants {
            variants.remove(0);
        }
        let date = stored.head.date();
        let place = variants
            .iter()
            .rposition(|other| other.head.date() <= date)
            .map_or(0, |before| before + 1);
        variants.insert(place, stored);
        let resource = Arc::new(Resource::new(&self.ledger, &self.clock, key, variants));
        if !resource.is_counted() {
            return Put::NoRoom;
        }
        self.swap_in(&resource);
        drop(turn);
        match self.settle().turned_away(&resource) {
            true => Put::NotWorthIt,
            false => Put::Stored,
        }
    }

    /// Puts it in the place of what is there, on its key's turn.
    pub(super) fn swap_in(&self, resource: &Arc<Resource>) {
        let older = self.index.insert(resource);
        older.iter().for_each(|older| self.note_rest(older));
        let entry = Arc::clone(resource);
        self.notes.push(Note::Came { entry, older });
    }

    /// Makes room for so many bytes `more` on behalf of a fill that holds `own` already, if it can.
    ///
    /// What is entered never exceeds its bound; what is on its way, or still read after it has left, may
    /// take a quarter more together with it. A fill's own answer may push others out beyond that, not all
    /// that are on their way together.
    pub(crate) fn make_room(&self, own: u64, more: u64) -> bool {
        if self.ledger.has_room(more) {
            return true;
        }
        let stored = self.up_to_date(|books| books.bytes());
        let others = self.ledger.bytes().saturating_sub(stored + own);
        if others > self.max_bytes / 8 || own.saturating_add(more) > self.max_bytes {
            return false;
        }
        let most = self.max_bytes.saturating_add(self.max_bytes / 4);
        let goal = most.saturating_sub(others.saturating_add(own).saturating_add(more));
        let excess = stored.saturating_sub(goal);
        self.evict(excess, &self.evicted.room);
        self.ledger.has_room(more)
    }

    pub(crate) fn remove(&self, key: &Key) {
        if let Some(resource) = self.index.get(key.digest()) {
            self.take_out(&resource);
        }
    }

    /// False if it had left already.
    pub(super) fn take_out(&self, resource: &Arc<Resource>) -> bool {
        let was_there = self.leave(resource, &self.evicted.invalidated);
        if was_there {
            self.notes.push(Note::Left(Arc::clone(resource)));
            self.settle();
        }
        was_there
    }

    /// Takes it out of the index, if it has not left already.
    pub(super) fn leave(&self, resource: &Arc<Resource>, counter: &Counter) -> bool {
        let was_there = self.index.remove(resource);
        if was_there {
            self.note_rest(resource);
            counter.count();
        }
        was_there
    }

    fn note_rest(&self, resource: &Resource) {
        let rest = rest(resource.uses().hits());
        if rest > 0 {
            self.hottest
                .note(resource.digest(), rest, resource.octets());
        }
    }

    pub(crate) fn clear(&self) {
        let new = Policy::new(self.max_bytes, self.eviction);
        let (_old, entries) =
            self.up_to_date(|books| (std::mem::replace(books, new), self.index.clear()));
        for entry in entries {
            self.note_rest(&entry);
            self.evicted.invalidated.count();
        }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.index.len() as u64
    }

    pub(super) fn turn(&self, digest: u128) -> MutexGuard<'_, ()> {
        let turn = &self.writers[digest as usize % self.writers.len()];
        turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn parting(&self) -> Parting<'_> {
        self.books.part()
    }
}
