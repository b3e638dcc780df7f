//! How much per how long: [`Quota`], its limits and its text form.

use crate::algorithm::Gcra;
use crate::error::ConfigError;
use std::fmt;
use std::str::FromStr;
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

const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// `"100/s"`, `"10/m"`, `"5/10s burst 20"`: what [`FromStr`] reads.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.period.as_nanos();
        // One nanosecond divides everything, so a unit is always found.
        let (unit, count) = UNITS
            .iter()
            .find(|(_, size)| nanos.is_multiple_of(*size))
            .map_or(("ns", nanos), |(unit, size)| (*unit, nanos / size));
        write!(f, "{}/", self.units)?;
        if count != 1 {
            write!(f, "{count}")?;
        }
        f.write_str(unit)?;
        if self.burst != self.units {
            write!(f, " burst {}", self.burst)?;
        }
        Ok(())
    }
}

/// Reads `units "/" [count] unit [" burst " units]`, where unit is one of `ns`, `us`, `ms`, `s`,
/// `m` (minute), `h`, `d`: `"100/s"`, `"10/m"`, `"1000/h"`, `"5/10s"`, `"100/s burst 200"`.
///
/// # Errors
///
/// When the text has another form or the quota cannot be used.
impl FromStr for Quota {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let unreadable = || {
            ConfigError::new(format!(
                "{text:?} is not a quota: allowed is a number, a slash and a period, such as \
                 \"100/s\", \"10/m\", \"1000/h\", \"5/10s\" or \"100/s burst 200\""
            ))
        };
        let mut words = text.split_whitespace();
        let (units, period) = words
            .next()
            .and_then(|rate| rate.split_once('/'))
            .ok_or_else(unreadable)?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some("burst"), Some(burst), None) => Some(number(burst).ok_or_else(unreadable)?),
            _ => return Err(unreadable()),
        };
        let digits = period.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = period.split_at(digits);
        let count: u128 = match count {
            "" => 1,
            count => count.parse().map_err(|_| unreadable())?,
        };
        let (_, size) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(unreadable)?;
        let nanos = u64::try_from(count.saturating_mul(*size)).unwrap_or(u64::MAX);
        let quota = Self::try_per(
            number(units).ok_or_else(unreadable)?,
            Duration::from_nanos(nanos),
        )?;
        burst.map_or(Ok(quota), |burst| quota.try_burst(burst))
    }
}

/// Digits only: `u32::from_str` would take a sign too.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl serde::Serialize for Quota {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
impl<'de> serde::Deserialize<'de> for Quota {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Quota;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quota, such as \"100/s burst 200\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quota, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_its_forms() {
        let second = Duration::from_secs(1);
        for (text, quota) in [
            ("100/s", Quota::per_second(100)),
            ("10/m", Quota::per_minute(10)),
            ("1000/h", Quota::per_hour(1_000)),
            ("5/10s", Quota::per(5, 10 * second)),
            ("7/d", Quota::per(7, 86_400 * second)),
            ("3/250ms", Quota::per(3, second / 4)),
            ("100/s burst 200", Quota::per_second(100).burst(200)),
            (" 1/s  burst  1 ", Quota::per_second(1)),
        ] {
            assert_eq!(text.parse(), Ok(quota), "{text}");
        }
    }

    #[test]
    fn refuses_other_forms_and_says_what_is_allowed() {
        for text in [
            "",
            "100",
            "/s",
            "100/",
            "100/x",
            "x/s",
            "0/s",
            "1/0s",
            "-1/s",
            "+1/s",
            "1/s burst",
            "1/s burst 0",
            "1/s burst x",
            "1/s burst 1 1",
            "1/s bursts 1",
            "1 /s",
            "1/s/s",
            "1.5/s",
            "5000000000/s",
            "2000000000/s",
            "1/99999999999999999999999999999999999999999d",
            "1/4000d",
            "1/365d burst 4000",
        ] {
            let error = text.parse::<Quota>().expect_err(text);
            assert!(error.to_string().contains("allowed"), "{text}: {error}");
        }
    }

    #[test]
    #[should_panic(expected = "a quota of 0 per 1s cannot be used")]
    fn a_quota_of_nothing_panics() {
        let _ = Quota::per_second(0);
    }

    #[test]
    fn is_advertised_in_whole_seconds() {
        for (text, advertised) in [
            ("100/s", (100, 1)),
            ("3/s", (3, 1)),
            ("10/m", (10, 60)),
            ("1000/h", (1_000, 3_600)),
            ("100/s burst 200", (200, 2)),
            ("100/s burst 150", (200, 2)),
            ("100/s burst 10", (100, 1)),
            ("1/10s", (1, 10)),
            ("5/500ms", (10, 1)),
        ] {
            assert_eq!(
                text.parse::<Quota>().unwrap().advertised(),
                advertised,
                "{text}"
            );
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn configuration_has_it_as_text() {
        let quota = Quota::per_second(100).burst(200);
        let json = serde_json::to_string(&quota).unwrap();
        assert_eq!(json, r#""100/s burst 200""#);
        assert_eq!(serde_json::from_str::<Quota>(&json).unwrap(), quota);
        for (text, says) in [
            (r#""100""#, "is not a quota"),
            ("100", "expected a quota, such as"),
        ] {
            let error = serde_json::from_str::<Quota>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(units in 1_u32.., nanos in 1_u64.., burst in 1_u32..) {
            let quota = Quota::try_per(units, Duration::from_nanos(nanos));
            if let Ok(quota) = quota.and_then(|quota| quota.try_burst(burst)) {
                prop_assert_eq!(quota.to_string().parse(), Ok(quota));
                let (q, w) = quota.advertised();
                prop_assert!(w >= 1 && q >= u64::from(burst));
            }
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = text.parse::<Quota>();
        }
    }
}
