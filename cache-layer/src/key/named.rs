//! A key as its request names it: looked up where its parts lie, and copied only for those who keep it.

use super::{
    Key, Lengths, MAX_TARGET, Secret, Unkeyable, default_port, host, push_with_length, scheme,
};
use crate::request::{Facts, is_target_override};
use crate::rfc9111::directives::{elements, split_unquoted};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Uri};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::borrow::Cow;
use std::hash::Hasher;

/// What an entry is looked up by.
pub(crate) trait Lookup {
    fn digest(&self) -> u128;
    /// Whether these are a key's parts, octet for octet.
    fn is(&self, parts: &[u8]) -> bool;
    /// As people read it.
    fn show(&self) -> String;
}

impl Lookup for Key {
    fn digest(&self) -> u128 {
        self.digest
    }

    fn is(&self, parts: &[u8]) -> bool {
        *self.parts == *parts
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// The key of a request.
pub(crate) enum Named<'a> {
    /// Of its target alone.
    Target(Pieces<'a>),
    /// Of more, which is put together already.
    Whole(Key),
}

/// The parts of a target, in their places.
pub(crate) struct Pieces<'a> {
    lengths: u64,
    namespace: &'a [u8],
    scheme: &'a str,
    host: Cow<'a, [u8]>,
    path_and_query: Cow<'a, str>,
    digest: u128,
}

impl<'a> Named<'a> {
    pub(crate) fn new(
        secret: Secret,
        namespace: &'a [u8],
        uri: &'a Uri,
        facts: &Facts<'a>,
        headers: &HeaderMap,
    ) -> Result<Self, Unkeyable> {
        let host = request_host(uri, facts)?;
        // The query with its mark, so that "/a?" differs from "/a".
        let path_and_query = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if path_and_query.len() > MAX_TARGET {
            return Err(Unkeyable::TargetTooLong);
        }
        // In one piece, as the digest takes it in: "http://a?b" names what "http://a/?b" does.
        let path_and_query = if path_and_query.starts_with('?') {
            Cow::Owned(format!("/{path_and_query}"))
        } else {
            Cow::Borrowed(path_and_query)
        };
        // The usual one is not written, so none may be written like it: "://a/" can be parsed.
        let scheme = match scheme(uri) {
            usual if *usual == Scheme::HTTP => "",
            other if other.as_str().is_empty() => return Err(Unkeyable::Host),
            other => other.as_str(),
        };
        let lengths = Lengths {
            namespace: namespace.len(),
            scheme: scheme.len(),
            host: host.len(),
            target: path_and_query.len(),
        }
        .word();
        let mut target = Pieces {
            lengths,
            namespace,
            scheme,
            host,
            path_and_query,
            digest: 0,
        };
        let mut hasher = secret.hasher();
        hasher.write_u64(lengths);
        for part in target.parts().into_iter().filter(|part| !part.is_empty()) {
            absorb(&mut hasher, part);
        }
        target.digest = hasher.finish128().as_u128();
        if !facts.target_override {
            return Ok(Self::Target(target));
        }
        let mut key = target.to_key();
        let mut parts = Vec::from(key.parts);
        let own = parts.len();
        push_overrides(&mut parts, headers);
        hasher.write(&parts[own..]);
        key.digest = hasher.finish128().as_u128();
        key.parts = parts.into();
        Ok(Self::Whole(key))
    }

    pub(crate) fn into_key(self) -> Key {
        match self {
            Self::Target(target) => target.to_key(),
            Self::Whole(key) => key,
        }
    }
}

impl Lookup for Named<'_> {
    fn digest(&self) -> u128 {
        match self {
            Self::Target(target) => target.digest,
            Self::Whole(key) => key.digest,
        }
    }

    fn is(&self, parts: &[u8]) -> bool {
        match self {
            Self::Target(target) => target.is(parts),
            Self::Whole(key) => key.is(parts),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Target(target) => target.to_key().show(),
            Self::Whole(key) => key.show(),
        }
    }
}

impl Pieces<'_> {
    fn parts(&self) -> [&[u8]; 4] {
        [
            self.namespace,
            self.scheme.as_bytes(),
            &self.host,
            self.path_and_query.as_bytes(),
        ]
    }

    fn is(&self, parts: &[u8]) -> bool {
        let Some((lengths, mut rest)) = parts.split_first_chunk() else {
            return false;
        };
        // The empty are left out: to compare nothing at a made-up address is slow on some processors.
        let parts = self.parts();
        let mut filled = parts.iter().filter(|part| !part.is_empty());
        u64::from_le_bytes(*lengths) == self.lengths
            && filled.all(|part| {
                let after = rest.strip_prefix(*part);
                rest = after.unwrap_or_default();
                after.is_some()
            })
            && rest.is_empty()
    }

    fn to_key(&self) -> Key {
        let all = self.parts();
        let octets = all.iter().map(|part| part.len()).sum::<usize>();
        let mut parts = Vec::with_capacity(size_of_val(&self.lengths) + octets);
        parts.extend_from_slice(&self.lengths.to_le_bytes());
        all.iter().for_each(|part| parts.extend_from_slice(part));
        Key {
            parts: parts.into(),
            digest: self.digest,
            uri_digest: self.digest,
        }
    }
}

/// Takes in a part whose length is known already, by words: the last one may overlap the one before
/// it, which is cheaper than to fill it up.
fn absorb(hasher: &mut SipHasher13, part: &[u8]) {
    let (words, rest) = part.as_chunks();
    for word in words {
        hasher.write_u64(u64::from_le_bytes(*word));
    }
    if rest.is_empty() {
        return;
    }
    hasher.write_u64(match part.last_chunk() {
        Some(word) => u64::from_le_bytes(*word),
        None => rest
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    });
}

/// The host that the request is for, in its normal form: the target's own, else the one `Host` line
/// (RFC 9112 sections 3.2 and 3.2.2).
fn request_host<'a>(uri: &'a Uri, facts: &Facts<'a>) -> Result<Cow<'a, [u8]>, Unkeyable> {
    if facts.several_hosts {
        return Err(Unkeyable::Host);
    }
    let port = default_port(scheme(uri));
    let line = facts.host.map(HeaderValue::as_bytes);
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let host = host::normal(authority.or(line).ok_or(Unkeyable::Host)?, port)?;
    match (authority, line) {
        // Two hosts in one request: whom the service believes is not ours to guess.
        (Some(one), Some(other)) if one != other && host != host::normal(other, port)? => {
            Err(Unkeyable::Host)
        }
        _ => Ok(host),
    }
}

fn push_overrides(parts: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| is_target_override(name.as_str()))
    {
        if name.as_str() == "forwarded" {
            forwarded_target(value.as_bytes()).for_each(|pair| push_with_length(parts, pair));
        } else {
            push_with_length(parts, name.as_str().as_bytes());
            push_with_length(parts, value.as_bytes());
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
