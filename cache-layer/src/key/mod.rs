//! Cache keys: which requests ask for the same thing, and which ask for nothing we may keep.
//!
//! A key is the list of its parts, with their lengths, so that no part can pass for another:
//! namespace, scheme, host, path, query, and every override field the request carries: no `Vary`
//! names those, but services answer differently for them, and a forged one must reach only its
//! forger.
//! It is hashed with a secret to 128 bits for the look-up, and kept whole in the entry, where it is
//! compared on every hit: a collision is a miss and never a wrong answer.

mod host;
mod parts;

use crate::request::{Facts, is_target_override};
use crate::rfc9111::directives::{elements, split_unquoted};
use http::{
    HeaderMap, HeaderValue, Uri,
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
    parts.push(&[0; 20]);
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
mod tests {
    use super::*;
    use http::HeaderName;
    use proptest::prelude::*;

    const SECRET: Secret = Secret(1, 2);

    fn key(uri: &str, fields: &[(&str, &str)]) -> Result<Key, Unkeyable> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Key::of_request(
            SECRET,
            b"",
            &uri.parse().unwrap(),
            &Facts::read(&headers),
            &headers,
        )
    }

    #[test]
    fn spellings_of_one_target_share_a_key() {
        let same = [
            key("http://Example.com/a?b", &[]),
            key("http://example.com:80/a?b", &[]),
            key("http://example.com./a?b", &[("host", "EXAMPLE.com")]),
            key("/a?b", &[("host", "example.com:80")]),
            key("/a?b", &[("host", "example.com:")]),
        ];
        assert!(
            same.iter().all(|key| key.is_ok() && *key == same[0]),
            "{same:?}"
        );
    }

    #[test]
    fn different_targets_never_do() {
        let host = [("host", "a")];
        let all = [
            key("/a", &host),
            key("/a?", &host),
            key("/a?b", &host),
            key("/b", &host),
            key("/A", &host),
            key("/%61", &host),
            key("/a", &[("host", "b")]),
            key("/a", &[("host", "a:81")]),
            key("https://a/a", &[]),
            key("/a", &[("host", "a"), ("x-forwarded-host", "evil")]),
            key(
                "/a",
                &[
                    ("host", "a"),
                    ("x-forwarded-host", "evil"),
                    ("x-forwarded-proto", "x"),
                ],
            ),
            key("/a", &[("host", "a"), ("forwarded", "host=evil")]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(one.is_ok());
            assert!(all[i + 1..].iter().all(|other| other != one), "{i}");
        }
    }

    #[test]
    fn what_names_no_one_host_gets_no_key() {
        for (uri, fields) in [
            ("/a", &[][..]),
            ("/a", &[("host", "a"), ("host", "a")]),
            ("/a", &[("host", "")]),
            ("/a", &[("host", "a b")]),
            ("/a", &[("host", ".")]),
            ("/a", &[("host", ":80")]),
            ("/a", &[("host", "[::1")]),
            ("/a", &[("host", "[]")]),
            ("/a", &[("host", "[::1]x")]),
            ("/a", &[("host", "a]:80")]),
            ("/a", &[("host", "[fe80::1%25eth0]")]),
            ("/a", &[("host", "a:+80")]),
            ("/a", &[("host", "a:80:80")]),
            ("/a", &[("host", &"a".repeat(256))]),
            ("/a", &[("host", "u@a")]),
            ("/a", &[("host", "a,b")]),
            ("/a", &[("host", "a/b")]),
            ("/a", &[("host", "a:port")]),
            ("/a", &[("host", "a:99999")]),
            ("http://a/a", &[("host", "b")]),
        ] {
            assert_eq!(key(uri, fields), Err(Unkeyable::Host), "{uri} {fields:?}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET));
        assert_eq!(key(&long, &[("host", "a")]), Err(Unkeyable::TargetTooLong));
    }

    #[test]
    fn override_fields_share_the_targets_digest() {
        let plain = key("/a", &[("host", "a")]).unwrap();
        let forged = key("/a", &[("host", "a"), ("x-forwarded-host", "evil")]).unwrap();
        assert_eq!(plain.uri_digest(), forged.uri_digest());
        assert_ne!(plain.digest(), forged.digest());
    }

    #[test]
    fn what_peers_say_of_the_client_is_no_part() {
        let plain = key("/a", &[("host", "a")]);
        assert_eq!(
            key("/a", &[("host", "a"), ("x-forwarded-for", "10.0.0.1")]),
            plain
        );
        assert_eq!(key("/a", &[("host", "a"), ("x-request-id", "7")]), plain);
        assert_eq!(
            key("/a", &[("host", "a"), ("forwarded", "for=10.0.0.1;by=b")]),
            plain
        );
    }

    #[test]
    fn forwarded_counts_by_host_and_scheme_only() {
        let of = |value| key("/a", &[("host", "a"), ("forwarded", value)]).unwrap();
        assert_eq!(
            of("for=1.1.1.1; Host=x;proto=https"),
            of("for=2.2.2.2;Host=x , by=c;proto=https")
        );
        assert_ne!(of("host=\"x,y\""), of("host=\"x,z\""));
        assert_ne!(of("host=x"), of("proto=x"));
    }

    #[test]
    fn namespaces_and_secrets_part() {
        let uri: Uri = "http://a/b".parse().unwrap();
        let one = Key::of_uri(SECRET, b"one", &uri).unwrap();
        assert_ne!(
            one.parts(),
            Key::of_uri(SECRET, b"two", &uri).unwrap().parts()
        );
        let other = Key::of_uri(Secret(1, 3), b"one", &uri).unwrap();
        assert!(one.parts() == other.parts() && one.digest() != other.digest());
    }

    proptest! {
        #[test]
        fn parts_cannot_pass_for_one_another(
            one in "[a-z]{1,6}", two in "/[a-z]{0,6}", three in proptest::option::of("[a-z=&]{0,6}"),
            other_one in "[a-z]{1,6}", other_two in "/[a-z]{0,6}",
            other_three in proptest::option::of("[a-z=&]{0,6}"),
        ) {
            let of = |host: &str, path: &str, query: &Option<String>| {
                let query = query.as_ref().map_or(String::new(), |query| format!("?{query}"));
                key(&format!("{path}{query}"), &[("host", host)]).unwrap()
            };
            let same = (&one, &two, &three) == (&other_one, &other_two, &other_three);
            let keys = of(&one, &two, &three) == of(&other_one, &other_two, &other_three);
            prop_assert_eq!(same, keys);
        }
    }
}
