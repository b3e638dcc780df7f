//! [`Adaptive`]: how the limit for all clients together follows the service.

use super::aimd::Aimd;
use super::algorithm::Algorithm;
use super::control;
use super::gradient2::Gradient2;
use super::judge::{Outcome, Verdict};
use super::vegas::Vegas;
use super::{checked, nanos};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

pub(super) type Judge = Arc<dyn Fn(&Outcome<'_>) -> Verdict + Send + Sync>;

/// How the limit for all clients together follows the service; for
/// [`ConcurrencyLimitLayer::adaptive`](crate::ConcurrencyLimitLayer::adaptive).
///
/// # What is measured
///
/// The round trip of a request: from the call of the service below to the head of its answer. Time in
/// line does not count, since it is the limit's own doing. Nor does the body's: how long that takes
/// is up to the client as well, and a slow reader must not look like a slow service. A service that
/// does its work while the body is sent is so not seen at work; limit it by [`Aimd`], or by a number.
///
/// Errors, 503 and 504 and their gRPC counterparts are signs of overload and not round trips, because
/// refusals are quick; [`judge_by`](Self::judge_by) sees that otherwise. A request that is dropped
/// before its answer has come (its client has gone, a time-out above has struck) counts with the time
/// it has taken so far if that is above the average, and not at all otherwise. Exempt requests are not
/// measured.
///
/// # How the limit moves
///
/// Requests are taken together in [windows](Self::window), and the limit moves once after each, as the
/// algorithm says. It doubles until the service shows that it has enough for the first time, it
/// falls by a tenth (or as [`Aimd`] says) when more than [a few](Self::overload_share) of the requests
/// show overload, and it never rises while less than half of it is used.
///
/// | | looks at | settles at |
/// | --- | --- | --- |
/// | [`gradient2`](Self::gradient2) | round trips that rise with load | 1.05 × what the service works on at once, and a few |
/// | [`vegas`](Self::vegas) | the same | what the service works on at once, and 1 to 2 × its log10 |
/// | [`aimd`](Self::aimd) | errors and time-outs | 0.9 to 1 × where these begin |
///
/// # Measurements
///
/// A queue in front of a service and a service that has become slow look the same from outside. The
/// first two algorithms therefore let fewer requests in for a moment, from time to time, about half of
/// the limit for five round trips, to see how long one takes without a queue:
/// [`remeasure_every`](Self::remeasure_every). They do so only while the limit is reached and requests
/// are held back anyway; those that are refused meanwhile would
/// [wait](crate::ConcurrencyLimitLayer::wait) instead, if they may.
///
/// # Examples
///
/// ```
/// use ratelimit_layer::{Adaptive, ConcurrencyLimitLayer, Gradient2};
/// use std::time::Duration;
///
/// // 10 of each client at once, and of all together what the service can bear, 5 to 500.
/// let layer = ConcurrencyLimitLayer::new(10)
///     .adaptive(Adaptive::gradient2().between(5, 500))
///     .wait(10, Duration::from_secs(1));
/// assert_eq!(layer.handle().stats().adaptive_limit, Some(10));
///
/// // Quick and slow requests mixed.
/// let tolerant = Adaptive::from(Gradient2::new().tolerance(1.5)).between(5, 500);
/// ```
#[derive(Clone)]
#[must_use = "a layer is what it is for"]
pub struct Adaptive {
    algorithm: Algorithm,
    floor: usize,
    ceiling: usize,
    start: usize,
    window: Duration,
    remeasure: Duration,
    overload_share: f64,
    shortest: Duration,
    judge: Option<Judge>,
}

/// What a limit may be at all.
const LIMITS: RangeInclusive<usize> = 1..=1_000_000;

impl Adaptive {
    fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            floor: 1,
            ceiling: 1_000,
            start: 10,
            window: Duration::from_millis(100),
            remeasure: Duration::from_secs(5),
            overload_share: 0.01,
            shortest: Duration::from_micros(100),
            judge: None,
        }
    }

    /// By the gradient of round trips; see [`Gradient2`].
    pub fn gradient2() -> Self {
        Gradient2::new().into()
    }

    /// By an estimate of the queue; see [`Vegas`].
    pub fn vegas() -> Self {
        Vegas::new().into()
    }

    /// By errors and time-outs; see [`Aimd`].
    pub fn aimd() -> Self {
        Aimd::new().into()
    }

    /// The limit is never below `floor` and never above `ceiling`, both 1 to 1,000,000. The default is
    /// 1 and 1,000.
    ///
    /// # Panics
    ///
    /// When one of them is outside that range, or the floor above the ceiling.
    #[track_caller]
    pub fn between(mut self, floor: usize, ceiling: usize) -> Self {
        self.floor = checked("adaptive floor", floor, LIMITS);
        self.ceiling = checked("adaptive ceiling", ceiling, floor..=*LIMITS.end());
        self
    }

    /// The limit to begin with, 1 to 1,000,000, and where that is not between floor and ceiling the
    /// nearer of them. The default is 10. It is doubled soon if the service can bear more.
    ///
    /// # Panics
    ///
    /// When `limit` is outside that range.
    #[track_caller]
    pub fn start_at(mut self, limit: usize) -> Self {
        self.start = checked("limit to start at", limit, LIMITS);
        self
    }

    /// The shortest window, 10 ms to a minute; the default is 100 ms. One takes two round trips at
    /// least, and until ten requests have ended in it.
    ///
    /// # Panics
    ///
    /// When `window` is outside that range.
    #[track_caller]
    pub fn window(mut self, window: Duration) -> Self {
        let allowed = Duration::from_millis(10)..=Duration::from_secs(60);
        self.window = checked("adaptive window", window, allowed);
        self
    }

    /// How often the round trip without a queue is measured while the limit is reached, 1 s to a day;
    /// the default is 5 s. At least 100 round trips are between two measurements, except that one is
    /// made when the limit has fallen by a third. [`Aimd`] needs none.
    ///
    /// # Panics
    ///
    /// When `interval` is outside that range.
    #[track_caller]
    pub fn remeasure_every(mut self, interval: Duration) -> Self {
        let allowed = Duration::from_secs(1)..=Duration::from_secs(86_400);
        self.remeasure = checked("time between measurements", interval, allowed);
        self
    }

    /// What share of a window's requests may show overload before the limit falls, 0 to 0.5; the
    /// default is 0.01, a request in a hundred.
    ///
    /// # Panics
    ///
    /// When `share` is outside that range.
    #[track_caller]
    pub fn overload_share(mut self, share: f64) -> Self {
        self.overload_share = checked("overload share", share, 0.0..=0.5);
        self
    }

    /// Round trips shorter than this are not counted, 0 to 1 s: answers from a cache below, say. The
    /// default is 100 µs, as with Netflix.
    ///
    /// # Panics
    ///
    /// When `round_trip` is outside that range.
    #[track_caller]
    pub fn ignore_below(mut self, round_trip: Duration) -> Self {
        let allowed = Duration::ZERO..=Duration::from_secs(1);
        self.shortest = checked("shortest round trip", round_trip, allowed);
        self
    }

    /// What an answer or an error says about the service's load. By default errors, 503 and 504 are
    /// overload, `UNAVAILABLE` and `DEADLINE_EXCEEDED` from gRPC as well where they come without a
    /// message before them, and everything else is a sample.
    ///
    /// # Examples
    ///
    /// ```
    /// use ratelimit_layer::{Adaptive, Outcome, Verdict};
    ///
    /// let adaptive = Adaptive::gradient2().judge_by(|outcome| match outcome {
    ///     Outcome::Answered(head) if head.headers.contains_key("age") => Verdict::Ignore,
    ///     Outcome::Answered(head) if head.status.as_u16() == 503 => Verdict::Overload,
    ///     Outcome::Failed => Verdict::Overload,
    ///     _ => Verdict::Sample,
    /// });
    /// ```
    pub fn judge_by(
        mut self,
        judge: impl Fn(&Outcome<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    pub(super) fn rules(&self) -> control::Rules {
        control::Rules {
            algorithm: self.algorithm,
            bounds: self.floor as f64..=self.ceiling as f64,
            window: nanos(self.window),
            remeasure: nanos(self.remeasure),
            overload_share: self.overload_share,
        }
    }

    pub(super) fn first_limit(&self) -> usize {
        self.start.clamp(self.floor, self.ceiling)
    }

    pub(super) fn judge(&self) -> Option<Judge> {
        self.judge.clone()
    }

    pub(super) fn shortest(&self) -> u64 {
        nanos(self.shortest)
    }

    pub(super) fn longest(&self) -> u64 {
        self.algorithm.timeout().map_or(u64::MAX, nanos)
    }
}

impl From<Gradient2> for Adaptive {
    fn from(gradient2: Gradient2) -> Self {
        Self::new(Algorithm::Gradient2(gradient2))
    }
}

impl From<Vegas> for Adaptive {
    fn from(vegas: Vegas) -> Self {
        Self::new(Algorithm::Vegas(vegas))
    }
}

impl From<Aimd> for Adaptive {
    fn from(aimd: Aimd) -> Self {
        Self::new(Algorithm::Aimd(aimd))
    }
}

impl fmt::Debug for Adaptive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adaptive")
            .field("algorithm", &self.algorithm)
            .field("floor", &self.floor)
            .field("ceiling", &self.ceiling)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}
