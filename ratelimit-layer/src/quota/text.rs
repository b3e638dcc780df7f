//! The text form of a quota: `"100/s burst 200"`.

use super::Quota;
use crate::error::ConfigError;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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
