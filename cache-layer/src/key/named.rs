//! A key as its request names it: looked up where its parts lie, and copied only for those who keep it.

use super::{
    Key, Keying, Lengths, MAX_TARGET, NoKey, Secret, Section, Spelling, default_port, host,
    push_with_length, scheme,
};
use crate::request::Facts;
use http::uri::{PathAndQuery, Scheme};
use http::{Extensions, HeaderMap, HeaderValue, Uri};
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

/// What of a request may be part of a key besides its target.
#[derive(Clone, Copy)]
pub(crate) struct More<'a> {
    pub(crate) keying: &'a Keying,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) extensions: &'a Extensions,
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
    /// By its target alone, or with what else of the request is part of it.
    pub(crate) fn new(
        secret: Secret,
        namespace: &'a [u8],
        uri: &'a Uri,
        facts: &Facts<'a>,
        more: Option<&More<'_>>,
    ) -> Result<Self, NoKey> {
        let (host, spelled) = request_host(uri, facts)?;
        // The query with its mark, so that "/a?" differs from "/a".
        let path_and_query = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if path_and_query.len() > MAX_TARGET {
            return Err(NoKey::LongTarget);
        }
        // The usual one is not written, so none may be written like it: "://a/" can be parsed.
        let scheme = match scheme(uri) {
            usual if *usual == Scheme::HTTP => "",
            other if other.as_str().is_empty() => return Err(NoKey::BadHost),
            other => other.as_str(),
        };
        let target = Pieces::new(secret, namespace, scheme, host, path_and_query);
        match more {
            Some(more) if spelled || facts.target_override || more.keying.asks_for_more() => {
                target.with(more, secret, uri, facts, spelled)
            }
            _ => Ok(Self::Target(target)),
        }
    }

    pub(crate) fn to_key(&self) -> Key {
        match self {
            Self::Target(target) => target.to_key(),
            Self::Whole(key) => key.clone(),
        }
    }

    pub(crate) fn into_key(self) -> Key {
        match self {
            Self::Whole(key) => key,
            target => target.to_key(),
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

impl<'a> Pieces<'a> {
    /// With what else is part of the key.
    fn with(
        self,
        more: &More<'_>,
        secret: Secret,
        uri: &Uri,
        facts: &Facts<'_>,
        spelled: bool,
    ) -> Result<Named<'a>, NoKey> {
        let &More {
            keying,
            headers,
            extensions,
        } = more;
        let overrides = facts.target_override && keying.keys_overrides(extensions);
        if !(spelled || overrides || keying.asks_for_more()) {
            return Ok(Named::Target(self));
        }
        if spelled && keying.spelling != Spelling::Exact {
            return Err(NoKey::Spelled);
        }
        let key = self.to_key();
        let mut parts = Vec::from(key.parts);
        if spelled {
            parts.extend_from_slice(&Section::Spelled.mark());
            for host in [authority(uri), line(facts)] {
                push_with_length(&mut parts, host.unwrap_or_default());
            }
        }
        if overrides {
            parts.extend_from_slice(&Section::Overrides.mark());
            keying.override_fields.push(&mut parts, headers);
        }
        keying.push_more(&mut parts, headers, extensions)?;
        Ok(Named::Whole(Key {
            digest: secret.digest_of(&[&parts]),
            parts: parts.into(),
            uri_digest: key.uri_digest,
        }))
    }

    fn new(
        secret: Secret,
        namespace: &'a [u8],
        scheme: &'a str,
        host: Cow<'a, [u8]>,
        path_and_query: &'a str,
    ) -> Self {
        // In one piece, as the digest takes it in: "http://a?b" names what "http://a/?b" does.
        let path_and_query = if path_and_query.starts_with('?') {
            Cow::Owned(format!("/{path_and_query}"))
        } else {
            Cow::Borrowed(path_and_query)
        };
        let lengths = Lengths {
            namespace: namespace.len(),
            scheme: scheme.len(),
            host: host.len(),
            target: path_and_query.len(),
        }
        .word();
        let mut target = Self {
            lengths,
            namespace,
            scheme,
            host,
            path_and_query,
            digest: 0,
        };
        let mut hasher = secret.hasher();
        hasher.write_u64(lengths);
        for part in &target.parts() {
            absorb(&mut hasher, part);
        }
        target.digest = hasher.finish128().as_u128();
        target
    }

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

/// The host that the request is for, in its normal form: the target's own, else the one `Host` line; and
/// whether one of them is spelled otherwise.
///
/// RFC 9112 section 3.2.2 has servers ignore the `Host` beside an absolute-form target, RFC 9113 section
/// 8.3.1 has them refuse one that differs from `:authority`, and no client may send either: whom the
/// service believes is not ours to guess.
fn request_host<'a>(uri: &'a Uri, facts: &Facts<'a>) -> Result<(Cow<'a, [u8]>, bool), NoKey> {
    if facts.several_hosts {
        return Err(NoKey::BadHost);
    }
    let port = default_port(scheme(uri));
    let (authority, line) = (authority(uri), line(facts));
    let host = host::normal(authority.or(line).ok_or(NoKey::NoHost)?, port)?;
    let spelled = match (authority, line) {
        (Some(one), Some(other)) if one != other => {
            if host != host::normal(other, port)? {
                return Err(NoKey::BadHost);
            }
            true
        }
        _ => matches!(host, Cow::Owned(_)),
    };
    Ok((host, spelled))
}

fn authority(uri: &Uri) -> Option<&[u8]> {
    Some(uri.authority()?.as_str().as_bytes())
}

fn line<'a>(facts: &Facts<'a>) -> Option<&'a [u8]> {
    facts.host.map(HeaderValue::as_bytes)
}
