use super::*;
use proptest::prelude::*;

const LIFETIMES: Configured<'_> = Configured {
    stated_only: false,
    default_ttl: Some(Duration::from_secs(9)),
    negative: &[],
    heuristic: false,
    min_ttl: Duration::ZERO,
    max_ttl: None,
    warm_ttl: Duration::ZERO,
    jitter: 0.0,
    draw: 0.0,
};
const POLICY: Policy<'_> = Policy {
    max_body_bytes: 1000,
    max_header_bytes: 500,
    max_vary_names: 2,
    credentials: &[header::DNT],
    vary_on: &[],
    lifetimes: LIFETIMES,
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
    policy: Policy<'_>,
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
    let tagged = [
        ("etag", "\"e\""),
        ("last-modified", "Sun, 06 Nov 1994 07:49:37 GMT"),
    ];
    for number in 100..1000 {
        let never =
            !(200..600).contains(&number) || [206, 304, 416, 428, 429, 431, 511].contains(&number);
        for explicit in ["max-age=60", "s-maxage=60", "public, max-age=60"] {
            let expected = if never { Err(Refusal::Status) } else { Ok(60) };
            assert_eq!(
                cache_control(number, explicit),
                expected,
                "{number} {explicit}"
            );
        }
        // Neither a default nor a validator is a word for an error.
        let silent = decide(ANYONE, number, &tagged).map(|ok| ok.rules.lifetime.as_secs());
        let expected = match number {
            _ if never => Err(Refusal::Status),
            200 | 203 | 204 | 300 | 301 | 308 => Ok(9),
            _ => Err(Refusal::NotFresh),
        };
        assert_eq!(silent, expected, "{number}");
    }
}

#[test]
fn errors_are_stale_by_their_own_word_only() {
    let policy = Policy {
        stale_while_revalidate: Duration::from_secs(3),
        stale_if_error: Duration::from_secs(4),
        ..POLICY
    };
    let windows = |status, value| {
        let fields = [("cache-control", value)];
        let stale = aged((ANYONE, status), &fields, (0, None), policy)
            .unwrap()
            .rules
            .stale;
        (stale.while_revalidate.as_secs(), stale.if_error.as_secs())
    };
    let stated = "max-age=5, stale-while-revalidate=1, stale-if-error=2";
    for (status, ours) in [(200, (3, 4)), (301, (3, 4)), (404, (0, 0)), (503, (0, 0))] {
        assert_eq!(windows(status, "max-age=5"), ours, "{status}");
        assert_eq!(windows(status, stated), (1, 2), "{status}");
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
    // Each with its colon, space and line's end.
    let left = 500 - "cache-control: max-age=60, public\r\nx-big: \r\n".len();
    for (length, fits) in [(left, true), (left + 1, false)] {
        let big = "x".repeat(length);
        let decided = decide(ANYONE, 200, &[fresh, ("x-big", &big)]);
        assert_eq!(decided.err(), (!fits).then_some(Refusal::TooLarge));
    }
    let of = |length, age| aged((ANYONE, 200), &[fresh], (age, length), POLICY);
    assert_eq!(of(Some(1001), 0), Err(Refusal::TooLarge));
    assert!(of(Some(1000), 59).is_ok());
    assert_eq!(of(Some(1000), 60), Err(Refusal::NotFresh));
}

#[test]
fn what_an_answer_may_vary_on() {
    let user_agent = [header::USER_AGENT];
    let all = [
        header::COOKIE,
        header::AUTHORIZATION,
        header::USER_AGENT,
        header::DNT,
    ];
    for (vary, allowed) in [
        ("accept", &[][..]),
        ("accept, origin", &[]),
        ("user-agent", &user_agent[..]),
        ("cookie", &all),
        ("Authorization", &all),
        ("DNT", &all),
        ("accept, user-agent", &user_agent),
    ] {
        for vary_on in [&[][..], &user_agent, &all] {
            let policy = Policy { vary_on, ..POLICY };
            let fields = [("cache-control", "max-age=60"), ("vary", vary)];
            let decided = aged((ANYONE, 200), &fields, (0, None), policy);
            let refusal = (vary_on.len() < allowed.len()).then_some(Refusal::Vary);
            assert_eq!(decided.err(), refusal, "{vary} {vary_on:?}");
        }
    }
    let many = [("cache-control", "max-age=60"), ("vary", "a, b, c")];
    assert_eq!(decide(ANYONE, 200, &many), Err(Refusal::Vary));
}

#[test]
fn an_answer_that_may_vary_on_cookies_is_for_whose_it_is() {
    let cookied = Asked {
        cookie: true,
        ..ANYONE
    };
    let authorized = Asked {
        authorization: true,
        ..ANYONE
    };
    let policy = Policy {
        vary_on: &[header::COOKIE, header::AUTHORIZATION],
        ..POLICY
    };
    for (asked, vary, stored) in [
        (cookied, "cookie", true),
        (cookied, "accept", false),
        // Section 3.5 knows no such exception.
        (authorized, "authorization", false),
        (authorized, "cookie, authorization", false),
    ] {
        let fields = [("cache-control", "max-age=60"), ("vary", vary)];
        let decided = aged((asked, 200), &fields, (0, None), policy);
        let refusal = (!stored).then_some(Refusal::Credentials);
        assert_eq!(decided.err(), refusal, "{vary}");
    }
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
