//! How much per how long: [`Quota`] and its limits.

#[cfg(test)]
mod tests;
mod text;

use crate::algorithm::Gcra;
use crate::error::ConfigError;
use std::time::Duration;

/// Longest a full burst may take to come back: ten years keep every sum far from overflow.
const LONGEST: Duration = Duration::from_secs(3_652 * 86_400);

/// `n` units per period, and how many of them may come at once.
///
/// The quota is continuous: `per_second(100)` gives a unit back every 10 ms, it does not wait for
/// a window to turn. The burst is how many units a client that has been quiet may use at once; by
/// default it is `n`, the units of one period.
///
/// In any stretch of time `d` a client gets at most `burst + d × n / period` units. The time
/// between two units is rounded *up* to whole nanoseconds, so that bound is never passed and the
/// rate is exact to 0.1 % up to a million units per second.
///
/// # Examples
///
/// ```
/// use ratelimit_layer::Quota;
/// use std::time::Duration;
///
/// let quota = Quota::per_second(100).burst(200);
/// assert_eq!(quota.to_string(), "100/s burst 200");
/// assert_eq!("5/10s".parse(), Ok(Quota::per(5, Duration::from_secs(10))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    units: u32,
    period: Duration,
    burst: u32,
}

impl Quota {
    /// `n` units per second, 1 to 1,000,000,000.
    ///
    /// # Panics
    ///
    /// When `n` is outside that range; [`try_per`](Self::try_per) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn per_second(n: u32) -> Self {
        Self::per(n, Duration::from_secs(1))
    }

    /// `n` units per minute, from 1.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`try_per`](Self::try_per) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn per_minute(n: u32) -> Self {
        Self::per(n, Duration::from_secs(60))
    }

    /// `n` units per hour, from 1.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`try_per`](Self::try_per) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn per_hour(n: u32) -> Self {
        Self::per(n, Duration::from_secs(3_600))
    }

    /// `n` units per `period`: at most one per nanosecond, over ten years at most.
    ///
    /// # Panics
    ///
    /// When `n` or `period` is outside that range; [`try_per`](Self::try_per) returns an error
    /// instead.
    #[must_use]
    #[track_caller]
    pub fn per(n: u32, period: Duration) -> Self {
        match Self::try_per(n, period) {
            Ok(quota) => quota,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`per`](Self::per) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// When `n` is 0 or more than the nanoseconds in `period`, or `period` is zero or longer than
    /// ten years.
    pub fn try_per(n: u32, period: Duration) -> Result<Self, ConfigError> {
        if n == 0 || period.is_zero() || period > LONGEST || u128::from(n) > period.as_nanos() {
            return Err(ConfigError::new(format!(
                "a quota of {n} per {period:?} cannot be used: allowed are 1 unit up to one per \
                 nanosecond, over a period of up to ten years"
            )));
        }
        Self {
            units: n,
            period,
            burst: n,
        }
        .checked()
    }

    /// Lets a client that has been quiet use `n` units at once, from 1; the default is the units
    /// of one period.
    ///
    /// # Panics
    ///
    /// When `n` is 0, or so large that it would take more than ten years to come back;
    /// [`try_burst`](Self::try_burst) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn burst(self, n: u32) -> Self {
        match self.try_burst(n) {
            Ok(quota) => quota,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`burst`](Self::burst) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// When `n` is 0, or so large that it would take more than ten years to come back.
    pub fn try_burst(self, n: u32) -> Result<Self, ConfigError> {
        Self { burst: n, ..self }.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let refill = u128::from(self.interval()) * u128::from(self.burst);
        // Rounding the interval up may add a nanosecond per unit to the longest period.
        if self.burst == 0 || refill > LONGEST.as_nanos() + u128::from(u32::MAX) {
            return Err(ConfigError::new(format!(
                "a burst of {} cannot be used: allowed is 1 up to what comes back in ten years",
                self.burst
            )));
        }
        Ok(self)
    }

    /// Nanoseconds between two units, rounded up.
    fn interval(self) -> u64 {
        let interval = self.period.as_nanos().div_ceil(u128::from(self.units));
        u64::try_from(interval).unwrap_or(u64::MAX)
    }

    /// As a token bucket.
    pub(crate) fn gcra(self) -> Gcra {
        Gcra::new(self.interval(), self.burst)
    }

    /// Units and nanoseconds, as a window; `None` if the burst is not the units of one period.
    pub(crate) fn window(self) -> Option<(u32, u64)> {
        let nanos = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        (self.burst == self.units).then_some((self.units, nanos))
    }

    /// The same rate in the terms of `RateLimit-Policy`: units per whole seconds. The window is the
    /// time a burst takes to come back, so what is available never exceeds `q`, and a client that
    /// spreads `q` over `w` is never refused.
    pub(crate) fn advertised(self) -> (u64, u64) {
        let (units, period) = (u128::from(self.units), self.period.as_nanos());
        let second = 1_000_000_000;
        let window = (u128::from(self.burst) * period).div_ceil(units * second);
        let q = window * second * units / period;
        (
            u64::try_from(q).unwrap_or(u64::MAX),
            u64::try_from(window).unwrap_or(u64::MAX),
        )
    }
}
