use super::super::stated::Stated;
use super::*;
use crate::policy::CachePolicy;
use http::HeaderMap;
use proptest::prelude::*;
use std::time::SystemTime;

const NONE: Configured<'_> = Configured {
    stated_only: false,
    default_ttl: None,
    negative: &[],
    heuristic: false,
    min_ttl: Duration::ZERO,
    max_ttl: None,
    warm_ttl: Duration::ZERO,
    jitter: 0.0,
    draw: 0.0,
};
const NEGATIVE: &[(u16, Duration)] = &[
    (404, Duration::from_secs(10)),
    (503, Duration::from_secs(1)),
];
const MODIFIED: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 07:49:37 GMT");
const TAGGED: (&str, &str) = ("etag", "\"e\"");

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The lifetime of an answer with these fields, received on 6 November 1994.
fn of(
    status: u16,
    fields: &[(&'static str, &str)],
    configured: &Configured<'_>,
) -> Option<Duration> {
    heeding(&CachePolicy::new(), status, fields, 0, configured)
}

fn heeding(
    policy: &CachePolicy,
    status: u16,
    fields: &[(&'static str, &str)],
    age: u64,
    configured: &Configured<'_>,
) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let answered = Answered {
        status: StatusCode::from_u16(status).unwrap(),
        headers: &headers,
        stated: &Stated::of(&headers, &[]).heed(policy),
        body_length: None,
        age: s(age),
        received: SystemTime::UNIX_EPOCH + s(784_111_777),
        is_part: false,
    };
    lifetime(&answered, configured)
}

fn says(value: &str) -> [(&'static str, &str); 1] {
    [("cache-control", value)]
}

#[test]
fn heuristics_are_for_those_who_say_nothing() {
    let configured = Configured {
        heuristic: true,
        ..NONE
    };
    let lifetime = |status, fields: &[(&'static str, &str)]| of(status, fields, &configured);
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(lifetime(status, &[MODIFIED]), Some(s(360)), "{status}");
        assert_eq!(lifetime(status, &[TAGGED]), Some(s(0)), "{status}");
        assert_eq!(lifetime(status, &[]), None, "{status}");
    }
    for status in [201, 302, 403, 500, 503, 599] {
        assert_eq!(lifetime(status, &[MODIFIED, TAGGED]), None, "{status}");
        let public = [MODIFIED, ("cache-control", "public")];
        assert_eq!(lifetime(status, &public), Some(s(360)), "{status}");
    }
    assert_eq!(
        lifetime(200, &[MODIFIED, ("cache-control", "max-age=5")]),
        Some(s(5))
    );
    assert_eq!(lifetime(200, &[MODIFIED, ("expires", "0")]), Some(s(0)));
}

#[test]
fn an_error_lives_by_its_own_setting() {
    let configured = Configured {
        default_ttl: Some(s(100)),
        negative: NEGATIVE,
        heuristic: true,
        min_ttl: s(50),
        ..NONE
    };
    for (status, fields, expected) in [
        (404, &[][..], Some(10)),
        // What is set goes before a guess, and stands alone.
        (404, &[MODIFIED], Some(10)),
        (410, &[MODIFIED], Some(360)),
        (410, &[], None),
        (503, &[], Some(1)),
        (503, &[TAGGED], Some(1)),
        (500, &[TAGGED, MODIFIED], None),
        (200, &[], Some(100)),
        // The origin's own word, however short or long.
        (404, &says("max-age=3"), Some(3)),
        (503, &says("max-age=300"), Some(300)),
        (503, &says("max-age=0"), Some(0)),
        (404, &[("expires", "0")], Some(0)),
    ] {
        assert_eq!(
            of(status, fields, &configured),
            expected.map(s),
            "{status} {fields:?}"
        );
    }
    let stated_only = Configured {
        stated_only: true,
        ..configured
    };
    assert_eq!(of(404, &[], &stated_only), None);
    assert_eq!(of(200, &[MODIFIED, TAGGED], &stated_only), None);
    assert_eq!(of(200, &says("no-cache"), &stated_only), None);
}

#[test]
fn what_is_too_short_is_lengthened_unless_its_origin_would_be_asked() {
    let configured = Configured {
        default_ttl: Some(s(7)),
        min_ttl: s(60),
        ..NONE
    };
    for (status, value, expected) in [
        (200, "max-age=5", 60),
        (200, "max-age=5, public, immutable", 60),
        (200, "max-age=5, stale-while-revalidate=9", 60),
        (200, "max-age=5, no-cache=\"set-cookie\"", 60),
        (301, "max-age=5", 60),
        (200, "max-age=60", 60),
        (200, "max-age=61", 61),
        (200, "max-age=0", 0),
        (200, "max-age=nonsense", 0),
        (200, "max-age=5, no-cache", 5),
        (200, "max-age=5, must-revalidate", 5),
        (200, "max-age=5, proxy-revalidate", 5),
        (200, "s-maxage=5", 5),
        (200, "max-age=90, s-maxage=5", 5),
        (404, "max-age=5", 5),
        (503, "max-age=5", 5),
        // No word to lengthen.
        (200, "", 7),
    ] {
        assert_eq!(
            of(status, &says(value), &configured),
            Some(s(expected)),
            "{status} {value}"
        );
    }
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (expires, expected) in [
        ("Sun, 06 Nov 1994 08:49:47 GMT", 60),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:27 GMT", 0),
        ("0", 0),
    ] {
        let fields = [date, ("expires", expires)];
        assert_eq!(
            of(200, &fields, &configured),
            Some(s(expected)),
            "{expires}"
        );
    }
    let told = CachePolicy::new().ttl(s(5));
    assert_eq!(heeding(&told, 200, &[], 0, &configured), Some(s(60)));
}

#[test]
fn nothing_is_fresh_for_longer_than_is_set() {
    let configured = Configured {
        default_ttl: Some(s(1000)),
        negative: &[(404, s(1000))],
        heuristic: true,
        max_ttl: Some(s(100)),
        warm_ttl: s(1000),
        ..NONE
    };
    for (status, fields) in [
        (200, &says("max-age=101")[..]),
        (200, &says("s-maxage=99999999999")),
        (200, &says("max-age=101, immutable")),
        (200, &[("expires", "Thu, 31 Dec 9999 23:59:59 GMT")]),
        (200, &[]),
        (200, &[MODIFIED]),
        (200, &says("max-age=5")),
        (404, &[]),
        (404, &[MODIFIED]),
        (503, &says("max-age=3600")),
    ] {
        assert_eq!(
            of(status, fields, &configured),
            Some(s(100)),
            "{status} {fields:?}"
        );
    }
    let told = CachePolicy::new().ttl(s(1000));
    assert_eq!(heeding(&told, 200, &[], 0, &configured), Some(s(100)));
    assert_eq!(of(404, &says("max-age=5"), &configured), Some(s(5)));
}

#[test]
fn what_is_warmed_stays_from_then_on_unless_it_is_an_error() {
    let configured = Configured {
        warm_ttl: s(60),
        ..NONE
    };
    let warmed =
        |status, value, age| heeding(&CachePolicy::new(), status, &says(value), age, &configured);
    assert_eq!(warmed(200, "max-age=5", 30), Some(s(90)));
    assert_eq!(warmed(200, "max-age=0", 0), Some(s(60)));
    assert_eq!(warmed(200, "max-age=100", 0), Some(s(100)));
    assert_eq!(warmed(200, "max-age=5, no-cache", 0), Some(s(5)));
    assert_eq!(warmed(404, "max-age=5", 0), Some(s(5)));
    assert_eq!(warmed(503, "max-age=5", 0), Some(s(5)));
}

fn seconds() -> impl Strategy<Value = Duration> {
    (0u64..1 << 31).prop_map(s)
}

prop_compose! {
    fn configured()(
        default_ttl in proptest::option::of(seconds()), heuristic: bool, stated_only: bool,
        bounds in (seconds(), proptest::option::of(seconds())), warm_ttl in prop_oneof![Just(s(0)), seconds()],
        jitter in 0.0..=1.0f64, draw in 0.0..1.0f64,
    ) -> Configured<'static> {
        let (min_ttl, max_ttl) = bounds;
        // The setters see to that.
        let max_ttl = max_ttl.map(|most| most.max(min_ttl) + s(1));
        let negative = NEGATIVE;
        Configured { stated_only, default_ttl, negative, heuristic, min_ttl, max_ttl, warm_ttl, jitter, draw }
    }
}

proptest! {
    #[test]
    fn within_what_is_stated_and_what_is_set(
        configured in configured(), status in prop::sample::select(vec![200u16, 301, 404, 410, 500, 503]),
        stated in proptest::option::of(0u64..1 << 31), age in 0u64..1 << 20,
        also in prop::sample::select(vec!["public", "must-revalidate", "proxy-revalidate", "no-cache", "immutable"]),
    ) {
        let value = stated.map_or(also.to_owned(), |seconds| format!("{also}, max-age={seconds}"));
        let got = heeding(&CachePolicy::new(), status, &says(&value), age, &configured);
        let most = configured.max_ttl.unwrap_or(Duration::MAX);
        prop_assert!(got.is_none_or(|got| got <= most));
        let warm = !configured.warm_ttl.is_zero() && status < 400 && also != "no-cache";
        if let Some(stated) = stated.map(s) {
            let got = got.unwrap();
            let lengthened = warm || (status < 400 && !also.contains("revalidate") && also != "no-cache"
                && stated < configured.min_ttl && !stated.is_zero());
            // Beyond the origin's word only where that was asked for, below it only by the bound.
            prop_assert!(lengthened || got <= stated, "{got:?}");
            let least = if stated > most { most.mul_f64(1.0 - configured.jitter) } else { stated };
            prop_assert!(got + s(1) > least, "{got:?}");
        } else if let Some(got) = got && !warm {
            let longest = match status {
                404 => s(10),
                503 => s(1),
                200 | 301 => configured.default_ttl.unwrap_or_default(),
                _ => s(0),
            };
            prop_assert!(!configured.stated_only && got <= longest, "{got:?}");
            prop_assert!(got.as_secs_f64() + 1e-3 >= longest.min(most).as_secs_f64() * (1.0 - configured.jitter));
        }
    }
}
