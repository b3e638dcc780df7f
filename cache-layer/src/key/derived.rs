//! Keys made of other keys, and a key as people read it.

use super::{Key, Lengths, Secret, Section, push_with_length};
use crate::search::Learnt;
use http::{HeaderMap, HeaderName, Method, header};
use std::fmt;

/// What the octets of a content mean, and in which form its answer comes back.
const CONTENT_FIELDS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
];

/// Whether a field is part of the key of a request with content.
pub(crate) fn says_of_content(name: &HeaderName) -> bool {
    CONTENT_FIELDS.contains(name)
}

impl Key {
    /// The same with a request's content, for methods whose answer depends on it, and with the
    /// fields that say how it is to be read (RFC 10008 section 2.7).
    pub(crate) fn with_content(
        &self,
        secret: Secret,
        method: &Method,
        headers: &HeaderMap,
        content: &[u8],
    ) -> Self {
        let mut parts = self.parts.to_vec();
        parts.extend_from_slice(&Section::Content.mark());
        push_with_length(&mut parts, method.as_str().as_bytes());
        for name in &CONTENT_FIELDS {
            for value in headers.get_all(name) {
                push_with_length(&mut parts, name.as_str().as_bytes());
                push_with_length(&mut parts, value.as_bytes());
            }
        }
        push_with_length(&mut parts, content);
        Self {
            digest: secret.digest_of(&[&parts]),
            parts: parts.into(),
            uri_digest: self.uri_digest,
        }
    }

    /// The key that all queries share which ask for the same by this rule.
    pub(crate) fn by_rule(&self, secret: Secret, learnt: &Learnt) -> Self {
        let Target {
            path,
            query,
            before,
            behind,
            lengths,
            ..
        } = self.target();
        let target = path.len();
        let mut parts = Lengths { target, ..lengths }.word().to_le_bytes().to_vec();
        parts.extend_from_slice(before);
        parts.extend_from_slice(path);
        parts.extend_from_slice(&Section::Rule.mark());
        parts.extend_from_slice(&learnt.number.to_le_bytes());
        let query = query.map(|query| str::from_utf8(query).unwrap_or_default());
        push_with_length(&mut parts, learnt.rule.canonical(query).as_bytes());
        // Who invalidates a target knows the rule of its path, not those of all keys of it.
        let uri_digest = if behind.is_empty() {
            secret.digest_of(&[&parts])
        } else {
            self.path_digest(secret)
        };
        parts.extend_from_slice(behind);
        Self {
            digest: secret.digest_of(&[&parts]),
            parts: parts.into(),
            uri_digest,
        }
    }

    /// A key as people read it, by nothing but its parts.
    pub(crate) fn show_parts(parts: &[u8]) -> String {
        let (digest, uri_digest) = (0, 0);
        let parts = parts.into();
        let key = Self {
            parts,
            digest,
            uri_digest,
        };
        key.to_string()
    }

    /// The key of the target alone, for one that no rule has made.
    pub(crate) fn alone(&self) -> Self {
        let behind = self.target().behind.len();
        Self {
            parts: self.parts[..self.parts.len() - behind].into(),
            digest: self.uri_digest,
            uri_digest: self.uri_digest,
        }
    }

    /// The digest of the target without its query.
    pub(crate) fn path_digest(&self, secret: Secret) -> u128 {
        let [namespace, scheme, host] = self.origin();
        secret.digest_of(&[namespace, scheme, host, self.target().path])
    }

    /// The digest of all but the query: what is answered to a forged field says nothing of other answers'
    /// queries.
    pub(crate) fn digest_without_query(&self, secret: Secret) -> u128 {
        let [namespace, scheme, host] = self.origin();
        let Target { path, behind, .. } = self.target();
        secret.digest_of(&[namespace, scheme, host, path, behind])
    }

    /// Namespace, scheme, and host with port.
    pub(crate) fn origin(&self) -> [&[u8]; 3] {
        let Target {
            before, lengths, ..
        } = self.target();
        let (namespace, rest) = before.split_at(lengths.namespace);
        let (scheme, host) = rest.split_at(lengths.scheme);
        [namespace, scheme, host]
    }

    fn target(&self) -> Target<'_> {
        let (word, rest) = self.parts.split_first_chunk().expect("a key has lengths");
        let lengths = Lengths::of(u64::from_le_bytes(*word));
        let (before, rest) = rest.split_at(lengths.namespace + lengths.scheme + lengths.host);
        let (target, behind) = rest.split_at(lengths.target);
        let mark = target.iter().position(|octet| *octet == b'?');
        let (path, query) = match mark {
            Some(at) => (&target[..at], Some(&target[at + 1..])),
            None => (target, None),
        };
        Target {
            before,
            path,
            query,
            behind,
            lengths,
        }
    }
}

/// A key, taken apart.
struct Target<'a> {
    /// Namespace, scheme and host.
    before: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
    /// What is not of the target.
    behind: &'a [u8],
    lengths: Lengths,
}

/// The target; what else is part of the key stays out of sight.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([_, scheme, host], target) = (self.origin(), self.target());
        let scheme = if scheme.is_empty() { b"http" } else { scheme };
        write!(f, "{}://", scheme.escape_ascii())?;
        write!(f, "{}", host.escape_ascii())?;
        write!(f, "{}", target.path.escape_ascii())?;
        if let Some(query) = target.query {
            write!(f, "?{}", query.escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: Secret, uri: &str) -> Key {
        Key::of_uri(secret, b"space", &uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_key_shows_its_target() {
        for (uri, shown) in [
            ("http://A.example:80", "http://a.example/"),
            ("https://a:8443/b?c=d", "https://a:8443/b?c=d"),
            ("http://[::1]:81/?", "http://[::1]:81/?"),
            ("http://[::1]/", "http://[::1]/"),
        ] {
            assert_eq!(key(Secret::draw(), uri).to_string(), shown);
        }
    }

    #[test]
    fn content_makes_keys_of_their_own_for_one_target() {
        let secret = Secret::draw();
        let plain = key(secret, "http://a/");
        let with = |method: &str, kind: &'static str, content: &[u8]| {
            let kind = http::HeaderValue::from_static(kind);
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
            plain.with_content(secret, &method.parse().unwrap(), &headers, content)
        };
        let all = [
            plain.clone(),
            with("QUERY", "text/a", b"x"),
            with("QUERY", "text/a", b"y"),
            with("QUERY", "text/ax", b""),
            with("POST", "text/a", b"x"),
        ];
        for (n, one) in all.iter().enumerate() {
            assert_eq!(one.uri_digest(), plain.uri_digest());
            for other in &all[..n] {
                assert!(one.digest() != other.digest() && one.parts() != other.parts());
            }
        }
    }
}
