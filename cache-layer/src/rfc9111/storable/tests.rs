use super::*;
use proptest::prelude::*;

const POLICY: Policy = Policy {
    max_body_bytes: 1000,
    default_ttl: Some(Duration::from_secs(9)),
    heuristic: false,
    set_cookie: SetCookie::Refuse,
    stale_while_revalidate: Duration::ZERO,
    stale_if_error: Duration::ZERO,
};
const ANYONE: Asked = Asked {
    no_store: false,
    authorization: false,
    cookie: false,
};

fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, value.parse().unwrap());
    }
    map
}

/// An answer of that age and length, received on 6 November 1994.
fn aged(
    (asked, status): (Asked, u16),
    fields: &[(&'static str, &str)],
    (age, body_length): (u64, Option<u64>),
    policy: Policy,
) -> Result<Storable, Refusal> {
    let headers = map(fields);
    let answered = Answered {
        status: StatusCode::from_u16(status).unwrap(),
        headers: &headers,
        stated: &Stated::of(&headers, &[]),
        body_length,
        age: Duration::from_secs(age),
        received: SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
        is_part: false,
    };
    storable(asked, &answered, policy)
}

fn decide(asked: Asked, status: u16, fields: &[(&'static str, &str)]) -> Result<Storable, Refusal> {
    aged((asked, status), fields, (0, None), POLICY)
}

fn cache_control(status: u16, value: &str) -> Result<u64, Refusal> {
    decide(ANYONE, status, &[("cache-control", value)]).map(|ok| ok.rules.lifetime.as_secs())
}

#[test]
fn directives_that_forbid() {
    use Refusal::*;
    for (value, why) in [
        ("no-store, max-age=60", NoStore),
        ("private, max-age=60", Private),
        ("private=\"\", max-age=60", Private),
        ("no-cache, max-age=60", NotFresh),
        ("max-age=0", NotFresh),
        ("s-maxage=0, max-age=60", NotFresh),
        ("max-age=-1", NotFresh),
    ] {
        assert_eq!(cache_control(200, value), Err(why), "{value}");
    }
    assert_eq!(
        decide(
            Asked {
                no_store: true,
                ..ANYONE
            },
            200,
            &[]
        ),
        Err(NoStore)
    );
}

#[test]
fn heuristics_are_for_those_who_say_nothing() {
    let policy = Policy {
        heuristic: true,
        default_ttl: None,
        ..POLICY
    };
    let lifetime = |status, fields: &[(&'static str, &str)]| {
        aged((ANYONE, status), fields, (0, None), policy)
            .map(|ok| (ok.rules.lifetime.as_secs(), ok.own_lifetime))
    };
    let modified = ("last-modified", "Sun, 06 Nov 1994 07:49:37 GMT");
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(lifetime(status, &[modified]), Ok((360, true)), "{status}");
    }
    for status in [201, 302, 403, 500, 503, 599] {
        assert_eq!(
            lifetime(status, &[modified]),
            Err(Refusal::NotFresh),
            "{status}"
        );
        let public = [modified, ("cache-control", "public")];
        assert_eq!(lifetime(status, &public), Ok((360, true)), "{status}");
    }
    let stated = [modified, ("cache-control", "max-age=5")];
    assert_eq!(lifetime(200, &stated), Ok((5, false)));
    let expired = [modified, ("expires", "0")];
    assert_eq!(lifetime(200, &expired), Ok((0, false)));
    assert_eq!(lifetime(200, &[]), Err(Refusal::NotFresh));
    let tagged = [("etag", "\"e\"")];
    assert_eq!(lifetime(200, &tagged), Ok((0, true)));
    assert_eq!(lifetime(403, &tagged), Err(Refusal::NotFresh));
}

#[test]
fn what_is_not_fresh_is_kept_if_it_can_be_asked_about_or_used_stale() {
    let kept = |value, more: &[(&'static str, &str)], age| {
        let fields = [&[("cache-control", value)], more].concat();
        aged((ANYONE, 200), &fields, (age, None), POLICY).map(|ok| (ok.fresh, ok.rules))
    };
    let rules = |lifetime, validate, stale| Rules {
        lifetime: Duration::from_secs(lifetime),
        validate,
        immutable: false,
        stale,
    };
    let plain = Staleness {
        allowed: true,
        ..Staleness::default()
    };
    let none = Staleness::default();
    let tag = &[("etag", "\"e\"")][..];
    let err = Err(Refusal::NotFresh);
    assert_eq!(kept("max-age=5", &[], 5), err);
    assert_eq!(
        kept("max-age=5", tag, 5),
        Ok((false, rules(5, false, plain)))
    );
    assert_eq!(kept("no-cache, max-age=5", &[], 0), err);
    assert_eq!(
        kept("no-cache, max-age=5", tag, 0),
        Ok((false, rules(5, true, none)))
    );
    assert_eq!(kept("no-cache", tag, 0), Ok((false, rules(9, true, none))));
    for (value, stale) in [
        (
            "max-age=5, stale-if-error=3",
            Staleness {
                if_error: Duration::from_secs(3),
                ..plain
            },
        ),
        (
            "max-age=5, stale-while-revalidate=3",
            Staleness {
                while_revalidate: Duration::from_secs(3),
                ..plain
            },
        ),
    ] {
        assert_eq!(kept(value, &[], 7), Ok((false, rules(5, false, stale))));
        assert_eq!(kept(value, &[], 8), err);
    }
}

#[test]
fn what_forbids_stale_use() {
    for (value, allowed) in [
        ("max-age=5", true),
        ("max-age=5, must-revalidate", false),
        ("max-age=5, proxy-revalidate", false),
        ("s-maxage=5", false),
        ("max-age=5, no-cache=\"x\"", true),
    ] {
        let policy = Policy {
            stale_if_error: Duration::from_secs(3),
            ..POLICY
        };
        let fields = [("cache-control", value)];
        let rules = aged((ANYONE, 200), &fields, (0, None), policy)
            .unwrap()
            .rules;
        assert_eq!(rules.stale.allowed, allowed, "{value}");
        assert_eq!(rules.stale.if_error, Duration::from_secs(3), "{value}");
    }
}

#[test]
fn named_fields_are_left_out() {
    let value = "max-age=5, private=\"set-cookie, x\", no-cache=y";
    let fields = [("cache-control", value), ("set-cookie", "a=b")];
    let left_out = decide(ANYONE, 200, &fields).unwrap().left_out;
    let names: Vec<_> = left_out.iter().map(HeaderName::as_str).collect();
    assert_eq!(names, ["set-cookie", "x", "y"]);
}

#[test]
fn must_understand_lifts_no_store_for_known_statuses_only() {
    assert_eq!(
        cache_control(200, "must-understand, no-store, max-age=60"),
        Ok(60)
    );
    let unknown = cache_control(299, "must-understand, no-store, max-age=60");
    assert_eq!(unknown, Err(Refusal::NoStore));
    let unknown = cache_control(299, "must-understand, max-age=60");
    assert_eq!(unknown, Err(Refusal::Status));
}

#[test]
fn any_final_status_by_explicit_word_few_by_default() {
    for status in [200, 203, 302, 307, 404, 410, 418, 500, 503, 599] {
        assert_eq!(cache_control(status, "max-age=60"), Ok(60), "{status}");
    }
    for status in [206, 304, 416, 428, 429, 431, 511] {
        assert_eq!(
            cache_control(status, "max-age=60"),
            Err(Refusal::Status),
            "{status}"
        );
    }
    for status in [200, 203, 204, 300, 301, 308] {
        assert_eq!(cache_control(status, ""), Ok(9), "{status}");
    }
    for status in [201, 302, 307, 404, 410, 500, 503] {
        assert_eq!(
            cache_control(status, ""),
            Err(Refusal::NotFresh),
            "{status}"
        );
    }
}

#[test]
fn credentials_need_the_origins_word() {
    let authorized = Asked {
        authorization: true,
        ..ANYONE
    };
    let cookied = Asked {
        cookie: true,
        ..ANYONE
    };
    for (value, authorization, cookie) in [
        ("max-age=60", false, false),
        ("max-age=60, immutable", false, false),
        ("max-age=60, proxy-revalidate", false, false),
        ("max-age=60, must-revalidate", true, false),
        ("max-age=60, public", true, true),
        ("s-maxage=60", true, true),
    ] {
        let fields = &[("cache-control", value)];
        assert_eq!(
            decide(authorized, 200, fields).is_ok(),
            authorization,
            "{value}"
        );
        assert_eq!(decide(cookied, 200, fields).is_ok(), cookie, "{value}");
    }
}

#[test]
fn set_cookie_vary_age_and_size_keep_out() {
    let fresh = ("cache-control", "max-age=60, public");
    assert_eq!(
        decide(ANYONE, 200, &[fresh, ("set-cookie", "a=b")]),
        Err(Refusal::SetCookie)
    );
    assert_eq!(
        decide(ANYONE, 200, &[fresh, ("vary", "*")]),
        Err(Refusal::Vary)
    );
    let big = "x".repeat(MAX_HEADER_BYTES);
    assert_eq!(
        decide(ANYONE, 200, &[fresh, ("x-big", &big)]),
        Err(Refusal::TooLarge)
    );
    let of = |length, age| aged((ANYONE, 200), &[fresh], (age, length), POLICY);
    assert_eq!(of(Some(1001), 0), Err(Refusal::TooLarge));
    assert!(of(Some(1000), 59).is_ok());
    assert_eq!(of(Some(1000), 60), Err(Refusal::NotFresh));
}

proptest! {
    #[test]
    fn a_forbidding_directive_is_never_outvoted(
        forbid in prop::sample::select(vec!["no-store", "Private", "NO-CACHE", "private=\"a b\""]),
        allow in prop::sample::subsequence(vec!["public", "max-age=99", "s-maxage=9", "immutable"], 0..4),
        at in 0usize..4, status in 200u16..600,
    ) {
        let mut list: Vec<&str> = allow;
        list.insert(at.min(list.len()), forbid);
        prop_assert!(cache_control(status, &list.join(", ")).is_err());
    }
}
