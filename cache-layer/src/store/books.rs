//! The books behind their lock, at which requests come before whoever parts with many entries.

use super::policy::Policy;
use super::resource::Resource;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

pub(super) type Open<'a> = MutexGuard<'a, Policy<Resource>>;

/// A lock alone would not do: it goes to whoever comes first, and that is nearly always the one who has
/// just given it back, while the request that slept before it is still being woken.
pub(super) struct Books {
    policy: Mutex<Policy<Resource>>,
    /// Requests that wait.
    waiting: AtomicUsize,
    /// Those at work on many entries.
    parting: AtomicUsize,
}

/// How often one looks again before it sleeps: some ten microseconds, in which several entries leave.
const LOOKS: usize = 1000;

impl Books {
    pub(super) fn new(policy: Policy<Resource>) -> Self {
        Self {
            policy: Mutex::new(policy),
            waiting: AtomicUsize::new(0),
            parting: AtomicUsize::new(0),
        }
    }

    /// For a request.
    pub(super) fn open(&self) -> Open<'_> {
        self.try_open().unwrap_or_else(|| self.wait())
    }

    #[cold]
    fn wait(&self) -> Open<'_> {
        let _waiting = Counted::new(&self.waiting);
        if self.parting.load(Relaxed) > 0 {
            // They are closed a few entries after it is seen that somebody waits.
            for _ in 0..LOOKS {
                if let Some(open) = self.try_open() {
                    return open;
                }
                spin_loop();
            }
        }
        self.lock()
    }

    /// For the time in which somebody parts with many entries.
    pub(super) fn part(&self) -> Parting<'_> {
        Parting {
            books: self,
            _counted: Counted::new(&self.parting),
        }
    }

    /// None while somebody is at them.
    pub(super) fn try_open(&self) -> Option<Open<'_>> {
        match self.policy.try_lock() {
            Ok(open) => Some(open),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lock(&self) -> Open<'_> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One at work on many entries.
pub(super) struct Parting<'a> {
    books: &'a Books,
    _counted: Counted<'a>,
}

impl<'a> Parting<'a> {
    /// Once no request waits; or some go on waiting, and it is this one's turn all the same.
    pub(super) fn open(&self) -> Open<'a> {
        for _ in 0..LOOKS {
            if !self.is_in_the_way() {
                break;
            }
            spin_loop();
        }
        self.books.lock()
    }

    /// Whether a request waits.
    pub(super) fn is_in_the_way(&self) -> bool {
        self.books.waiting.load(Relaxed) > 0
    }
}

/// One more, for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Eviction;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    fn books() -> Books {
        Books::new(Policy::new(1, Eviction::default()))
    }

    #[test]
    fn a_request_is_let_in_while_somebody_parts_with_many() {
        let books = books();
        let [opened, over, unseen] = [false; 3].map(AtomicBool::new);
        thread::scope(|threads| {
            threads.spawn(|| {
                let parting = books.part();
                while !over.load(Relaxed) {
                    let _open = parting.open();
                    opened.store(true, Relaxed);
                    let mut patience = 10_000_000;
                    while !parting.is_in_the_way() && !over.load(Relaxed) {
                        thread::yield_now();
                        patience -= 1;
                        if patience == 0 {
                            unseen.store(true, Relaxed);
                            return;
                        }
                    }
                }
            });
            // The first one finds them open, and is seen, or waits for the patience to end.
            while !opened.load(Relaxed) {
                thread::yield_now();
            }
            (0..100).for_each(|_| drop(books.open()));
            over.store(true, Relaxed);
        });
        assert!(!unseen.load(Relaxed), "nobody saw that a request waits");
    }

    #[test]
    fn requests_without_end_do_not_keep_anybody_from_parting_with_what_is_dead() {
        let books = books();
        let _waiting = Counted::new(&books.waiting);
        let parting = books.part();
        assert!(parting.is_in_the_way());
        drop(parting.open());
        drop(parting);
        assert_eq!(books.parting.load(Relaxed), 0);
    }
}
