//! A promise of bytes that keeps itself: what is not released is released by dropping it.

use std::{fmt, mem, sync::Arc};

use super::Asker;
use crate::guard::Guard;

/// Bytes of the budget set aside for its holder; dropping it gives them back.
///
/// Made by [`MemGuardHandle::reserve`](crate::MemGuardHandle::reserve) for the application's own large jobs, and held
/// by the guard for request bodies. While a job allocates what it reserved, the same bytes count twice, in the heap and
/// here; [`release`](Self::release) what has been allocated if that matters.
#[must_use = "dropping a reservation gives its bytes back"]
pub struct Reservation {
    guard: Arc<Guard>,
    bytes: u64,
}

impl Reservation {
    /// Takes over `bytes` that were just reserved from `guard`'s budget.
    pub(crate) fn of(guard: Arc<Guard>, bytes: u64) -> Self {
        Self { guard, bytes }
    }

    /// The bytes held now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives up to `bytes` back before the rest, and returns how many that was.
    pub fn release(&mut self, bytes: u64) -> u64 {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.guard.release(bytes);
        bytes
    }

    /// Reserves `bytes` more if they fit the budget, and says whether they did.
    ///
    /// They do not while request bodies that are half read wait for room.
    #[must_use = "without the room the bytes are not reserved"]
    pub fn grow(&mut self, bytes: u64) -> bool {
        let fits = self.guard.reserve(bytes, Asker::Body).is_ok();
        if fits {
            self.bytes += bytes;
        }
        fits
    }

    /// Holds `bytes` from now on, whether they fit or not.
    #[inline]
    pub(crate) fn hold(&mut self, bytes: u64) {
        match bytes.checked_sub(self.bytes) {
            None => {
                self.release(self.bytes - bytes);
            }
            Some(0) => {}
            Some(more) => {
                self.guard.budget().insist(more);
                self.bytes = bytes;
            }
        }
    }

    /// Who keeps the promise, and what is promised from now on by others.
    pub(crate) fn into_parts(mut self) -> (Arc<Guard>, u64) {
        (Arc::clone(&self.guard), mem::take(&mut self.bytes))
    }

    /// Moves up to `bytes` of this reservation into one of their own.
    pub(crate) fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self::of(Arc::clone(&self.guard), bytes)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.guard.release(self.bytes);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
