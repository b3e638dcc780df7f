//! Bytes as they are really held: added when a value is made, taken off when its last reader drops it.

use bytes::Bytes;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sum of all [`Charge`]s.
#[derive(Debug, Default)]
pub(crate) struct Ledger(AtomicU64);

impl Ledger {
    pub(crate) fn bytes(&self) -> u64 {
        // Relaxed: a sum to compare with a bound; it orders nothing.
        self.0.load(Ordering::Relaxed)
    }

    /// Octets that stay charged until the last copy of them is dropped: a slow reader's too.
    pub(crate) fn hold(self: &Arc<Self>, octets: Vec<u8>) -> Bytes {
        if octets.is_empty() {
            return Bytes::new();
        }
        let octets = octets.into_boxed_slice();
        let bytes = (octets.len() + HELD) as u64;
        Bytes::from_owner(Held {
            octets,
            _charge: Charge::new(self, bytes),
        })
    }
}

thread_local! {
    static GIVEN_BACK: Cell<u64> = const { Cell::new(0) };
}

/// What this thread gives back in the course of `work`, to whatever ledger: what others still read is
/// not among it.
pub(crate) fn given_back(work: impl FnOnce()) -> u64 {
    let before = GIVEN_BACK.get();
    work();
    GIVEN_BACK.get().wrapping_sub(before)
}

/// Bytes that somebody holds; dropping it is giving them back.
#[derive(Debug)]
pub(crate) struct Charge {
    ledger: Arc<Ledger>,
    bytes: u64,
}

impl Charge {
    pub(crate) fn new(ledger: &Arc<Ledger>, bytes: u64) -> Self {
        ledger.0.fetch_add(bytes, Ordering::Relaxed);
        Self {
            ledger: Arc::clone(ledger),
            bytes,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn set(&mut self, bytes: u64) {
        // Wrapping: a difference below zero is one to take off.
        self.ledger
            .0
            .fetch_add(bytes.wrapping_sub(self.bytes), Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.0.fetch_sub(self.bytes, Ordering::Relaxed);
        // Not while the thread itself goes: nobody asks it any more.
        let _ = GIVEN_BACK.try_with(|sum| sum.set(sum.get().wrapping_add(self.bytes)));
    }
}

/// Octets and their charge, as `Bytes` own them.
struct Held {
    octets: Box<[u8]>,
    _charge: Charge,
}

/// What owning them takes besides: `Bytes` puts a count and a way to drop them in front.
const HELD: usize = size_of::<Held>() + 16;

/// What all of these octets were charged with.
pub(super) fn held_bytes(octets: &Bytes) -> u64 {
    match octets.len() {
        0 => 0,
        length => (length + HELD) as u64,
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_charged_until_the_last_copy_goes() {
        let ledger = Arc::new(Ledger::default());
        let octets = ledger.hold(vec![0; 1000]);
        let reading = octets.slice(100..200);
        assert_eq!(ledger.bytes(), 1000 + HELD as u64);
        assert_eq!(given_back(|| drop(octets)), 0, "somebody is reading it");
        assert_eq!(given_back(|| drop(reading)), 1000 + HELD as u64);
        assert_eq!(ledger.bytes(), 0);
        assert_eq!(ledger.hold(Vec::new()).len() as u64 + ledger.bytes(), 0);
    }
}
