//! Cache keys: which requests ask for the same thing, and which ask for nothing we may keep.
//!
//! A key is the list of its parts, with their lengths, so that no part can pass for another. It is
//! hashed with a secret to 128 bits for the look-up, and kept whole in the entry, where it is compared
//! on every hit: a collision is a miss and never a wrong answer.
//!
//! Whatever could change an answer is in the key, or does not reach the service: *the service sees what
//! the key says*. Each step that makes a key of a request keeps to that by its default, and by each of
//! its choices but [`Overrides::Ignore`]:
//!
//! | step | default | by choice |
//! | --- | --- | --- |
//! | namespace | empty | any text: `namespace` |
//! | override fields | part of the key | taken out, refused, ignored: [`Overrides`], `trusted_peers` |
//! | scheme | `http` where the target has none | |
//! | host | the target's own, else `Host`; two that differ and invalid ones are refused with 400 | past the cache: `bad_host` |
//! | | in its normal form, which the service sees | as spelled: [`Spelling`] |
//! | path | as spelled | the normal form, which the service sees: [`Spelling`] |
//! | query | as it is | sorted, some parameters only, and the service sees no other ones: [`QueryPolicy`] |
//! | chosen fields | none | all their lines: `key_headers` |
//! | owner | none | a tenant or a user, by a function of fields and extensions: `key_by` |
//! | content | of methods that are keyed by it: QUERY, gRPC | `query`, `grpc_method` |
//! | length | targets over 8 KiB and hosts over 255 octets pass by the cache | 414, 400: `overlong` |
//!
//! *Host.* Its normal form is in lower case, without the scheme's default port and a dot at its end (RFC
//! 9110 section 4.2.3). Names that are not ASCII come as A-labels, or they are invalid: IDNA is not ours.
//! A request with another spelling is respelled before it is looked up: services have been seen to answer
//! capitals with an error, or with a redirect to where the client is already.
//!
//! *Path.* RFC 3986 calls escapes of unreserved characters equivalent to what they stand for, and RFC 9110
//! lets caches treat them so. Services do not: axum routes `/%61` to another handler than `/a`, so to
//! share their entry would let a client put that handler's answer, or its 404, in the other one's place.
//! Whoever has the layer above all routing may choose the normal form: then it is what is routed. Dot
//! segments and doubled slashes are never removed, and no escape of a reserved character is decoded, as
//! services differ in what they make of them: that a cache and its origin read a path differently is what
//! cache deception is made of.
//!
//! *Invalidation* reaches all keys of one target: they share the digest of namespace, scheme, host in
//! normal form, path and query, which a purged URI goes through the same steps for.

mod derived;
mod host;
mod keying;
mod named;
mod overrides;
mod path;
mod query;

pub(crate) use derived::says_of_content;
pub(crate) use keying::{Keying, respell_host};
pub use keying::{Spelling, Unkeyable};
pub(crate) use named::{Lookup, More, Named};
pub use overrides::Overrides;
pub(crate) use overrides::{OverrideFields, dashed};
pub use query::QueryPolicy;

use crate::request::Facts;
use http::{
    Uri,
    uri::{Authority, Scheme},
};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Targets beyond this many octets get no key (RFC 9110 section 4.1 asks for 8,000).
const MAX_TARGET: usize = 8 * 1024;

/// Why a request gets no key: it is not stored, and nothing stored answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// No host at all.
    NoHost,
    /// Two hosts, an invalid one, one that contradicts the target's authority, or one that comes with
    /// an empty scheme.
    BadHost,
    /// A host longer than any that there is.
    LongHost,
    /// A target over [`MAX_TARGET`].
    LongTarget,
    /// The function that says whose it is says nobody's.
    NoOwner,
    /// Its host is spelled otherwise than in the key: the service is to see that one.
    Spelled,
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

    #[cfg(test)]
    fn fixed() -> Self {
        Self(1, 2)
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
    /// The key of an absolute URI: of its target alone.
    pub(crate) fn of_uri(secret: Secret, namespace: &[u8], uri: &Uri) -> Result<Self, NoKey> {
        Named::new(secret, namespace, uri, &Facts::default(), None).map(Named::into_key)
    }

    pub(crate) fn digest(&self) -> u128 {
        self.digest
    }

    /// The digest of the target alone, which all keys of it share.
    pub(crate) fn uri_digest(&self) -> u128 {
        self.uri_digest
    }

    pub(crate) fn parts(&self) -> &[u8] {
        &self.parts
    }
}

/// What may follow a target in a key, each once and in this order; a rule stands in a target's query's
/// place.
#[derive(Clone, Copy)]
enum Section {
    Rule,
    Spelled,
    Overrides,
    Fields,
    Owner,
    Content,
}

impl Section {
    /// What begins it: no length, so that nothing with a length before it can look like it.
    fn mark(self) -> [u8; 4] {
        [self as u8, 0xff, 0xff, 0xff]
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
