//! What one request body holds of the budget.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::Waker,
};

use bytes::Bytes;

use crate::{Overloaded, Reservation, admission::Asker, guard::Guard};

/// What a body, its frames and the future of its response know of each other.
///
/// Dropping the last of them gives back what is still promised.
#[derive(Debug)]
pub(crate) struct Account {
    guard: Arc<Guard>,
    /// Bytes promised: for frames to come, and for copies of those that are alive.
    promised: AtomicU64,
    /// Bytes of frames that carry a promise and are alive.
    alive: AtomicU64,
    /// Bytes of the promise for what the handler makes of frames, until its response is ready.
    kept: AtomicU64,
    /// Whether it is.
    answered: AtomicBool,
    /// Whether more of the body may come.
    open: AtomicBool,
    /// Whether the body waits for room.
    waits: AtomicBool,
    /// Why the guard ended the body.
    ended: OnceLock<Overloaded>,
    /// Whom to wake when the guard ends it.
    waker: Mutex<Option<Waker>>,
}

impl Account {
    /// Opens one with what was reserved for the body.
    pub(crate) fn open(reservation: Reservation) -> Arc<Self> {
        let (guard, promised) = reservation.into_parts();
        Arc::new(Self {
            guard,
            promised: AtomicU64::new(promised),
            alive: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            open: AtomicBool::new(true),
            waits: AtomicBool::new(false),
            ended: OnceLock::new(),
            waker: Mutex::new(None),
        })
    }

    pub(crate) fn ended(&self) -> Option<&Overloaded> {
        self.ended.get()
    }

    pub(super) fn promised(&self) -> u64 {
        self.promised.load(Relaxed)
    }

    pub(super) fn alive(&self) -> u64 {
        self.alive.load(Relaxed)
    }

    pub(super) const fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }

    /// No more of the body will come: what was promised `ahead` of it is given back.
    pub(super) fn close(&self, ahead: u64) {
        self.open.store(false, Relaxed);
        self.release(ahead);
    }

    pub(super) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    pub(super) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Relaxed);
    }

    /// Adds `bytes` to the promise if they fit, and says whether they did. For none it is enough that the heap is within
    /// the budget: a promise covers the body's bytes, not what a handler or the frames' bookkeeping makes of them.
    pub(super) fn grow(&self, bytes: u64, asker: Asker) -> bool {
        if bytes == 0 {
            let budget = self.guard.budget().bytes();
            return self.guard.measure().bytes_of(budget) <= budget;
        }
        let fits = self.guard.reserve(bytes, asker).is_ok();
        if fits {
            self.promised.fetch_add(bytes, Relaxed);
        }
        fits
    }

    pub(super) fn release(&self, bytes: u64) {
        self.promised.fetch_sub(bytes, Relaxed);
        self.guard.release(bytes);
    }

    /// Keeps `bytes` of the promise until the response is ready, if it is not.
    pub(super) fn keep(&self, bytes: u64) {
        self.kept.fetch_add(bytes, SeqCst);
        // Either this sees the answer, or the answer sees the bytes.
        if self.answered.load(SeqCst) {
            self.release(self.kept.swap(0, SeqCst));
        }
    }

    /// The response is ready: what the handler made of the body is in the heap, or gone.
    pub(crate) fn answered(&self) {
        self.answered.store(true, SeqCst);
        self.release(self.kept.swap(0, SeqCst));
    }

    /// Ties `share` bytes of the promise to a frame: they are given back when the last part of it is dropped.
    pub(super) fn carry(self: &Arc<Self>, data: Bytes, share: u64) -> Bytes {
        if share == 0 {
            return data;
        }
        let length = data.len() as u64;
        self.alive.fetch_add(length, Relaxed);
        Bytes::from_owner(Carried {
            data,
            _share: Share {
                account: Arc::clone(self),
                length,
                bytes: share,
            },
        })
    }

    /// Ends the body, unless it has been; the reason is the first one.
    #[cold]
    pub(super) fn end(&self, why: Overloaded) -> Overloaded {
        let first = self.ended.get_or_init(|| {
            self.guard.count_ended();
            why
        });
        let waker = self.waker().take();
        if let Some(waker) = waker {
            waker.wake();
        }
        first.clone()
    }

    /// Ends the body for others, and wakes whoever waits for it.
    pub(super) fn give_up(&self) {
        self.end(self.guard.no_room(self.promised()));
    }

    /// Remembers whom to wake when the guard ends the body; false if it has.
    pub(super) fn sleep(&self, waker: &Waker) -> bool {
        let mut slot = self.waker();
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
        drop(slot);
        // Whoever ends it after this finds the waker; who did before has left the reason.
        self.ended.get().is_none()
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.guard.release(*self.promised.get_mut());
    }
}

/// A frame's bytes with the promise for their copies.
struct Carried {
    // Dropped first: the heap falls before the promise does.
    data: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Carried {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

struct Share {
    account: Arc<Account>,
    length: u64,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.account.alive.fetch_sub(self.length, Relaxed);
        self.account.release(self.bytes);
    }
}
