//! Counters that many threads add to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const STRIPES: usize = 16;

/// `N` counters, each spread over as many cache lines as there are stripes. A request adds to the
/// stripe of its client, so two threads meet here no more often than they do in the table.
#[derive(Debug)]
pub(crate) struct Counters<const N: usize>([Stripe<N>; STRIPES]);

#[derive(Debug)]
#[repr(align(128))]
struct Stripe<const N: usize>([AtomicU64; N]);

impl<const N: usize> Counters<N> {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| {
            Stripe(std::array::from_fn(|_| AtomicU64::new(0)))
        }))
    }

    #[inline]
    pub(crate) fn add(&self, counter: usize, hash: u64) {
        self.add_some(counter, hash, 1);
    }

    #[inline]
    pub(crate) fn add_some(&self, counter: usize, hash: u64, n: u64) {
        // The top bits: the table's sets use others.
        self.0[(hash >> 60) as usize].0[counter].fetch_add(n, Relaxed);
    }

    pub(crate) fn sum(&self, counter: usize) -> u64 {
        self.0
            .iter()
            .map(|stripe| stripe.0[counter].load(Relaxed))
            .fold(0, u64::wrapping_add)
    }
}
