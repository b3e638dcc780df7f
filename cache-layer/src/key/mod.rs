//! Cache keys: which requests ask for the same thing, and which ask for nothing we may keep.
//!
//! A key is the list of its parts, with their lengths, so that no part can pass for another:
//! namespace, scheme, host, path with query, and every override field the request carries: no
//! `Vary` names those, but services answer differently for them, and a forged one must reach only
//! its forger.
//! It is hashed with a secret to 128 bits for the look-up, and kept whole in the entry, where it is
//! compared on every hit: a collision is a miss and never a wrong answer.

mod derived;
mod host;
mod named;

pub(crate) use derived::says_of_content;
pub(crate) use named::{Lookup, Named};

use crate::request::Facts;
use http::{
    HeaderMap, Uri,
    uri::{Authority, Scheme},
};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Targets beyond this many octets are passed on uncached (RFC 9110 section 4.1 asks for 8,000).
pub(crate) const MAX_TARGET: usize = 8 * 1024;

/// A request that gets no key is forwarded untouched and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unkeyable {
    /// No host, two hosts, an unusable one, one that contradicts the target's authority, or one that
    /// comes with an empty scheme.
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

    fn hasher(self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }

    /// Of several parts, none of which can pass for a piece of another.
    pub(crate) fn digest_of(self, list: &[&[u8]]) -> u128 {
        let mut hasher = self.hasher();
        for part in list {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }
}

/// The canonical key of a request, with its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    parts: Box<[u8]>,
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
        Named::new(secret, namespace, uri, facts, headers).map(Named::into_key)
    }

    /// The key of an absolute URI, as for a request without override fields.
    pub(crate) fn of_uri(secret: Secret, namespace: &[u8], uri: &Uri) -> Result<Self, Unkeyable> {
        Self::of_request(secret, namespace, uri, &Facts::default(), &HeaderMap::new())
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
}

/// Where the parts of a target end.
#[derive(Clone, Copy)]
struct Lengths {
    namespace: usize,
    scheme: usize,
    host: usize,
    target: usize,
}

impl Lengths {
    /// In one word: 3 octets for the namespace, 1 for a scheme, 2 for the others.
    fn word(self) -> u64 {
        (self.namespace as u64) << 40
            | (self.scheme as u64) << 32
            | (self.host as u64) << 16
            | self.target as u64
    }

    fn of(word: u64) -> Self {
        let octets = |shift: u32, mask: u64| (word >> shift & mask) as usize;
        Self {
            namespace: octets(40, 0xff_ffff),
            scheme: octets(32, 0xff),
            host: octets(16, 0xffff),
            target: octets(0, 0xffff),
        }
    }
}

/// Whether two authorities of one scheme name the same host and port.
pub(crate) fn same_host(scheme: &Scheme, one: &Authority, other: &Authority) -> bool {
    let [one, other] = [one, other].map(|authority| authority.as_str().as_bytes());
    let port = default_port(scheme);
    host::normal(one, port).is_ok_and(|one| host::normal(other, port) == Ok(one))
}

fn scheme(uri: &Uri) -> &Scheme {
    uri.scheme().unwrap_or(&Scheme::HTTP)
}

fn default_port(scheme: &Scheme) -> u16 {
    if *scheme == Scheme::HTTPS { 443 } else { 80 }
}

fn push_with_length(parts: &mut Vec<u8>, part: &[u8]) {
    // Any length fits: header sections are far below 4 GiB.
    parts.extend_from_slice(&(part.len() as u32).to_le_bytes());
    parts.extend_from_slice(part);
}

#[cfg(test)]
mod tests;
