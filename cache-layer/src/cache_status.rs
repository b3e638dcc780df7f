//! The `Cache-Status` field (RFC 9211): what this layer did with a request.

use crate::rfc9111::reuse::Forward;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether answers say what the cache did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CacheStatus {
    /// No field.
    Off,
    /// A `Cache-Status` member of the name `cache-layer`, last in the list, never with the key.
    #[default]
    On,
}

pub(crate) const FIELD: HeaderName = HeaderName::from_static("cache-status");

/// What happened to a request, as far as the field tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Hit,
    Forwarded(Forward),
    /// Forwarded, and its answer goes into the store.
    Stored(Forward),
    /// Forwarded as a question, to which the origin said that what is stored still holds.
    Validated(Forward),
    /// Answered by another request's trip to the origin.
    Collapsed(Forward),
}

impl CacheStatus {
    /// Appends our member behind those of the caches nearer to the origin (section 2).
    pub(crate) fn append(self, headers: &mut HeaderMap, outcome: Outcome) {
        if self == Self::On {
            headers.append(FIELD, member(outcome));
        }
    }

    /// Replaces our member, which is the last one, in a stored header section.
    pub(crate) fn replace(self, headers: &mut HeaderMap, outcome: Outcome) {
        self.remove(headers);
        self.append(headers, outcome);
    }

    /// Removes our member, which is the last one, from a stored header section.
    pub(crate) fn remove(self, headers: &mut HeaderMap) {
        if self == Self::On {
            let mut all: Vec<HeaderValue> = headers.get_all(FIELD).iter().cloned().collect();
            all.pop();
            headers.remove(FIELD);
            for value in all {
                headers.append(FIELD, value);
            }
        }
    }
}

/// All members there can be, written out: no formatting per request.
fn member(outcome: Outcome) -> HeaderValue {
    macro_rules! forwarded {
        ($forward:expr, $rest:literal) => {
            match $forward {
                Forward::UriMiss => concat!("cache-layer; fwd=uri-miss", $rest),
                Forward::VaryMiss => concat!("cache-layer; fwd=vary-miss", $rest),
                Forward::Stale => concat!("cache-layer; fwd=stale", $rest),
                Forward::Request => concat!("cache-layer; fwd=request", $rest),
                Forward::Method => concat!("cache-layer; fwd=method", $rest),
                Forward::Bypass => concat!("cache-layer; fwd=bypass", $rest),
            }
        };
    }
    HeaderValue::from_static(match outcome {
        Outcome::Hit => "cache-layer; hit",
        Outcome::Forwarded(forward) => forwarded!(forward, ""),
        Outcome::Stored(forward) => forwarded!(forward, "; stored"),
        Outcome::Validated(forward) => forwarded!(forward, "; fwd-status=304; stored"),
        Outcome::Collapsed(forward) => forwarded!(forward, "; collapsed"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_member_is_the_last_and_the_only_one_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(FIELD, HeaderValue::from_static("origin; hit"));
        CacheStatus::On.append(&mut headers, Outcome::Hit);
        CacheStatus::On.replace(&mut headers, Outcome::Collapsed(Forward::UriMiss));
        let all: Vec<_> = headers.get_all(FIELD).iter().collect();
        assert_eq!(all, ["origin; hit", "cache-layer; fwd=uri-miss; collapsed"]);
        CacheStatus::Off.append(&mut headers, Outcome::Hit);
        CacheStatus::Off.replace(&mut headers, Outcome::Hit);
        assert_eq!(headers.get_all(FIELD).iter().count(), 2);
    }
}
