//! Cache keys: which requests ask for the same thing, and which ask for nothing we may keep.
//!
//! A key is the list of its parts, with their lengths, so that no part can pass for another:
//! namespace, scheme, host, path, query, and every override field the request carries: no `Vary`
//! names those, but services answer differently for them, and a forged one must reach only its
//! forger.
//! It is hashed with a secret to 128 bits for the look-up, and kept whole in the entry, where it is
//! compared on every hit: a collision is a miss and never a wrong answer.

mod display;
mod host;
mod parts;

use crate::request::{Facts, is_target_override};
use crate::rfc9111::directives::{elements, split_unquoted};
use crate::search::Learnt;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, header,
    uri::{Authority, Scheme},
};
use parts::Parts;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Targets beyond this many octets are passed on uncached (RFC 9110 section 4.1 asks for 8,000).
pub(crate) const MAX_TARGET: usize = 8 * 1024;

/// A request that gets no key is forwarded untouched and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unkeyable {
    /// No host, two hosts, an unusable one, or one that contradicts the target's authority.
    Host,
    /// A target over [`MAX_TARGET`].
    TargetTooLong,
}

/// What makes digests unpredictable from outside: drawn once for a layer.
#[derive(Clone, Copy)]
pub(crate) struct Secret(u64, u64);

impl Secret {
    /// # Panics
    /// Where the operating system gives no random bytes.
    pub(crate) fn draw() -> Self {
        let word = || getrandom::u64().expect("the operating system has random bytes");
        Self(word(), word())
    }

    fn digest(self, parts: &[u8]) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(parts);
        hasher.finish128().as_u128()
    }

    /// Of several parts, none of which can pass for a piece of another.
    pub(crate) fn digest_of(self, list: &[&[u8]]) -> u128 {
        let mut parts = Parts::new();
        list.iter().for_each(|part| parts.push_with_length(part));
        self.digest(&parts)
    }
}

/// The canonical key of a request, with its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    parts: Parts,
    digest: u128,
    uri_digest: u128,
}

impl Key {
    /// The key of a request, by its target and its header section.
    pub(crate) fn of_request(
        secret: Secret,
        namespace: &[u8],
        uri: &Uri,
        facts: &Facts<'_>,
        headers: &HeaderMap,
    ) -> Result<Self, Unkeyable> {
        let mut parts = target_parts(namespace, uri, request_host(uri, facts)?)?;
        let uri_digest = secret.digest(&parts);
        let mut digest = uri_digest;
        if facts.target_override {
            push_overrides(&mut parts, headers);
            digest = secret.digest(&parts);
        }
        Ok(Self {
            parts,
            digest,
            uri_digest,
        })
    }

    /// The key of an absolute URI, as for a request without override fields.
    pub(crate) fn of_uri(secret: Secret, namespace: &[u8], uri: &Uri) -> Result<Self, Unkeyable> {
        Self::of_request(secret, namespace, uri, &Facts::default(), &HeaderMap::new())
    }

    /// The same with a request's content, for methods whose answer depends on it, and with the
    /// fields that say how it is to be read (RFC 10008 section 2.7).
    pub(crate) fn with_content(
        mut self,
        secret: Secret,
        method: &Method,
        headers: &HeaderMap,
        content: &[u8],
    ) -> Self {
        // No length: nothing before it can look like this.
        self.parts.push(&[0xff; 4]);
        self.parts.push_with_length(method.as_str().as_bytes());
        for name in &CONTENT_FIELDS {
            for value in headers.get_all(name) {
                self.parts.push_with_length(name.as_str().as_bytes());
                self.parts.push_with_length(value.as_bytes());
            }
        }
        self.parts.push_with_length(content);
        self.digest = secret.digest(&self.parts);
        self
    }

    /// The key that all queries share which ask for the same by this rule.
    pub(crate) fn by_rule(&self, secret: Secret, learnt: &Learnt) -> Self {
        let (path, query) = self.path_and_query();
        let text = (!query.is_empty() || self.lengths()[4] > 0)
            .then(|| str::from_utf8(query).unwrap_or_default());
        let mut parts = Parts::new();
        parts.push(path);
        parts.set(16, 0);
        // No length, as above.
        parts.push(&[0xfe, 0xff, 0xff, 0xff]);
        parts.push(&learnt.number.to_le_bytes());
        parts.push_with_length(learnt.rule.canonical(text).as_bytes());
        let uri_digest = secret.digest(&parts);
        parts.push(&self.parts[path.len() + query.len()..]);
        let digest = secret.digest(&parts);
        Self {
            parts,
            digest,
            uri_digest,
        }
    }

    /// The digest of the target without its query.
    pub(crate) fn path_digest(&self, secret: Secret) -> u128 {
        let (path, _) = self.path_and_query();
        // Without the query's length, which is the last one.
        secret.digest_of(&[&path[..LENGTHS - 4], &path[LENGTHS..]])
    }

    /// The octets up to the path's end, and the query's.
    fn path_and_query(&self) -> (&[u8], &[u8]) {
        let [namespace, scheme, host, path, query] = self.lengths();
        let before = LENGTHS + namespace + scheme + host + path;
        let (path, rest) = self.parts.split_at(before);
        (path, &rest[..query.saturating_sub(1)])
    }

    pub(crate) fn digest(&self) -> u128 {
        self.digest
    }

    /// The digest of the target alone, which all override fields' keys share.
    pub(crate) fn uri_digest(&self) -> u128 {
        self.uri_digest
    }

    pub(crate) fn parts(&self) -> &[u8] {
        &self.parts
    }

    /// The parts that make the origin: namespace, scheme, host and port.
    pub(crate) fn origin(&self) -> &[u8] {
        &self.parts[LENGTHS..LENGTHS + self.lengths()[..3].iter().sum::<usize>()]
    }

    fn lengths(&self) -> [usize; 5] {
        std::array::from_fn(|which| {
            let octets = &self.parts[4 * which..4 * which + 4];
            octets
                .iter()
                .rev()
                .fold(0, |length, octet| length << 8 | usize::from(*octet))
        })
    }
}

/// The octets of the five lengths.
const LENGTHS: usize = 20;

/// Whether a field is part of the key of a request with content.
pub(crate) fn says_of_content(name: &HeaderName) -> bool {
    CONTENT_FIELDS.contains(name)
}

/// What the octets of a content mean, and in which form its answer comes back.
const CONTENT_FIELDS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
];

/// The host that the request is for: the target's own, else the one `Host` line
/// (RFC 9112 sections 3.2 and 3.2.2).
fn request_host<'a>(uri: &'a Uri, facts: &Facts<'a>) -> Result<&'a [u8], Unkeyable> {
    if facts.several_hosts {
        return Err(Unkeyable::Host);
    }
    let line = facts.host.map(HeaderValue::as_bytes);
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    match (authority, line) {
        // Two hosts in one request: whom the service believes is not ours to guess.
        (Some(one), Some(other))
            if one != other && !host::same(one, other, default_port(scheme(uri)))? =>
        {
            Err(Unkeyable::Host)
        }
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(Unkeyable::Host),
    }
}

/// Whether two authorities of one scheme name the same host and port.
pub(crate) fn same_host(scheme: &Scheme, one: &Authority, other: &Authority) -> bool {
    let (one, other) = (one.as_str().as_bytes(), other.as_str().as_bytes());
    host::same(one, other, default_port(scheme)).unwrap_or(false)
}

fn scheme(uri: &Uri) -> &Scheme {
    uri.scheme().unwrap_or(&Scheme::HTTP)
}

fn default_port(scheme: &Scheme) -> u16 {
    if *scheme == Scheme::HTTPS { 443 } else { 80 }
}

/// Five lengths, then the five parts.
fn target_parts(namespace: &[u8], uri: &Uri, host: &[u8]) -> Result<Parts, Unkeyable> {
    let (path, query) = (uri.path().as_bytes(), uri.query().map(str::as_bytes));
    if path.len() + query.map_or(0, <[u8]>::len) > MAX_TARGET {
        return Err(Unkeyable::TargetTooLong);
    }
    let port = default_port(scheme(uri));
    let scheme = scheme(uri).as_str().as_bytes();
    let mut parts = Parts::new();
    parts.push(&[0; LENGTHS]);
    parts.push(namespace);
    parts.push(scheme);
    let before_host = parts.len();
    host::push(&mut parts, host, port)?;
    let host_length = parts.len() - before_host;
    parts.push(path);
    parts.push(query.unwrap_or_default());
    // "/a?" differs from "/a": no query is told from an empty one by its length.
    let query_length = query.map_or(0, |query| query.len() + 1);
    let lengths = [
        namespace.len(),
        scheme.len(),
        host_length,
        path.len(),
        query_length,
    ];
    for (which, length) in lengths.into_iter().enumerate() {
        parts.set(4 * which, length);
    }
    Ok(parts)
}

fn push_overrides(parts: &mut Parts, headers: &HeaderMap) {
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| is_target_override(name.as_str()))
    {
        if name.as_str() == "forwarded" {
            forwarded_target(value.as_bytes()).for_each(|pair| parts.push_with_length(pair));
        } else {
            parts.push_with_length(name.as_str().as_bytes());
            parts.push_with_length(value.as_bytes());
        }
    }
}

/// The pairs of a `Forwarded` line that name host or scheme (RFC 7239 sections 5.3 and 5.4); the
/// others tell of the client, and differ for each.
fn forwarded_target(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    elements(line)
        .flat_map(|element| split_unquoted(element, b';'))
        .filter(|pair| {
            [&b"host="[..], b"proto="].iter().any(|name| {
                pair.get(..name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(name))
            })
        })
}

#[cfg(test)]
mod tests;
