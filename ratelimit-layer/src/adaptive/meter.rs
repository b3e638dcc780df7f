//! Measures requests, and hands the limits on to the permits.

use super::control::{Control, Next, Order, Window};
use super::judge::{Outcome, Verdict};
use super::settings::{Adaptive, Judge};
use super::windows::{Decide, Windows};
use crate::clock::Clock;
use crate::concurrency::Permits;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What a layer with an adaptive limit has in addition.
pub(crate) struct Meter {
    clock: Clock,
    permits: Arc<Permits>,
    told: Arc<Told>,
    windows: Windows<Helm>,
    judge: Option<Judge>,
    /// Shorter round trips are not counted, nanoseconds.
    shortest: u64,
    /// Longer ones are overload.
    longest: u64,
}

/// What the last window came to.
struct Told {
    limit: AtomicUsize,
    /// Mean, in nanoseconds.
    round_trip: AtomicU64,
}

/// Where windows become limits.
struct Helm {
    control: Control,
    permits: Arc<Permits>,
    told: Arc<Told>,
    total: usize,
    /// Above all limits.
    max_total: usize,
}

impl Decide for Helm {
    fn next(&mut self, window: Window, now: u64) -> Next {
        if let Some(mean) = window.time.checked_div(window.answered) {
            self.told.round_trip.store(mean, Relaxed);
        }
        let Order { limit, total, next } = self.control.next(window, now);
        self.told.limit.store(limit, Relaxed);
        self.total = total;
        self.apply();
        next
    }
}

impl Helm {
    fn apply(&self) {
        self.permits.set_total(self.total.min(self.max_total));
    }
}

impl Meter {
    /// `max_total` is the upper bound of all limits.
    pub(crate) fn new(adaptive: &Adaptive, permits: &Arc<Permits>, max_total: usize) -> Arc<Self> {
        let clock = Clock::new();
        let start = adaptive.first_limit();
        let told = Arc::new(Told {
            limit: AtomicUsize::new(start),
            round_trip: AtomicU64::new(u64::MAX),
        });
        let (control, first) = Control::new(adaptive.rules(), start as f64, clock.now());
        let helm = Helm {
            control,
            permits: Arc::clone(permits),
            told: Arc::clone(&told),
            total: start,
            max_total,
        };
        helm.apply();
        Arc::new(Self {
            clock,
            permits: Arc::clone(permits),
            told,
            windows: Windows::new(helm, first),
            judge: adaptive.judge(),
            shortest: adaptive.shortest(),
            longest: adaptive.longest(),
        })
    }

    /// Begins to measure a request of the client with this hash.
    pub(crate) fn start(self: &Arc<Self>, client: u64) -> Flight {
        Flight {
            started: self.clock.now(),
            client,
            meter: Some(Arc::clone(self)),
        }
    }

    /// How many requests may be in flight, whether or not a measurement allows fewer just now.
    pub(crate) fn limit(&self) -> usize {
        self.told.limit.load(Relaxed)
    }

    /// From now on no more than this are in flight, whatever the limit.
    pub(crate) fn set_max_total(&self, n: usize) {
        self.windows.decide(|helm| {
            helm.max_total = n;
            helm.apply();
        });
    }

    fn end(&self, client: u64, round_trip: u64, verdict: Verdict, now: u64) {
        let round_trip = match verdict {
            Verdict::Overload => None,
            Verdict::Sample if round_trip > self.longest => None,
            Verdict::Sample if round_trip >= self.shortest => Some(round_trip),
            Verdict::Sample | Verdict::Ignore => return,
        };
        if self.windows.count(now) {
            let in_flight = self.permits.in_flight() as u64;
            self.windows.add(client, round_trip, in_flight, now);
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

/// A request on its way to the service and back.
///
/// One that is dropped before its answer has come would have taken longer still: it counts with the
/// time it has taken if that is above the average, and says nothing otherwise.
#[derive(Debug)]
pub(crate) struct Flight {
    started: u64,
    client: u64,
    /// `None` once it has ended.
    meter: Option<Arc<Meter>>,
}

impl Flight {
    /// The answer's head is there, or an error.
    pub(crate) fn end(mut self, outcome: &Outcome<'_>) {
        if let Some(meter) = self.meter.take() {
            let verdict = match &meter.judge {
                Some(judge) => judge(outcome),
                None => Verdict::standard(outcome),
            };
            let now = meter.clock.now();
            meter.end(self.client, now.saturating_sub(self.started), verdict, now);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(meter) = self.meter.take() {
            let now = meter.clock.now();
            let so_far = now.saturating_sub(self.started);
            if so_far > meter.told.round_trip.load(Relaxed) {
                meter.end(self.client, so_far, Verdict::Sample, now);
            }
        }
    }
}
