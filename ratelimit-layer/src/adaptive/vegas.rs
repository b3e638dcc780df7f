//! Vegas: the limit follows an estimate of how many requests queue.

use super::algorithm::{Sample, head_room};
use super::checked;

/// Keeps the number of requests that queue between two bounds.
///
/// After TCP Vegas ([Brakmo and Peterson 1995][paper]) as [Netflix's VegasLimit][netflix] applies it to
/// requests. Of `limit` requests in flight, `limit × (1 − unloaded / current)` are not worked on but
/// queue. With `u` for log10 of the limit, at least 1, each window moves the limit by
///
/// | requests in the queue | the limit goes |
/// | --- | --- |
/// | up to `threshold × u` | up by `beta × u` |
/// | fewer than `alpha × u` | up by `u` |
/// | between | nowhere |
/// | more than `beta × u` | down by `u` |
/// | more than `2 × beta × u` | down by `beta × u` |
///
/// The last row is not in the original, which takes its steps down with every request and not with
/// every window. The unloaded round trip is not the shortest that was ever seen, which is a lucky one
/// where requests differ: it is an average that is
/// [measured anew](crate::Adaptive::remeasure_every), with few requests in flight.
///
/// A service that works on `c` requests at once ends up with a limit of `c + alpha × u` to
/// `c + beta × u`. It needs what [`Gradient2`](crate::Gradient2) needs, and its steps follow the noise
/// of round trips more closely: below some 50 requests at once take that one.
///
/// [paper]: https://doi.org/10.1109/49.464716
/// [netflix]: https://github.com/Netflix/concurrency-limits/blob/main/concurrency-limits-core/src/main/java/com/netflix/concurrency/limits/limit/VegasLimit.java
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Vegas {
    alpha: f64,
    beta: f64,
    threshold: f64,
}

impl Default for Vegas {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            beta: 2.0,
            threshold: 0.0,
        }
    }
}

impl Vegas {
    /// With the settings' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The queue that is aimed at, from `alpha` to `beta`, in multiples of log10 of the limit (at
    /// least 1): 0 to 100. The default is 1 and 2: where round trips differ, the limit overshoots by a
    /// step of `beta × u`. The paper takes 1 and 3, Netflix 3 and 6.
    ///
    /// # Panics
    ///
    /// When one of them is outside that range, or `alpha` above `beta`.
    #[track_caller]
    pub fn queue(mut self, alpha: f64, beta: f64) -> Self {
        self.alpha = checked("Vegas alpha", alpha, 0.0..=100.0);
        self.beta = checked("Vegas beta", beta, alpha..=100.0);
        self
    }

    /// Up to what queue the limit grows fast, likewise: 0 to 100. The default is 0; Netflix takes 1.
    ///
    /// # Panics
    ///
    /// When `threshold` is outside that range.
    #[track_caller]
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = checked("Vegas threshold", threshold, 0.0..=100.0);
        self
    }

    pub(super) fn next(&self, limit: f64, sample: Sample) -> f64 {
        let unit = head_room(limit);
        let queue = limit * (1.0 - sample.unloaded / sample.round_trip) / unit;
        let steps = if queue <= self.threshold {
            self.beta.max(1.0)
        } else if queue < self.alpha {
            1.0
        } else if queue <= self.beta {
            0.0
        } else if queue <= 2.0 * self.beta {
            -1.0
        } else {
            -self.beta.max(1.0)
        };
        limit + steps * unit
    }
}
