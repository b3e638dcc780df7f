//! A load signal that scales all quotas of a limiter.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How long a sample holds, nanoseconds: a signal may cost something, and need not be asked for
/// every request.
const HOLDS: u64 = 100_000_000;

#[derive(Clone)]
pub(crate) struct Signal {
    pub(crate) share: Arc<dyn Fn() -> f64 + Send + Sync>,
    pub(crate) bounds: RangeInclusive<f64>,
}

impl Signal {
    /// Never outside of the bounds; what is no number is the upper one, the quota as if there were
    /// no signal.
    fn read(&self) -> f64 {
        let share = (self.share)();
        let (floor, ceiling) = (*self.bounds.start(), *self.bounds.end());
        if share.is_nan() {
            ceiling
        } else {
            share.clamp(floor, ceiling)
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

/// A signal as it was when it was last sampled.
#[derive(Debug)]
pub(crate) struct Sampled {
    signal: Option<Signal>,
    share: AtomicU64,
    next: AtomicU64,
}

impl Sampled {
    pub(crate) fn new(signal: Option<Signal>) -> Self {
        Self {
            signal,
            share: AtomicU64::new(1.0_f64.to_bits()),
            next: AtomicU64::new(0),
        }
    }

    /// The share of each quota that holds now.
    #[inline]
    pub(crate) fn share(&self, now: u64) -> f64 {
        match &self.signal {
            None => 1.0,
            Some(signal) => self.sampled(signal, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn sampled(&self, signal: &Signal, now: u64) -> f64 {
        let next = self.next.load(Relaxed);
        let due = now >= next
            && self
                .next
                .compare_exchange(next, now.saturating_add(HOLDS), Relaxed, Relaxed)
                .is_ok();
        if due {
            self.share.store(signal.read().to_bits(), Relaxed);
        }
        f64::from_bits(self.share.load(Relaxed))
    }
}
