//! AIMD: additive increase, multiplicative decrease.

use super::checked;
use std::time::Duration;

/// Grows by one while all is well and falls by a ratio at signs of overload.
///
/// After [Chiu and Jain 1989][paper], with the numbers of [Netflix's AIMDLimit][netflix]. It looks at
/// nothing but errors and time-outs, so it needs a service that shows overload by them: one with a
/// bounded queue of its own that answers 503 when this is full, or a [`timeout`](Self::timeout) that
/// an overloaded one exceeds. It suits services whose round trips say nothing about their load. The
/// limit goes back and forth between where overload begins and `back_off` times that.
///
/// [paper]: https://doi.org/10.1016/0169-7552(89)90019-6
/// [netflix]: https://github.com/Netflix/concurrency-limits/blob/main/concurrency-limits-core/src/main/java/com/netflix/concurrency/limits/limit/AIMDLimit.java
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Aimd {
    back_off: f64,
    timeout: Duration,
}

impl Default for Aimd {
    fn default() -> Self {
        Self {
            back_off: BACK_OFF,
            timeout: Duration::from_secs(5),
        }
    }
}

/// What is left of a limit after overload.
pub(super) const BACK_OFF: f64 = 0.9;

impl Aimd {
    /// With the settings' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is left of the limit after a window with overload, 0.5 to 0.99; the default is 0.9.
    ///
    /// # Panics
    ///
    /// When `ratio` is outside that range.
    #[track_caller]
    pub fn back_off(mut self, ratio: f64) -> Self {
        self.back_off = checked("back-off ratio", ratio, 0.5..=0.99);
        self
    }

    /// A round trip longer than this is a sign of overload, whatever comes of it: 1 ms to a day. The
    /// default is 5 s.
    ///
    /// # Panics
    ///
    /// When `timeout` is outside that range.
    #[track_caller]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let allowed = Duration::from_millis(1)..=Duration::from_secs(86_400);
        self.timeout = checked("time-out", timeout, allowed);
        self
    }

    pub(super) fn longest(&self) -> Duration {
        self.timeout
    }

    pub(super) fn ratio(&self) -> f64 {
        self.back_off
    }

    pub(super) fn next(limit: f64) -> f64 {
        limit + 1.0
    }
}
