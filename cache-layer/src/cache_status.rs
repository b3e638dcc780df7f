//! The `Cache-Status` field (RFC 9211): what this layer did with a request.

use crate::rfc9111::reuse::Forward;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::fmt::Write as _;

/// Whether answers say what the cache did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CacheStatus {
    /// No field.
    Off,
    /// A `Cache-Status` member of our own, last in the list, never with the key.
    #[default]
    On,
    /// The same, with `ttl` and `key`: for looking into a cache, not for the public, as keys help
    /// those who would poison it (RFC 9211 section 6).
    Debug,
}

/// What we are called where nothing else is set.
pub(crate) const DEFAULT_NAME: &str = "cache-layer";

pub(crate) const FIELD: HeaderName = HeaderName::from_static("cache-status");

/// What happened to a request, as far as the field tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Why it was forwarded; none for a hit.
    pub(crate) forward: Option<Forward>,
    /// What the origin answered, where the client is told something else.
    pub(crate) fwd_status: Option<StatusCode>,
    /// The answer went into the store.
    pub(crate) stored: bool,
    /// It came by another request's trip to the origin, or was to come so in vain.
    pub(crate) collapsed: Option<bool>,
}

impl Outcome {
    pub(crate) const HIT: Self = Self {
        forward: None,
        fwd_status: None,
        stored: false,
        collapsed: None,
    };

    pub(crate) fn forwarded(forward: Forward) -> Self {
        Self {
            forward: Some(forward),
            ..Self::HIT
        }
    }

    fn parameters(self) -> String {
        let Some(forward) = self.forward else {
            return "hit".to_owned();
        };
        let mut text = match forward {
            Forward::UriMiss => "fwd=uri-miss",
            Forward::VaryMiss => "fwd=vary-miss",
            Forward::Stale => "fwd=stale",
            Forward::Partial => "fwd=partial",
            Forward::Request => "fwd=request",
            Forward::Method => "fwd=method",
            Forward::Bypass => "fwd=bypass",
        }
        .to_owned();
        if let Some(status) = self.fwd_status {
            let _ = write!(text, "; fwd-status={}", status.as_u16());
        }
        if self.stored {
            text.push_str("; stored");
        }
        match self.collapsed {
            Some(true) => text.push_str("; collapsed"),
            Some(false) => text.push_str("; collapsed=?0"),
            None => {}
        }
        text
    }
}

/// What [`CacheStatus::Debug`] tells besides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Details {
    pub(crate) ttl: Option<i64>,
    pub(crate) key: Option<String>,
}

/// How the field is written here.
#[derive(Debug, Clone)]
pub(crate) struct StatusField {
    show: CacheStatus,
    name: Box<str>,
    /// Written once: hits copy it.
    hit: HeaderValue,
}

impl StatusField {
    /// `name` is of visible ASCII and spaces.
    pub(crate) fn new(show: CacheStatus, name: &str) -> Self {
        let name: Box<str> = if is_token(name) {
            name.into()
        } else {
            quoted(name).into()
        };
        let hit = match &*name {
            // Copied without counting.
            DEFAULT_NAME => HeaderValue::from_static("cache-layer; hit"),
            name => value(&format!("{name}; hit")),
        };
        Self { show, name, hit }
    }

    pub(crate) fn is_debug(&self) -> bool {
        self.show == CacheStatus::Debug
    }

    /// Appends our member behind those of the caches nearer to the origin (section 2).
    pub(crate) fn append(&self, headers: &mut HeaderMap, outcome: Outcome, details: &Details) {
        if self.show == CacheStatus::Off {
            return;
        }
        let mut member = format!("{}; {}", self.name, outcome.parameters());
        if self.is_debug() {
            if let Some(ttl) = details.ttl {
                let _ = write!(member, "; ttl={ttl}");
            }
            if let Some(key) = &details.key {
                let _ = write!(member, "; key={}", quoted(key));
            }
        }
        headers.append(FIELD, value(&member));
    }

    /// Appends the member that hits have, to a header section that is to be stored.
    pub(crate) fn append_hit(&self, headers: &mut HeaderMap) {
        if self.show != CacheStatus::Off {
            headers.append(FIELD, self.hit.clone());
        }
    }

    /// Replaces our member, which is the last one, in a stored header section.
    pub(crate) fn replace(&self, headers: &mut HeaderMap, outcome: Outcome, details: &Details) {
        self.remove(headers);
        self.append(headers, outcome, details);
    }

    /// Removes our member, which is the last one, from a stored header section.
    pub(crate) fn remove(&self, headers: &mut HeaderMap) {
        if self.show != CacheStatus::Off {
            let mut all: Vec<HeaderValue> = headers.get_all(FIELD).iter().cloned().collect();
            all.pop();
            headers.remove(FIELD);
            for value in all {
                headers.append(FIELD, value);
            }
        }
    }
}

fn value(member: &str) -> HeaderValue {
    HeaderValue::from_str(member).expect("names and keys are quoted, and the rest is ours")
}

/// Whether it can stand without quotes (RFC 9651 section 3.3.4).
fn is_token(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    name.bytes().all(inner)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
}

/// As a String (RFC 9651 section 3.3.3), which holds visible ASCII and spaces only.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(headers: &HeaderMap) -> Vec<String> {
        let all = headers.get_all(FIELD).iter();
        all.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn our_member_is_the_last_and_the_only_one_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(FIELD, HeaderValue::from_static("origin; hit"));
        let field = StatusField::new(CacheStatus::On, "cache-layer");
        field.append_hit(&mut headers);
        assert_eq!(members(&headers), ["origin; hit", "cache-layer; hit"]);
        let outcome = Outcome {
            collapsed: Some(true),
            ..Outcome::forwarded(Forward::UriMiss)
        };
        field.replace(&mut headers, outcome, &Details::default());
        assert_eq!(
            members(&headers),
            ["origin; hit", "cache-layer; fwd=uri-miss; collapsed"]
        );
        let off = StatusField::new(CacheStatus::Off, "cache-layer");
        off.append_hit(&mut headers);
        off.replace(&mut headers, Outcome::HIT, &Details::default());
        assert_eq!(headers.get_all(FIELD).iter().count(), 2);
    }

    #[test]
    fn every_member_in_its_place() {
        let outcome = Outcome {
            forward: Some(Forward::Stale),
            fwd_status: Some(StatusCode::NOT_MODIFIED),
            stored: true,
            collapsed: Some(false),
        };
        let details = Details {
            ttl: Some(-7),
            key: Some("http://a/\"b\"\u{fc}".to_owned()),
        };
        for (show, name, expected) in [
            (
                CacheStatus::On,
                "edge-1",
                "edge-1; fwd=stale; fwd-status=304; stored; collapsed=?0",
            ),
            (
                CacheStatus::Debug,
                "my cache",
                "\"my cache\"; fwd=stale; fwd-status=304; stored; collapsed=?0; ttl=-7; \
                 key=\"http://a/\\\"b\\\"?\"",
            ),
        ] {
            let mut headers = HeaderMap::new();
            let field = StatusField::new(show, name);
            field.append(&mut headers, outcome, &details);
            assert_eq!(members(&headers), [expected]);
        }
    }
}
