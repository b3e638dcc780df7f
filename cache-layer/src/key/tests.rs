use super::*;
use crate::request::Names;
use http::{HeaderName, HeaderValue};

use proptest::prelude::*;
use std::collections::HashSet;

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
        &Facts::read(&headers, &Names::new([])),
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
    let with_port = ["A:8080", "a.:08080", "a:00008080"].map(|host| key("/", &[("host", host)]));
    let plain = key("/", &[("host", "a:8080")]);
    assert!(plain.is_ok() && with_port.iter().all(|key| *key == plain));
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
