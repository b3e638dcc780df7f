//! Gradient2: the limit follows the gradient between an unloaded and a current round trip.

use super::algorithm::{Sample, head_room};
use super::checked;

/// Moves the limit by how much longer a round trip takes than it would without a queue.
///
/// After [Netflix's Gradient2Limit][netflix]: for every window of requests
///
/// ```text
/// gradient = tolerance × unloaded / current      0.5 to 2
/// target   = limit × gradient + queue × log10(limit)
/// limit    = limit + smoothing × (target − limit)
/// ```
///
/// so that a service that works on `c` requests at once and queues the rest settles at about
/// `tolerance × c`. Three things differ from the original.
///
/// - The original compares with a long average of round trips alone. Under lasting load this takes the
///   queue for the normal state, and the limit creeps up to its ceiling. Here `unloaded` is the lower
///   of that average and of a round trip that is [measured anew](crate::Adaptive::remeasure_every)
///   from time to time, with few requests in flight, as [Envoy's gradient controller][envoy] does.
/// - A gradient over 1 counts too, as with Envoy, so that a large limit grows in proportion to its size.
/// - The queue is a multiple of log10 of the limit, as in Vegas, where the original allows 4.
///
/// It needs round trips that rise with load and that are otherwise alike: where quick and slow
/// requests come in a changing mix, allow a larger [`tolerance`](Self::tolerance), tell them apart by
/// [`judge_by`](crate::Adaptive::judge_by), or limit them by layers of their own.
///
/// [netflix]: https://github.com/Netflix/concurrency-limits/blob/main/concurrency-limits-core/src/main/java/com/netflix/concurrency/limits/limit/Gradient2Limit.java
/// [envoy]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Gradient2 {
    tolerance: f64,
    smoothing: f64,
    queue: f64,
    long_window: u32,
}

impl Default for Gradient2 {
    fn default() -> Self {
        Self {
            tolerance: 1.05,
            smoothing: 0.2,
            queue: 1.0,
            long_window: 600,
        }
    }
}

impl Gradient2 {
    /// With the settings' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many times longer than unloaded a round trip may take before the limit falls, 1 to 10.
    /// The default is 1.05; Netflix allows 1.5, which keeps a queue of half of what is worked on.
    ///
    /// # Panics
    ///
    /// When `tolerance` is outside that range.
    #[track_caller]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = checked("gradient tolerance", tolerance, 1.0..=10.0);
        self
    }

    /// How much of the way to its target the limit goes with each window, 0.01 to 1; the default is
    /// 0.2.
    ///
    /// # Panics
    ///
    /// When `smoothing` is outside that range.
    #[track_caller]
    pub fn smoothing(mut self, smoothing: f64) -> Self {
        self.smoothing = checked("gradient smoothing", smoothing, 0.01..=1.0);
        self
    }

    /// How many requests may queue, in multiples of log10 of the limit (at least 1), 0 to 100. The
    /// default is 1: one request at a limit of 10, two at 100.
    ///
    /// # Panics
    ///
    /// When `queue` is outside that range.
    #[track_caller]
    pub fn queue(mut self, queue: f64) -> Self {
        self.queue = checked("gradient queue", queue, 0.0..=100.0);
        self
    }

    /// Over how many windows the long average goes, 1 to 1,000,000; the default is 600.
    ///
    /// # Panics
    ///
    /// When `windows` is outside that range.
    #[track_caller]
    pub fn long_window(mut self, windows: u32) -> Self {
        self.long_window = checked("long window", windows, 1..=1_000_000);
        self
    }

    pub(super) fn long_windows(&self) -> u32 {
        self.long_window
    }

    pub(super) fn tolerated(&self) -> f64 {
        self.tolerance
    }

    pub(super) fn next(&self, limit: f64, sample: Sample) -> f64 {
        let gradient = (self.tolerance * sample.unloaded / sample.round_trip).clamp(0.5, 2.0);
        let target = limit * gradient + self.queue * head_room(limit);
        limit + self.smoothing * (target - limit)
    }
}
