use super::*;
use crate::key::{Key, More, Named, Secret};
use crate::request::{Facts, Names};

fn keying() -> Keying {
    Keying::default()
}

fn normal() -> Keying {
    Keying {
        spelling: Spelling::HostAndPath,
        ..keying()
    }
}

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

/// All that is done to a request that reads.
fn prepared(keying: &Keying, mut request: Request<()>) -> Request<()> {
    keying.prepare(&mut request, true).unwrap();
    if key(keying, &request) == Err(NoKey::Spelled) {
        assert!(respell_host(&mut request));
        assert!(!respell_host(&mut request));
    }
    request
}

fn key(keying: &Keying, request: &Request<()>) -> Result<Key, NoKey> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let facts = Facts::read(headers, &Names::new([]), &keying.override_fields);
    let more = More {
        keying,
        headers,
        extensions,
    };
    let (secret, uri) = (Secret::fixed(), request.uri());
    Named::new(secret, &keying.namespace, uri, &facts, Some(&more)).map(Named::into_key)
}

#[test]
fn the_normal_form_is_what_the_service_sees() {
    for (uri, host, seen) in [
        ("/a?b", "a", ("/a?b", "a")),
        ("/%61/%2f?%61", "A.:80", ("/a/%2F?%61", "a")),
        (
            "http://A.example:80",
            "A.EXAMPLE:080",
            ("http://a.example/", "a.example"),
        ),
        ("http://A?b", "a", ("http://a/?b", "a")),
        ("https://a:443/%7e", "a:443", ("https://a/~", "a")),
        ("https://a:80/", "a:80", ("https://a:80/", "a:80")),
        ("http://[::1]:80/", "[::1]", ("http://[::1]/", "[::1]")),
        ("/%6", "A", ("/%6", "a")),
    ] {
        let request = prepared(&normal(), request(uri, &[("host", host)]));
        let (uri, line) = (request.uri().to_string(), &request.headers()["host"]);
        assert_eq!((&*uri, line.to_str().unwrap()), seen);
        assert!(key(&normal(), &request).is_ok());
    }
}

#[test]
fn nothing_changes_but_by_choice_and_for_those_who_read() {
    let as_it_was = || request("/%61?b&a", &[("host", "A:80")]);
    let exact = Keying {
        spelling: Spelling::Exact,
        ..keying()
    };
    for (keying, reads) in [(exact, true), (keying(), true), (normal(), false)] {
        let mut request = as_it_was();
        keying.prepare(&mut request, reads).unwrap();
        assert_eq!(seen(&request), seen(&as_it_was()));
    }
    assert_eq!(key(&keying(), &as_it_was()), Err(NoKey::Spelled));
    let respelt = prepared(&keying(), as_it_was());
    assert_eq!(seen(&respelt), seen(&request("/%61?b&a", &[("host", "a")])));
    // What has no key is passed on as it is.
    let long = format!("/%61{}", "a".repeat(MAX_TARGET));
    let request = prepared(&normal(), request(&long, &[("host", "A B"), ("host", "a")]));
    assert_eq!(request.uri().to_string(), long);
    assert_eq!(request.headers()["host"], "A B");
}

#[test]
fn a_query_of_which_nothing_counts_is_none() {
    let keying = Keying {
        query: QueryPolicy::ignoring(["u"]),
        ..keying()
    };
    for (uri, seen) in [
        ("http://a?u=1", "http://a/"),
        ("/x?u", "/x"),
        ("/x?", "/x?"),
        ("/x", "/x"),
        ("/%61?b&u", "/%61?b"),
    ] {
        let request = prepared(&keying, request(uri, &[("host", "a")]));
        assert_eq!(request.uri(), seen, "{uri}");
        assert_eq!(
            key(&keying, &request),
            key(&keying, &self::request(seen, &[("host", "a")]))
        );
    }
}

#[test]
fn fields_of_choice_part_by_their_lines() {
    let market = HeaderName::from_static("x-market");
    let keying = Keying {
        fields: [market, header::ACCEPT_LANGUAGE].into(),
        ..keying()
    };
    let all = [
        &[][..],
        &[("x-market", "")],
        &[("x-market", "a")],
        &[("x-market", "a"), ("x-market", "b")],
        &[("x-market", "b"), ("x-market", "a")],
        &[("x-market", "a,b")],
        &[("accept-language", "a")],
        &[("accept-language", "a"), ("x-market", "a")],
    ]
    .map(|fields| key(&keying, &request("http://a/", fields)).unwrap());
    for (i, one) in all.iter().enumerate() {
        assert_eq!(one.uri_digest(), all[0].uri_digest());
        assert!(
            all[i + 1..]
                .iter()
                .all(|other| other.digest() != one.digest()),
            "{i}"
        );
    }
    let with = |more| key(&keying, &request("http://a/", &[("x-market", "a"), more]));
    assert_eq!(with(("accept", "x")), with(("accept", "y")));
}

#[test]
fn owners_share_nothing_and_nobody_has_no_key() {
    let owner = |headers: &HeaderMap, extensions: &Extensions| {
        let owner = extensions
            .get::<&str>()
            .map(|owner| owner.as_bytes().to_vec());
        owner.or_else(|| Some(headers.get("x-owner")?.as_bytes().to_vec()))
    };
    let keying = Keying {
        owner: Some(Arc::new(owner)),
        ..keying()
    };
    let by_field = |value| key(&keying, &request("http://a/", &[("x-owner", value)]));
    let mut extended = request("http://a/", &[]);
    extended.extensions_mut().insert("a");
    assert_eq!(by_field("a"), key(&keying, &extended));
    assert_ne!(by_field("a"), by_field("b"));
    assert_ne!(
        by_field(""),
        key(&Keying::default(), &request("http://a/", &[]))
    );
    assert_eq!(
        key(&keying, &request("http://a/", &[])),
        Err(NoKey::NoOwner)
    );
}

#[test]
fn any_field_may_be_an_override_field() {
    for name in ["host", "cookie", "range", "cache-control", "x-base"] {
        let keying = Keying {
            override_fields: OverrideFields::These([name.parse().unwrap()].into()),
            ..keying()
        };
        let of = |fields: &[_]| key(&keying, &request("http://a/", fields)).unwrap();
        assert_ne!(of(&[(name, "a")]), of(&[]), "{name}");
        assert_eq!(of(&[("x-forwarded-host", "b")]), of(&[]));
    }
}

#[test]
fn override_fields_by_choice() {
    let forged = || {
        request(
            "http://a/",
            &[("x-forwarded-host", "b"), ("x-forwarded-for", "c")],
        )
    };
    let trusted = || {
        let mut request = forged();
        request.extensions_mut().insert("trusted");
        request
    };
    let by = |overrides| Keying {
        overrides,
        trusted: Some(Arc::new(|extensions| {
            extensions.get::<&str>() == Some(&"trusted")
        })),
        ..keying()
    };
    let seen = |overrides, mut request: Request<()>| {
        let keying = by(overrides);
        keying.prepare(&mut request, false)?;
        let host = request.headers().contains_key("x-forwarded-host");
        assert!(request.headers().contains_key("x-forwarded-for"));
        let plain = key(&keying, &self::request("http://a/", &[]));
        Ok((host, key(&keying, &request) != plain))
    };
    assert_eq!(seen(Overrides::Key, forged()), Ok((true, true)));
    assert_eq!(seen(Overrides::Strip, forged()), Ok((false, false)));
    assert_eq!(
        seen(Overrides::Refuse, forged()),
        Err(StatusCode::BAD_REQUEST)
    );
    assert_eq!(seen(Overrides::Ignore, forged()), Ok((true, false)));
    for overrides in [
        Overrides::Key,
        Overrides::Strip,
        Overrides::Refuse,
        Overrides::Ignore,
    ] {
        assert_eq!(seen(overrides, trusted()), Ok((true, true)));
    }
    let harmless = request(
        "http://a/",
        &[("forwarded", "for=b"), ("x-forwarded-for", "c")],
    );
    assert!(
        by(Overrides::Refuse)
            .prepare(&mut harmless.clone(), true)
            .is_ok()
    );
}

#[test]
fn what_has_no_key_is_refused_by_choice() {
    let overlong = Keying {
        overlong: Unkeyable::Refuse,
        bad_host: Unkeyable::Bypass,
        ..keying()
    };
    for (why, usual, other) in [
        (NoKey::NoHost, None, None),
        (NoKey::NoOwner, None, None),
        (NoKey::BadHost, Some(400), None),
        (NoKey::LongHost, None, Some(400)),
        (NoKey::LongTarget, None, Some(414)),
    ] {
        let status = |keying: &Keying| keying.refusal(why).map(|status| status.as_u16());
        assert_eq!(
            (status(&keying()), status(&overlong)),
            (usual, other),
            "{why:?}"
        );
    }
}

/// All that a service sees of what may be part of a key.
fn seen(request: &Request<()>) -> impl PartialEq + fmt::Debug + use<> {
    let (uri, headers) = (request.uri().clone(), request.headers());
    let all = |name| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    let lines = ["x-forwarded-host", "x-host", "x-market"].map(all);
    let owner = headers.get("x-owner").cloned();
    let host = match uri.authority() {
        Some(authority) => authority.as_str().as_bytes().to_vec(),
        None => headers["host"].as_bytes().to_vec(),
    };
    let target = uri
        .path_and_query()
        .map(PathAndQuery::as_str)
        .unwrap_or_default();
    (
        lines,
        owner,
        host,
        uri.scheme() == Some(&http::uri::Scheme::HTTPS),
        target.to_owned(),
    )
}

mod properties;
