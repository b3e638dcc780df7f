//! A policy's name and what its fields say, prepared.

use super::{MAX_INTEGER, RATELIMIT_POLICY};
use crate::error::ConfigError;
use crate::quota::Quota;
use http::header::{HeaderMap, HeaderValue};
use std::fmt::Write as _;
use std::sync::Arc;

/// Longest policy name: fields and refusals stay short.
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

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Requests,
    ContentBytes,
}

/// The fields of one policy, with all that does not change prepared.
#[derive(Debug)]
pub(crate) struct Fields {
    /// The item of `RateLimit-Policy`.
    pub(super) policy: HeaderValue,
    /// `"name";r=`
    pub(super) available: Box<[u8]>,
    /// The quota, for clients that know no policies.
    pub(super) limit: u64,
}

impl Fields {
    pub(crate) fn of_quota(name: &PolicyName, quota: Quota, unit: Unit) -> Self {
        let (q, w) = quota.advertised();
        let unit = match unit {
            // The draft calls them "requests" in one place and "request" in another: they are the
            // default.
            Unit::Requests => None,
            Unit::ContentBytes => Some("content-bytes"),
        };
        Self::new(name, q, Some(w), unit)
    }

    pub(crate) fn of_concurrency(name: &PolicyName, limit: usize) -> Self {
        Self::new(name, limit as u64, None, Some("concurrent-requests"))
    }

    fn new(name: &PolicyName, q: u64, w: Option<u64>, unit: Option<&str>) -> Self {
        let (name, q) = (name.quoted(), q.min(MAX_INTEGER));
        let mut policy = format!("{name};q={q}");
        // Writing to a string does not fail.
        if let Some(w) = w {
            let _ = write!(policy, ";w={}", w.clamp(1, MAX_INTEGER));
        }
        if let Some(unit) = unit {
            let _ = write!(policy, ";qu=\"{unit}\"");
        }
        Self {
            policy: HeaderValue::try_from(policy).expect("a policy name is printable ASCII"),
            available: format!("{name};r=").into_bytes().into(),
            limit: q,
        }
    }

    /// Appends the `RateLimit-Policy` item to what is there: what is left is not known.
    pub(crate) fn append_policy(&self, headers: &mut HeaderMap) {
        headers.append(RATELIMIT_POLICY, self.policy.clone());
    }
}
