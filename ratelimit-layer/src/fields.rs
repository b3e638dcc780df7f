//! The `RateLimit` and `RateLimit-Policy` fields, after draft-ietf-httpapi-ratelimit-headers-11.
//!
//! The draft still moves; nothing outside this file knows how the fields are spelled.

use crate::error::ConfigError;
use crate::quota::Quota;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Longest policy name: a whole `RateLimit` item then fits a buffer on the stack.
const MAX_NAME: usize = 64;

/// A policy's name, fit for a structured-field string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyName(Arc<str>);

impl PolicyName {
    pub(crate) fn try_new(name: &str) -> Result<Self, ConfigError> {
        let printable = name.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
        if name.is_empty() || name.len() > MAX_NAME || !printable {
            return Err(ConfigError::new(format!(
                "a policy name of {name:?} cannot be used: allowed are 1 to {MAX_NAME} printable ASCII characters"
            )));
        }
        Ok(Self(name.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// In quotes, with quotes and backslashes escaped: a structured-field string (RFC 9651, section
    /// 4.1.6), which for printable ASCII is a JSON string too.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// The default name.
impl Default for PolicyName {
    fn default() -> Self {
        Self("default".into())
    }
}

/// The fields of one policy, with all that does not change prepared.
#[derive(Debug)]
pub(crate) struct Fields {
    policy: HeaderValue,
    /// `"name";r=`
    available: Box<[u8]>,
}

impl Fields {
    pub(crate) fn of_quota(name: &PolicyName, quota: Quota) -> Self {
        let (q, w) = quota.advertised();
        Self::new(name, format_args!("q={q};w={w}"))
    }

    pub(crate) fn of_concurrency(name: &PolicyName, limit: usize) -> Self {
        Self::new(name, format_args!("q={limit};qu=\"concurrent-requests\""))
    }

    fn new(name: &PolicyName, parameters: std::fmt::Arguments<'_>) -> Self {
        let name = name.quoted();
        Self {
            policy: HeaderValue::try_from(format!("{name};{parameters}"))
                .expect("a policy name is printable ASCII"),
            available: format!("{name};r=").into_bytes().into(),
        }
    }

    /// Appends the `RateLimit-Policy` item to what is there.
    pub(crate) fn append_policy(&self, headers: &mut HeaderMap) {
        headers.append(RATELIMIT_POLICY, self.policy.clone());
    }

    /// Appends both items to what is there: `remaining` units now, and the seconds in `window` for
    /// which that holds, rounded up.
    pub(crate) fn append(&self, headers: &mut HeaderMap, remaining: u32, window: Duration) {
        self.append_policy(headers);
        // A name of which every character is escaped, two quotes, "r=;t=" and two numbers.
        let mut buffer = [0_u8; 2 * MAX_NAME + 64];
        let mut length = 0;
        let (mut r, mut t) = (itoa::Buffer::new(), itoa::Buffer::new());
        let parts: [&[u8]; 4] = [
            &self.available,
            r.format(remaining).as_bytes(),
            b";t=",
            t.format(whole_seconds(window)).as_bytes(),
        ];
        for part in parts {
            buffer[length..length + part.len()].copy_from_slice(part);
            length += part.len();
        }
        let item =
            HeaderValue::from_bytes(&buffer[..length]).expect("a policy name is printable ASCII");
        headers.append(RATELIMIT, item);
    }
}

/// Rounded up, so that nobody comes back too early.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_structured_fields() {
        let name = PolicyName::try_new(r#"a "b" \c"#).unwrap();
        let fields = Fields::of_quota(&name, Quota::per_minute(10));
        let mut headers = HeaderMap::new();
        fields.append(&mut headers, 7, Duration::from_millis(41_001));
        assert_eq!(headers["ratelimit-policy"], r#""a \"b\" \\c";q=10;w=60"#);
        assert_eq!(headers["ratelimit"], r#""a \"b\" \\c";r=7;t=42"#);
    }

    #[test]
    fn the_longest_item_fits() {
        let name = PolicyName::try_new(&"\"".repeat(MAX_NAME)).unwrap();
        let mut headers = HeaderMap::new();
        Fields::of_concurrency(&name, usize::MAX).append(&mut headers, u32::MAX, Duration::MAX);
        assert!(
            headers["ratelimit"]
                .to_str()
                .unwrap()
                .ends_with(";r=4294967295;t=18446744073709551615")
        );
    }

    #[test]
    fn names_are_printable_ascii() {
        for name in ["", "a\n", "é", "\u{7f}", &"x".repeat(65)] {
            let error = PolicyName::try_new(name).unwrap_err().to_string();
            assert!(
                error.contains("allowed are 1 to 64 printable ASCII characters"),
                "{error}"
            );
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (nanos, seconds) in [
            (0, 0),
            (1, 1),
            (999_999_999, 1),
            (1_000_000_000, 1),
            (1_000_000_001, 2),
        ] {
            assert_eq!(whole_seconds(Duration::from_nanos(nanos)), seconds);
        }
        // The longest wait there is does not overflow.
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }
}
