use super::*;
use http::{HeaderName, HeaderValue, Request};

use proptest::prelude::*;
use std::collections::HashSet;

const SECRET: Secret = Secret(1, 2);

fn request(uri: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = uri.parse().unwrap();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(name, value);
    }
    request
}

fn key_of(keying: &Keying, request: &Request<()>) -> Result<Key, NoKey> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let facts = Facts::read(
        headers,
        &crate::request::Names::new([]),
        &keying.override_fields,
    );
    let more = More {
        keying,
        headers,
        extensions,
    };
    let named = Named::new(SECRET, b"", request.uri(), &facts, Some(&more));
    named.map(Named::into_key)
}

fn key(uri: &str, fields: &[(&str, &str)]) -> Result<Key, NoKey> {
    key_of(&Keying::default(), &request(uri, fields))
}

#[test]
fn forms_of_one_target_share_a_key() {
    let same = [
        key("http://example.com/a?b", &[]),
        key("HTTP://example.com/a?b", &[("host", "example.com")]),
        key("/a?b", &[("host", "example.com")]),
    ];
    assert!(
        same.iter().all(|key| key.is_ok() && *key == same[0]),
        "{same:?}"
    );
    let root = key("/?b", &[("host", "a")]);
    assert!(root.is_ok() && key("http://a?b", &[]) == root);
}

#[test]
fn spellings_of_one_host_share_no_more_than_the_targets_digest() {
    let exact = Keying {
        spelling: Spelling::Exact,
        ..Keying::default()
    };
    for all in [
        &[
            ("http://example.com/a?b", "example.com"),
            ("http://Example.com/a?b", "example.com"),
            ("http://example.com:80/a?b", "example.com"),
            ("http://example.com/a?b", "EXAMPLE.com"),
            ("/a?b", "example.com:80"),
            ("/a?b", "example.com:"),
            ("/a?b", "example.com."),
        ][..],
        &[("/", "a:8080"), ("/", "A:8080"), ("/", "a.:08080")],
    ] {
        let keys = all.iter().map(|(uri, host)| {
            let request = request(uri, &[("host", host)]);
            key_of(&exact, &request).unwrap()
        });
        let keys: Vec<_> = keys.collect();
        for (i, one) in keys.iter().enumerate() {
            assert_eq!(one.uri_digest(), keys[0].uri_digest());
            let shares = |other: &Key| other.digest() == one.digest();
            assert!(!keys[i + 1..].iter().any(shares), "{i}");
        }
        for (uri, host) in &all[1..] {
            // As if said otherwise, the service is to see the one that the key is made of.
            assert_eq!(key(uri, &[("host", host)]), Err(NoKey::Spelled));
        }
    }
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
        ("/a", &[("host", "a"), ("host", "a")][..]),
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
        ("/a", &[("host", "u@a")]),
        ("/a", &[("host", "a,b")]),
        ("/a", &[("host", "a/b")]),
        ("/a", &[("host", "a:port")]),
        ("/a", &[("host", "a:99999")]),
        ("/a", &[("host", "a..")]),
        ("http://a/a", &[("host", "b")]),
        ("://a/a", &[]),
    ] {
        assert_eq!(key(uri, fields), Err(NoKey::BadHost), "{uri} {fields:?}");
    }
    assert_eq!(key("/a", &[]), Err(NoKey::NoHost));
    for long in ["a".repeat(256), format!("{}.:80", "A".repeat(256))] {
        assert_eq!(key("/a", &[("host", &long)]), Err(NoKey::LongHost));
    }
    assert!(key("/a", &[("host", &"a".repeat(255))]).is_ok());
    let long = format!("/{}", "a".repeat(MAX_TARGET));
    assert_eq!(key(&long, &[("host", "a")]), Err(NoKey::LongTarget));
    assert!(key(&long[..MAX_TARGET], &[("host", "a")]).is_ok());
}

#[test]
fn override_fields_share_the_targets_digest() {
    let plain = key("/a", &[("host", "a")]).unwrap();
    let forged = key("/a", &[("host", "a"), ("x-forwarded-host", "evil")]).unwrap();
    assert_eq!(plain.uri_digest(), forged.uri_digest());
    assert_ne!(plain.digest(), forged.digest());
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

#[test]
fn every_octet_counts_for_the_digest() {
    let mut digests = HashSet::new();
    let mut different = 0;
    for length in 1..=40 {
        for at in 0..=length {
            let mut part = vec![b'a'; length];
            part.get_mut(at).into_iter().for_each(|octet| *octet = b'b');
            let part = str::from_utf8(&part).unwrap();
            for (uri, host) in [(&*format!("/{part}"), "a"), ("/", part)] {
                digests.insert(key(uri, &[("host", host)]).unwrap().digest());
                different += 1;
            }
        }
    }
    assert_eq!(digests.len(), different);
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
