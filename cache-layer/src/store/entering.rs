//! What came and went is noted where it is seen, and entered in the books when they are free: whoever is
//! stopped with the books open, as the machine may stop a thread at any time, keeps no request waiting.
//!
//! What is stored is what the [index](super::index) has. The books follow, a few notes behind at most.

use super::memory::MemoryStore;
use super::policy::{Cause, Gone, Policy};
use super::resource::Resource;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something that the books do not know yet.
pub(super) enum Note {
    Came {
        entry: Arc<Resource>,
        /// In whose place.
        older: Option<Arc<Resource>>,
    },
    Left(Arc<Resource>),
}

/// In the order in which it happened to each key.
#[derive(Default)]
pub(super) struct Notes(Mutex<VecDeque<Note>>);

/// With so many notes, one waits for the books after all: it takes a stop of many milliseconds to get
/// there, and each note keeps an entry or two alive.
const MANY: usize = 4096;

/// How many one request enters: so the books catch up with what the others have noted, and none of them
/// does it all.
const PORTION: usize = 16;

impl Notes {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Note>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, note: Note) {
        self.lock().push_back(note);
    }

    fn pop(&self) -> Option<Note> {
        self.lock().pop_front()
    }

    fn are_many(&self) -> bool {
        self.lock().len() >= MANY
    }
}

/// What comes of entering some notes; to be seen off when the books are closed.
#[derive(Default)]
pub(super) struct Entered {
    /// Those who leave for what came, itself perhaps.
    gone: Gone<Resource>,
    /// Kept until then, as the last ones to hold what has left.
    done: SmallVec<[Note; 2]>,
}

impl Entered {
    /// Whether it came and did not stay.
    pub(super) fn turned_away(&self, entry: &Arc<Resource>) -> bool {
        self.gone.iter().any(|(one, _)| Arc::ptr_eq(one, entry))
    }
}

impl MemoryStore {
    /// Enters some of what is noted, unless somebody is at the books: then whoever opens them next does. Only
    /// where memory is over its bound, somebody must leave before more may come.
    pub(super) fn settle(&self) -> Entered {
        let mut entered = Entered::default();
        let over = self.ledger().bytes().saturating_sub(self.max_bytes);
        let books = match self.notes.are_many() || over > self.max_bytes / 64 {
            true => Some(self.books.open()),
            false => self.books.try_open(),
        };
        if let Some(mut books) = books {
            self.enter(&mut books, PORTION, &mut entered);
        }
        self.see_off(&entered);
        entered
    }

    /// Waits for the books, and looks at them when all is entered that happened before.
    pub(super) fn up_to_date<T>(&self, look: impl FnOnce(&mut Policy<Resource>) -> T) -> T {
        let mut entered = Entered::default();
        let mut books = self.books.open();
        self.enter(&mut books, MANY, &mut entered);
        let seen = look(&mut books);
        drop(books);
        self.see_off(&entered);
        seen
    }

    /// Enters so many notes at most; true if there are no more.
    pub(super) fn enter(
        &self,
        books: &mut Policy<Resource>,
        most: usize,
        entered: &mut Entered,
    ) -> bool {
        let now = self.clock.now();
        for _ in 0..most {
            let Some(note) = self.notes.pop() else {
                return true;
            };
            match &note {
                Note::Came { entry, older } if self.index.has(entry) => {
                    entered.gone.extend(books.admit(entry, older.as_ref(), now));
                }
                // It has left already, and whoever saw that may have said so before it was said that it came.
                Note::Came { older, .. } => {
                    older.iter().for_each(|older| {
                        books.remove(older);
                    });
                }
                Note::Left(entry) => {
                    books.remove(entry);
                }
            }
            entered.done.push(note);
        }
        false
    }

    /// Once the books are closed.
    pub(super) fn see_off(&self, entered: &Entered) {
        for (one, cause) in &entered.gone {
            self.leave(
                one,
                match cause {
                    Cause::Expired => &self.evicted.expired,
                    Cause::Room => &self.evicted.room,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, Secret};
    use crate::store::Eviction;
    use crate::store::policy::Entry;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    const ROOM: u64 = 1 << 20;

    fn store(eviction: Eviction) -> MemoryStore {
        MemoryStore::new(ROOM, eviction, 8, None)
    }

    fn key(n: u64) -> Key {
        let uri = format!("http://a/{n}").parse().unwrap();
        let keyed = Key::of_uri(Secret::draw(), b"", &uri);
        keyed.unwrap_or_else(|_| panic!("a key"))
    }

    /// Of its key, without an answer, and so of no use from the beginning.
    fn entry(store: &MemoryStore, key: &Key) -> Arc<Resource> {
        let none = SmallVec::new();
        Arc::new(Resource::new(store.ledger(), &store.clock, key, none))
    }

    /// Whoever puts in has the key's turn, unless he is alone.
    fn put(store: &MemoryStore, key: &Key) -> Arc<Resource> {
        let entry = entry(store, key);
        store.swap_in(&entry);
        store.settle();
        entry
    }

    /// The books of what is stored, and nothing but that.
    fn assert_entered(store: &MemoryStore) {
        let (entries, bytes) = store.up_to_date(|books| (books.len(), books.bytes()));
        let stored: Vec<_> = store.index.find(|_| true).flatten().collect();
        let weights = stored.iter().map(|one| one.weight());
        assert_eq!((entries, bytes), (stored.len(), weights.sum()));
    }

    #[test]
    fn nobody_waits_for_one_who_is_stopped_with_the_books_open() {
        let store = store(Eviction::TinyLfu);
        let keys: Vec<_> = (0..100).map(key).collect();
        put(&store, &keys[0]);
        let stopped = store.books.open();
        thread::scope(|threads| {
            let (say, said) = mpsc::channel();
            let (store, keys) = (&store, &keys);
            threads.spawn(move || {
                for key in keys {
                    let stored = put(store, key);
                    assert!(store.index.has(&stored), "it is found at once");
                }
                keys[..50].iter().for_each(|key| store.remove(key));
                assert_eq!(store.entries(), 50);
                say.send(()).unwrap();
            });
            let outcome = said.recv_timeout(Duration::from_secs(20));
            assert_eq!((stopped.len(), outcome), (1, Ok(())), "it waits");
            drop(stopped);
        });
        put(&store, &keys[99]);
        assert_eq!(store.notes.lock().len(), 100 + 50 + 1 - PORTION);
        assert_entered(&store);
        assert_eq!(store.entries(), 50);
    }

    #[test]
    fn what_is_yet_to_be_entered_is_bounded() {
        let store = MemoryStore::new(1 << 30, Eviction::TinyLfu, 8, None);
        let key = key(1);
        let stopped = store.books.open();
        thread::scope(|threads| {
            let (store, key) = (&store, &key);
            threads.spawn(move || (0..2 * MANY).for_each(|_| drop(put(store, key))));
            while store.notes.lock().len() < MANY {
                thread::yield_now();
            }
            (0..1000).for_each(|_| thread::yield_now());
            assert_eq!(store.notes.lock().len(), MANY);
            drop(stopped);
        });
        assert_entered(&store);
        assert_eq!(store.entries(), 1);
    }

    #[test]
    fn where_memory_is_full_somebody_leaves_before_more_come() {
        let store = store(Eviction::Lru);
        let keys: Vec<_> = (0..5000).map(key).collect();
        let (slack, bytes) = (ROOM / 64, || store.ledger().bytes());
        thread::scope(|threads| {
            let stopped = store.books.open();
            let (store, keys) = (&store, &keys);
            threads.spawn(move || keys.iter().for_each(|key| drop(put(store, key))));
            while bytes() <= ROOM + slack {
                thread::yield_now();
            }
            (0..1000).for_each(|_| thread::yield_now());
            assert!(bytes() < ROOM + slack + 1000, "{}", bytes());
            drop(stopped);
        });
        assert_entered(&store);
        assert!((ROOM / 2..=ROOM).contains(&bytes()), "{}", bytes());
    }

    #[test]
    fn what_left_before_it_was_said_to_have_come_is_not_entered() {
        let store = store(Eviction::TinyLfu);
        let key = key(1);
        let first = put(&store, &key);
        let entry = entry(&store, &key);
        let older = store.index.insert(&entry);
        assert!(older.as_ref().is_some_and(|one| Arc::ptr_eq(one, &first)));
        assert!(store.take_out(&entry) && !store.take_out(&entry));
        store.notes.push(Note::Came { entry, older });
        store.settle();
        assert_eq!(store.books.open().len(), 0);
    }

    #[test]
    fn what_was_replaced_before_it_was_entered_is_not() {
        let store = store(Eviction::Lru);
        let key = key(1);
        put(&store, &key);
        (0..3).for_each(|_| store.swap_in(&entry(&store, &key)));
        let last = put(&store, &key);
        assert_entered(&store);
        assert!(store.index.has(&last) && store.entries() == 1);
    }

    #[test]
    fn whoever_comes_and_goes_the_books_are_of_what_is_stored() {
        for eviction in [Eviction::TinyLfu, Eviction::Lru, Eviction::SoonestToExpire] {
            // Room for some of them.
            let store = MemoryStore::new(20_000, eviction, 8, None);
            let keys: Vec<_> = (0..100).map(key).collect();
            thread::scope(|threads| {
                for thread in 0..4_usize {
                    let (store, keys) = (&store, &keys);
                    threads.spawn(move || {
                        for n in 0..5_000 {
                            let key = &keys[n * (2 * thread + 1) % keys.len()];
                            let _turn = store.turn(key.digest());
                            match (n + thread) % 128 {
                                0..100 => drop(put(store, key)),
                                100..124 => store.remove(key),
                                124 => store.sweep(),
                                125 => {
                                    store.part_with(5_000);
                                }
                                126 => {
                                    store.make_room(0, 10_000);
                                }
                                _ => store.clear(),
                            }
                        }
                    });
                }
            });
            assert_entered(&store);
            store.part_with(u64::MAX);
            assert_eq!((store.entries(), store.ledger().bytes()), (0, 0));
        }
    }
}
