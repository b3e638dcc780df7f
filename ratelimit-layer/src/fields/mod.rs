//! The `RateLimit` and `RateLimit-Policy` fields, after draft-ietf-httpapi-ratelimit-headers-11, and
//! the older `X-RateLimit-*` that many clients read.
//!
//! The draft still moves; nothing outside this folder knows how the fields are spelled.

mod partition;
mod policy;

pub(crate) use partition::{Partition, Partitions};
pub(crate) use policy::{Fields, PolicyName, Unit};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::cmp::Reverse;
use std::time::Duration;

pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Largest Integer of a structured field (RFC 9651, section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// Longest window told, in seconds: a day. Nobody should plan further ahead on what may change.
const MAX_WINDOW: u64 = 86_400;

/// Which fields tell a client how much it has left.
///
/// # Examples
///
/// ```
/// use ratelimit_layer::{FieldStyle, Quota, RateLimitLayer};
///
/// let layer = RateLimitLayer::new(Quota::per_minute(10)).fields(FieldStyle::Both);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FieldStyle {
    /// `RateLimit` and `RateLimit-Policy`, after draft-ietf-httpapi-ratelimit-headers-11.
    #[default]
    Draft,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds from now), of
    /// the policy that has the least left. They hold one value each: what the service below sent
    /// stays alone.
    Legacy,
    /// All of them.
    Both,
    /// None.
    None,
}

/// `true` is the default, `false` is none.
impl From<bool> for FieldStyle {
    fn from(on: bool) -> Self {
        if on { Self::default() } else { Self::None }
    }
}

impl FieldStyle {
    fn has_draft(self) -> bool {
        matches!(self, Self::Draft | Self::Both)
    }

    fn has_legacy(self) -> bool {
        matches!(self, Self::Legacy | Self::Both)
    }
}

/// How one client stands with one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Units it could use now.
    pub(crate) remaining: u64,
    /// For how long that holds: until more is there, or all.
    pub(crate) window: Duration,
    /// Whose share that is, if clients are told.
    pub(crate) partition: Option<Partition>,
}

impl Standing {
    /// With a window that ends when `Retry-After` does, if not before: who waits that long must not
    /// find another window still running (section 6).
    pub(crate) fn no_later_than(self, retry_after: Duration) -> Self {
        Self {
            window: self.window.min(retry_after),
            ..self
        }
    }
}

/// `RateLimit-Policy` for a set of policies that does not change, to be kept. One policy's is ready.
pub(crate) fn joined(policies: &[&Fields]) -> HeaderValue {
    if let [one] = policies {
        return one.policy.clone();
    }
    let mut value = Vec::with_capacity(policies.iter().map(|one| one.policy.len() + 1).sum());
    for policy in policies {
        separate(&mut value);
        value.extend_from_slice(policy.policy.as_bytes());
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).expect("made of field values")
}

/// Tells a client how it stands, beside what the service below said: our items come after its own,
/// whose limits we do not know. `policies` is what [`joined`] made of the same policies; a set
/// chosen for one request has none.
pub(crate) fn append(
    headers: &mut HeaderMap,
    style: FieldStyle,
    policies: Option<&HeaderValue>,
    items: &[(&Fields, Standing)],
) {
    let Some((least, standing)) = items
        .iter()
        .min_by_key(|(_, standing)| (standing.remaining, Reverse(standing.window)))
    else {
        return;
    };
    if style.has_draft() {
        let policies = match (policies, items) {
            (Some(prepared), _) => prepared.clone(),
            (None, [(one, _)]) => one.policy.clone(),
            (None, _) => joined(&items.iter().map(|(fields, _)| *fields).collect::<Vec<_>>()),
        };
        append_draft(headers, policies, available(items));
    }
    if style.has_legacy() && !headers.contains_key(X_LIMIT) {
        headers.insert(X_LIMIT, number(least.limit));
        headers.insert(X_REMAINING, number(standing.remaining));
        headers.insert(X_RESET, number(told_seconds(standing.window)));
    }
}

/// The draft's two fields.
pub(crate) fn append_draft(headers: &mut HeaderMap, policies: HeaderValue, available: HeaderValue) {
    headers.append(RATELIMIT_POLICY, policies);
    headers.append(RATELIMIT, available);
}

/// The value of `RateLimit`, in one allocation of its exact length.
pub(crate) fn available(items: &[(&Fields, Standing)]) -> HeaderValue {
    let length = |(fields, standing): &(&Fields, Standing)| {
        let numbers = digits(standing.remaining) + digits(told_seconds(standing.window));
        let partition = standing.partition.map_or(0, |_| Partition::LENGTH);
        fields.available.len() + numbers + ";t=".len() + partition + ",".len()
    };
    let mut value = Vec::with_capacity(items.iter().map(length).sum::<usize>() - 1);
    for (fields, standing) in items {
        separate(&mut value);
        value.extend_from_slice(&fields.available);
        push(&mut value, standing.remaining);
        value.extend_from_slice(b";t=");
        push(&mut value, told_seconds(standing.window));
        if let Some(partition) = standing.partition {
            value.extend_from_slice(&partition.parameter());
        }
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).expect("made of field values")
}

/// Between the items of a list, but not before the first.
fn separate(value: &mut Vec<u8>) {
    if !value.is_empty() {
        value.push(b',');
    }
}

fn push(value: &mut Vec<u8>, number: u64) {
    let mut digits = itoa::Buffer::new();
    value.extend_from_slice(digits.format(number.min(MAX_INTEGER)).as_bytes());
}

fn digits(number: u64) -> usize {
    let log = number.min(MAX_INTEGER).checked_ilog10();
    log.map_or(1, |log| log as usize + 1)
}

/// A field that is a number; of a small one, which nearly all are, no memory is taken.
pub(crate) fn number(number: u64) -> HeaderValue {
    let small = usize::try_from(number).ok().filter(|small| *small < 10_000);
    let small = small.map(|small| &SMALL[4 * (small + 1) - digits(number)..4 * (small + 1)]);
    match small {
        Some(small) => HeaderValue::from_static(str::from_utf8(small).expect("digits")),
        None => {
            let mut digits = itoa::Buffer::new();
            HeaderValue::from_str(digits.format(number.min(MAX_INTEGER))).expect("digits")
        }
    }
}

/// All numbers of up to four digits, of which each has as many.
static SMALL: [u8; 40_000] = {
    let mut all = [0; 40_000];
    let mut at = 0;
    while at < all.len() {
        let power = [1000, 100, 10, 1][at % 4];
        all[at] = b'0' + (at / 4 / power % 10) as u8;
        at += 1;
    }
    all
};

/// Rounded up, so that nobody comes back too early.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
}

fn told_seconds(window: Duration) -> u64 {
    whole_seconds(window).min(MAX_WINDOW)
}

#[cfg(test)]
mod tests;
