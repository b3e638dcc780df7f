//! Bytes as they are really held: added when a value is made, taken off when its last reader drops it.

use bytes::Bytes;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sum of all [`Charge`]s, which never exceeds its bound.
#[derive(Debug)]
pub(crate) struct Ledger {
    bytes: AtomicU64,
    most: u64,
}

impl Ledger {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            most,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        // Relaxed: a sum to compare with a bound; it orders nothing.
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn has_room(&self, more: u64) -> bool {
        self.bytes().saturating_add(more) <= self.most
    }

    /// Octets that stay charged until the last copy of them is dropped: a slow reader's too. None if
    /// there is no room for them.
    pub(crate) fn hold(self: &Arc<Self>, octets: Vec<u8>) -> Option<Bytes> {
        if octets.is_empty() {
            return Some(Bytes::new());
        }
        let octets = octets.into_boxed_slice();
        let charge = Charge::new(self, (octets.len() + HELD) as u64);
        charge.is_whole().then(|| {
            Bytes::from_owner(Held {
                octets,
                _charge: charge,
            })
        })
    }

    /// Adds as much of it as is within the bound; returns that.
    fn add(&self, bytes: u64) -> u64 {
        let mut added = 0;
        let add = |held: u64| {
            added = bytes.min(self.most.saturating_sub(held));
            Some(held + added)
        };
        let _ = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        added
    }

    fn take_off(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
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

/// Bytes that somebody holds, as far as there is room for them; dropping it is giving them back.
///
/// What is not counted in whole is in nobody's way for long: it is not stored, and goes with its reader.
#[derive(Debug)]
pub(crate) struct Charge {
    ledger: Arc<Ledger>,
    held: u64,
    bytes: u64,
}

impl Charge {
    pub(crate) fn new(ledger: &Arc<Ledger>, held: u64) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            held,
            bytes: ledger.add(held),
        }
    }

    /// Whether all of it is counted.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes == self.held
    }

    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Something is held besides; true if all is counted.
    pub(crate) fn grow(&mut self, more: u64) -> bool {
        self.held += more;
        self.bytes += self.ledger.add(self.held - self.bytes);
        self.is_whole()
    }

    /// Some of it is held no more.
    pub(crate) fn shrink(&mut self, less: u64) {
        self.held -= less;
        let over = self.bytes.saturating_sub(self.held);
        self.ledger.take_off(over);
        self.bytes -= over;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.take_off(self.bytes);
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
        let ledger = Arc::new(Ledger::new(u64::MAX));
        let octets = ledger.hold(vec![0; 1000]).unwrap();
        let reading = octets.slice(100..200);
        assert_eq!(ledger.bytes(), 1000 + HELD as u64);
        assert_eq!(given_back(|| drop(octets)), 0, "somebody is reading it");
        assert_eq!(given_back(|| drop(reading)), 1000 + HELD as u64);
        assert_eq!(ledger.bytes(), 0);
        let none = ledger.hold(Vec::new()).unwrap();
        assert_eq!((none.len(), ledger.bytes()), (0, 0));
    }

    #[test]
    fn the_bound_holds_and_what_does_not_fit_is_known() {
        let ledger = Arc::new(Ledger::new(100));
        let mut one = Charge::new(&ledger, 60);
        let other = Charge::new(&ledger, 50);
        assert!(one.is_whole() && !other.is_whole() && ledger.bytes() == 100);
        assert!(!one.grow(10) && ledger.bytes() == 100);
        one.shrink(5);
        assert_eq!((one.held(), ledger.bytes()), (65, 100));
        drop(other);
        assert_eq!(ledger.bytes(), 60);
        assert!(one.grow(35) && ledger.bytes() == 100);
        assert!(ledger.hold(vec![0]).is_none() && !ledger.has_room(1));
        one.shrink(100);
        assert_eq!(ledger.bytes(), 0);
    }

    #[test]
    fn threads_together_never_exceed_the_bound() {
        let ledger = Arc::new(Ledger::new(1000));
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for bytes in 0..20_000 {
                        let charge = Charge::new(&ledger, bytes % 700);
                        assert!(ledger.bytes() <= 1000 && charge.held() < 700);
                    }
                });
            }
        });
        assert_eq!(ledger.bytes(), 0);
    }
}
