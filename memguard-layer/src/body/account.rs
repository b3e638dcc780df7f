//! What one request body holds of the budget.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;

use crate::{Overloaded, OverloadedKind, Reservation, guard::Guard};

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
    /// Why the guard ended the body.
    ended: OnceLock<Overloaded>,
}

impl Account {
    /// Opens one with what was reserved for the body.
    pub(crate) fn open(reservation: Reservation) -> Arc<Self> {
        let (guard, promised) = reservation.into_parts();
        Arc::new(Self {
            guard,
            promised: AtomicU64::new(promised),
            alive: AtomicU64::new(0),
            ended: OnceLock::new(),
        })
    }

    pub(crate) fn ended(&self) -> Option<&Overloaded> {
        self.ended.get()
    }

    pub(super) fn promised(&self) -> u64 {
        self.promised.load(Relaxed)
    }

    /// Adds `bytes` to the promise if they fit, and says whether they did.
    pub(super) fn grow(&self, bytes: u64) -> bool {
        let fits = self.guard.reserve(bytes).is_ok();
        if fits {
            self.promised.fetch_add(bytes, Relaxed);
        }
        fits
    }

    pub(super) fn release(&self, bytes: u64) {
        self.promised.fetch_sub(bytes, Relaxed);
        self.guard.release(bytes);
    }

    /// A promise covers the body's bytes, not what a handler or the frames' bookkeeping makes of them.
    pub(super) fn heap_is_within_budget(&self) -> bool {
        let budget = self.guard.budget().bytes();
        self.guard.measure().bytes_of(budget) <= budget
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

    /// Ends the body for want of room for a frame of `length` bytes that would cost `factor` times as much.
    #[cold]
    pub(super) fn end_for(&self, length: u64, factor: u64) -> Overloaded {
        // A body that is held frame by frame and fills the budget alone will not fit next time either.
        let alone = self
            .alive
            .load(Relaxed)
            .saturating_add(length)
            .saturating_mul(factor);
        let kind = match alone > self.guard.budget().bytes() {
            true => OverloadedKind::TooLarge,
            false => OverloadedKind::NoRoom,
        };
        let wanted = length.saturating_mul(factor);
        self.end(self.guard.overloaded(kind, self.guard.look().1, wanted))
    }

    /// Ends the body, unless it has been; the reason is the first one.
    fn end(&self, why: Overloaded) -> Overloaded {
        let first = self.ended.get_or_init(|| {
            self.guard.count_ended();
            why
        });
        first.clone()
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
