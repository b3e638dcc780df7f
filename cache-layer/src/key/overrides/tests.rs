use super::*;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn contains(fields: &OverrideFields, name: &str, value: &str) -> bool {
    let headers = headers(&[(name, value)]);
    let (name, value) = headers.iter().next().unwrap();
    let contains = fields.contain(name, value);
    assert!(!contains || fields.may_contain(name.as_str()), "{name}");
    contains
}

fn pushed(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut parts = Vec::new();
    OverrideFields::Usual.push(&mut parts, &headers(fields));
    parts
}

fn lines(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let lines = headers.iter();
    lines
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect()
}

#[test]
fn the_usual_ones_are_told_from_the_others() {
    let usual = OverrideFields::Usual;
    for name in USUAL.into_iter().filter(|name| *name != "forwarded") {
        assert!(contains(&usual, name, "x"), "{name}");
        assert!(contains(&usual, &name.replace('-', "_"), "x"), "{name}");
    }
    for name in [
        "x-forwarded-host",
        "X-Forwarded-Proto",
        "x-forwarded-scheme",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-forwarded-proto-version",
        "x-forwarded-something-new",
        "x_forwarded-host",
    ] {
        assert!(contains(&usual, name, ""), "{name}");
    }
    for name in [
        "x-forwarded-for",
        "X_Forwarded_For",
        "x-forwarded-by",
        "x-real-ip",
        "x-request-id",
        "x-forwarded",
        "host",
        "accept",
        "cookie",
        "referer",
        "sec-fetch-mode",
        "from",
    ] {
        assert!(!contains(&usual, name, "x"), "{name}");
    }
}

#[test]
fn names_of_ones_own_stand_for_themselves() {
    let own = |names: &[&str]| {
        let names = names.iter().map(|name| name.parse().unwrap());
        OverrideFields::These(names.collect())
    };
    let fields = own(&["x-base", "forwarded"]);
    assert!(contains(&fields, "X-Base", "x") && contains(&fields, "x_base", "x"));
    assert!(contains(&fields, "forwarded", "host=a"));
    assert!(!contains(&fields, "forwarded", "for=a"));
    assert!(!contains(&fields, "x-forwarded-host", "a"));
    assert!(contains(&own(&["a_b"]), "a-b", "x"));
    assert!(!contains(&own(&[]), "x-forwarded-host", "a"));
}

#[test]
fn forwarded_tells_of_the_client_only_where_nothing_else_can_be_read_in_it() {
    for value in [
        "for=192.0.2.1",
        "FOR=\"[2001:db8::1]:4711\"",
        "for=_hidden, for=\"_s-e.c\";by=unknown",
        " ; ,for=a",
        "",
    ] {
        assert!(
            !contains(&OverrideFields::Usual, "forwarded", value),
            "{value}"
        );
    }
    for value in [
        "host=a",
        "for=192.0.2.1;HOST=a",
        "for=a, proto=b",
        "for=a;secret=b",
        "host = a",
        "for =a",
        "\"host\"=a",
        "for=\"x;host=a",
        "for=\"x\\\";host=a\"",
        "for=\"a,host=b\"",
        "for=a host=b",
        "for=a%3Bhost",
        "forhost=a",
    ] {
        assert!(
            contains(&OverrideFields::Usual, "forwarded", value),
            "{value}"
        );
    }
}

#[test]
fn the_order_of_lines_counts_and_that_of_names_does_not() {
    let (host, proto) = (("x-forwarded-host", "a"), ("x-forwarded-proto", "b"));
    assert_eq!(
        pushed(&[host, proto]),
        pushed(&[proto, ("accept", "c"), host])
    );
    let other = ("x-forwarded-host", "c");
    assert_ne!(pushed(&[host, other]), pushed(&[other, host]));
    assert_ne!(pushed(&[host]), pushed(&[host, host]));
    assert_ne!(pushed(&[("x-host", "")]), pushed(&[]));
    assert_ne!(pushed(&[("x-host", "a")]), pushed(&[("x-real-host", "a")]));
    assert_eq!(
        pushed(&[("forwarded", "for=a;host=b, for=c")]),
        pushed(&[("forwarded", "for=d"), ("forwarded", "host=b;by=e")]),
    );
    assert_ne!(pushed(&[("forwarded", "rsc;1")]), pushed(&[("rsc", "1")]));
}

#[test]
fn what_is_taken_out_leaves_the_client() {
    let mut request = headers(&[
        ("host", "a"),
        ("x-forwarded-host", "b"),
        ("x-forwarded-for", "c"),
        ("forwarded", "for=d;host=e, proto=f"),
        ("x-forwarded-host", "g"),
        ("forwarded", "host=h"),
        ("forwarded", "by=i;x=j;for=k,for=l"),
    ]);
    OverrideFields::Usual.strip(&mut request);
    let forwarded = ("forwarded", "by=i;for=k, for=l");
    assert_eq!(lines(&request).len(), 4);
    for line in [
        ("host", "a"),
        ("x-forwarded-for", "c"),
        ("forwarded", "for=d"),
        forwarded,
    ] {
        assert!(lines(&request).contains(&line), "{line:?}: {request:?}");
    }
}

#[test]
fn what_is_sent_for_all_leaves_the_client_out() {
    let for_all = |name: &str, value: &str| {
        let headers = headers(&[(name, value)]);
        let (name, value) = headers.iter().next().unwrap();
        let value = OverrideFields::Usual.for_all(name, value);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(for_all("x-forwarded-host", "a").as_deref(), Some("a"));
    assert_eq!(for_all("x-forwarded-for", "a"), None);
    assert_eq!(for_all("accept", "a"), None);
    assert_eq!(for_all("forwarded", "for=a"), None);
    let both = for_all("forwarded", "for=a;host=b;proto=c, by=d, host=e");
    assert_eq!(both.as_deref(), Some("host=b;proto=c, host=e"));
}
