//! Cache keys: which requests ask for the same thing, and which ask for nothing we may keep.
//!
//! A key is the list of its parts, each behind its length, so that no part can pass for another:
//! namespace, scheme, host, path, query, and every [override field](overrides) the request carries.
//! It is hashed with a secret to 128 bits for the look-up, and kept whole in the entry, where it is
//! compared on every hit: a collision is a miss and never a wrong answer.

mod host;
mod overrides;

use host::Host;
use http::{HeaderMap, Uri, header, uri::Scheme};
use overrides::Override;
use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::SmallVec;
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
    /// Long enough inline for nearly all targets: the hit path allocates nothing here.
    parts: Parts,
    digest: u128,
    uri_digest: u128,
    method_overridden: bool,
}

impl Key {
    /// The key of a request, by its target and its header section.
    pub(crate) fn of_request(
        secret: Secret,
        namespace: &[u8],
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, Unkeyable> {
        let host = request_host(uri, headers)?;
        let mut parts = target_parts(namespace, uri, &host)?;
        let target_length = parts.len();
        let uri_digest = secret.digest(&parts);
        let mut method_overridden = false;
        // No Vary names these fields, but services answer differently for them: a forged one must
        // reach only its forger.
        for (name, value) in headers {
            match overrides::kind(name) {
                None => {}
                Some(Override::Target) => {
                    push_part(&mut parts, name.as_str().as_bytes());
                    push_part(&mut parts, value.as_bytes());
                }
                Some(Override::Forwarded) => overrides::forwarded_target(value.as_bytes())
                    .for_each(|pair| push_part(&mut parts, pair)),
                Some(Override::Method) => method_overridden = true,
            }
        }
        let digest = if parts.len() == target_length {
            uri_digest
        } else {
            secret.digest(&parts)
        };
        Ok(Self {
            parts,
            digest,
            uri_digest,
            method_overridden,
        })
    }

    /// The key of an absolute URI, as for a request without override fields.
    pub(crate) fn of_uri(secret: Secret, namespace: &[u8], uri: &Uri) -> Result<Self, Unkeyable> {
        Self::of_request(secret, namespace, uri, &HeaderMap::new())
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

    /// Whether a field asks for another method than the request line's.
    pub(crate) fn method_overridden(&self) -> bool {
        self.method_overridden
    }
}

/// The host that the request is for: the target's own, else the one `Host` line
/// (RFC 9112 sections 3.2 and 3.2.2).
fn request_host(uri: &Uri, headers: &HeaderMap) -> Result<Host, Unkeyable> {
    let mut lines = headers.get_all(header::HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(Unkeyable::Host);
    }
    let port = default_port(uri);
    let line = line
        .map(|line| Host::parse(line.as_bytes(), port))
        .transpose()?;
    let authority = uri
        .authority()
        .map(|a| Host::parse(a.as_str().as_bytes(), port))
        .transpose()?;
    match (authority, line) {
        // Two hosts in one request: whom the service believes is not ours to guess.
        (Some(one), Some(other)) if one != other => Err(Unkeyable::Host),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(Unkeyable::Host),
    }
}

fn scheme(uri: &Uri) -> &Scheme {
    uri.scheme().unwrap_or(&Scheme::HTTP)
}

fn default_port(uri: &Uri) -> u16 {
    if *scheme(uri) == Scheme::HTTPS {
        443
    } else {
        80
    }
}

type Parts = SmallVec<[u8; 200]>;

fn target_parts(namespace: &[u8], uri: &Uri, host: &Host) -> Result<Parts, Unkeyable> {
    let (path, query) = (uri.path(), uri.query());
    if path.len() + query.map_or(0, str::len) > MAX_TARGET {
        return Err(Unkeyable::TargetTooLong);
    }
    let mut parts = Parts::new();
    for part in [
        namespace,
        scheme(uri).as_str().as_bytes(),
        host.as_bytes(),
        path.as_bytes(),
        // "/a?" differs from "/a", so presence is a part of its own.
        if query.is_some() { b"?" } else { b"" },
        query.unwrap_or_default().as_bytes(),
    ] {
        push_part(&mut parts, part);
    }
    Ok(parts)
}

fn push_part(parts: &mut Parts, part: &[u8]) {
    // Any length fits: header sections and targets are far below 4 GiB.
    parts.extend_from_slice(&(part.len() as u32).to_le_bytes());
    parts.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    const SECRET: Secret = Secret(1, 2);

    fn key(uri: &str, fields: &[(&str, &str)]) -> Result<Key, Unkeyable> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Key::of_request(SECRET, b"", &uri.parse().unwrap(), &headers)
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
        let write = key("/a", &[("host", "a"), ("x-http-method-override", "DELETE")]).unwrap();
        assert!(write.method_overridden() && !plain.method_overridden());
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
