//! Bytes as they are really held: added when a value is made, taken off when its last reader drops it.

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
    }
}
