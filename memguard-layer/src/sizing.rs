//! How large the budget is: so many bytes, or a share of what the cgroup allows.

use std::{env, env::VarError, fmt, str::FromStr};

use crate::{ConfigError, MemGuardLayer, cgroup::Cgroup};

/// The environment variable that [`MemGuardLayer::from_env`] reads.
const VARIABLE: &str = "MEMGUARD_BUDGET";

const ALLOWED: &str =
    "a number of bytes (536870912, 512MiB, 1.5GiB, 500MB), or a share of the cgroup's limit (60%)";

/// The size of a heap budget, as a setting says it.
///
/// ```
/// # use memguard_layer::HeapBudget;
/// let bytes: HeapBudget = "512MiB".parse()?;
/// assert_eq!(bytes, HeapBudget::bytes(512 << 20));
/// assert_eq!(bytes.resolve()?, 512 << 20);
/// assert_eq!("60%".parse::<HeapBudget>()?, HeapBudget::share(0.6)?);
/// # Ok::<_, memguard_layer::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeapBudget(Size);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    Bytes(u64),
    /// Above 0 and at most 1.
    Share(f64),
}

impl HeapBudget {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(Size::Bytes(bytes))
    }

    /// A share of the [cgroup's limit](Cgroup::limit), above 0 and at most 1: 0.6 leaves room for what the allocator keeps,
    /// for stacks and for the kernel's buffers.
    ///
    /// # Errors
    ///
    /// If `share` is out of range.
    pub fn share(share: f64) -> Result<Self, ConfigError> {
        if share > 0.0 && share <= 1.0 {
            Ok(Self(Size::Share(share)))
        } else {
            Err(ConfigError::new(format!(
                "the share of the cgroup's limit is {share}, but must be above 0 and at most 1"
            )))
        }
    }

    /// What the environment variable `MEMGUARD_BUDGET` says; `None` if it is not set.
    ///
    /// # Errors
    ///
    /// If it is set to something else than a size.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        match env::var(VARIABLE) {
            Ok(text) => Self::from_str(&text)
                .map(Some)
                .map_err(|error| ConfigError::new(format!("{VARIABLE}: {error}"))),
            Err(VarError::NotPresent) => Ok(None),
            Err(error) => Err(ConfigError::new(format!(
                "{VARIABLE} is unreadable ({error}), but must be {ALLOWED}"
            ))),
        }
    }

    /// The number of bytes; a share is taken of the limit at this moment.
    ///
    /// # Errors
    ///
    /// If it is a share, and there is no cgroup or no limit.
    pub fn resolve(self) -> Result<u64, ConfigError> {
        match self.0 {
            Size::Bytes(bytes) => Ok(bytes),
            Size::Share(share) => Cgroup::new()
                .and_then(|cgroup| share_of(share, &cgroup))
                .map_err(|error| {
                    ConfigError::new(format!(
                        "{self} of the cgroup's limit cannot be had: {error}; give the budget as a number of bytes (512MiB)"
                    ))
                }),
        }
    }
}

pub(crate) fn share_of(share: f64, cgroup: &Cgroup) -> Result<u64, ConfigError> {
    let limit = cgroup.limit().ok_or_else(|| {
        ConfigError::new(format!(
            "neither {} nor a cgroup above it has a limit",
            cgroup.path().display()
        ))
    })?;
    // Rounded down; a byte is lost of limits beyond 2⁵³.
    Ok((limit as f64 * share) as u64)
}

impl FromStr for HeapBudget {
    type Err = ConfigError;

    /// Digits, perhaps with a fraction, and a unit: none or `B`; `kB`, `MB`, `GB`, `TB`; `KiB`, `MiB`, `GiB`, `TiB`, also
    /// as `Ki`, `Mi`, `Gi`, `Ti`; or `%`. Letters of either case, spaces around the unit.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        parse(text.trim())
            .ok_or_else(|| {
                ConfigError::new(format!("the budget is {text:?}, but must be {ALLOWED}"))
            })
            .and_then(|size| match size {
                Size::Bytes(bytes) => Ok(Self::bytes(bytes)),
                Size::Share(share) => Self::share(share),
            })
    }
}

fn parse(text: &str) -> Option<Size> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // More digits than a byte of 16 TiB needs are a mistake.
    if fraction.len() > 15 {
        return None;
    }
    let (whole, parts): (u64, u64) = (whole.parse().ok()?, fraction.parse().ok()?);
    let unit = unit.trim().to_ascii_lowercase();
    if unit == "%" {
        return Some(Size::Share(number.parse::<f64>().ok()? / 100.0));
    }
    let (base, power) = match unit.as_str() {
        "" | "b" => (1, 1),
        "kb" => (1000, 1),
        "mb" => (1000, 2),
        "gb" => (1000, 3),
        "tb" => (1000, 4),
        "ki" | "kib" => (1024, 1),
        "mi" | "mib" => (1024, 2),
        "gi" | "gib" => (1024, 3),
        "ti" | "tib" => (1024, 4),
        _ => return None,
    };
    let unit = u128::from(u64::pow(base, power));
    let parts = u128::from(parts) * unit / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    u64::try_from(u128::from(whole) * unit + parts)
        .ok()
        .map(Size::Bytes)
}

impl fmt::Display for HeapBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Size::Bytes(bytes) => write!(f, "{bytes} B"),
            Size::Share(share) => write!(f, "{} %", share * 100.0),
        }
    }
}

impl From<u64> for HeapBudget {
    fn from(bytes: u64) -> Self {
        Self::bytes(bytes)
    }
}

impl MemGuardLayer {
    /// A layer whose budget is a share of the [cgroup's limit](Cgroup::limit) as it is now: `from_cgroup(0.6)?`.
    ///
    /// # Errors
    ///
    /// If `share` is not above 0 and at most 1, or there is no cgroup or no limit: then a number of bytes is allowed.
    pub fn from_cgroup(share: f64) -> Result<Self, ConfigError> {
        Self::try_new(HeapBudget::share(share)?.resolve()?)
    }

    /// A layer whose budget is what the environment variable `MEMGUARD_BUDGET` says: a number of bytes (`512MiB`), or a
    /// share of the cgroup's limit (`60%`). [`HeapBudget::from_env`] leaves the choice of a default.
    ///
    /// # Errors
    ///
    /// If it is not set or not a size; if it is a share, and there is no cgroup or no limit; if the bytes are out of
    /// [`new`](Self::new)'s range.
    pub fn from_env() -> Result<Self, ConfigError> {
        let budget = HeapBudget::from_env()?.ok_or_else(|| {
            ConfigError::new(format!("{VARIABLE} is not set, but must be {ALLOWED}"))
        })?;
        Self::try_new(budget.resolve()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_by_their_units() {
        for (text, bytes) in [
            ("0", 0),
            ("536870912", 536_870_912),
            (" 12 b ", 12),
            ("1kB", 1000),
            ("500MB", 500_000_000),
            ("512MiB", 512 << 20),
            ("512mi", 512 << 20),
            ("1.5GiB", 3 << 29),
            ("0.25 TB", 250_000_000_000),
            ("2Ti", 2 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(HeapBudget::bytes(bytes)), "{text}");
        }
        for (text, share) in [("60%", 0.6), ("62.5 %", 0.625), ("100%", 1.0)] {
            assert_eq!(text.parse(), HeapBudget::share(share), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_what_is() {
        for text in [
            "",
            "-1",
            "MiB",
            "12 MB/s",
            "1M",
            "5..2",
            ".5",
            "5.",
            "1e9",
            "16777216TiB",
            "60%%",
            "½",
            "0.0000000000000001",
        ] {
            let error = text.parse::<HeapBudget>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("{text:?}")) && error.contains("512MiB"),
                "{error}"
            );
        }
        for text in ["0%", "100.1%"] {
            let error = text.parse::<HeapBudget>().unwrap_err().to_string();
            assert!(error.contains("above 0 and at most 1"), "{error}");
        }
        for share in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            assert!(HeapBudget::share(share).is_err(), "{share}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r"[ 0-9.%kKmMgGtTiIbB-]{0,24}|\PC{0,12}") {
            if let Ok(budget @ HeapBudget(Size::Bytes(_))) = text.parse() {
                prop_assert_eq!(budget.to_string().parse(), Ok(budget));
            }
        }
    }
}
