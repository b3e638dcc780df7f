//! Cache groups (RFC 9875), and fields that speak to this cache alone (RFC 9213).

use crate::support::*;
use http::{HeaderName, StatusCode};
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn a_write_takes_its_groups_along() {
    for (method, uri, fails, groups, gone) in [
        ("POST", "http://a/w", false, "\"x\"", true),
        ("POST", "http://A:80/w", false, "\"q\", \"x\"", true),
        ("DELETE", "http://a/w", false, "\"x\";p=1", true),
        ("POST", "http://a/w", true, "\"x\"", false),
        ("POST", "http://a/w", false, "\"X\"", false),
        ("POST", "http://a/w", false, "x", false),
        ("POST", "http://a/w", false, "\"x\", 1", false),
        // Other origins have nothing in common (section 2.1).
        ("POST", "https://a/w", false, "\"x\"", false),
        ("POST", "http://b/w", false, "\"x\"", false),
        ("POST", "http://a:81/w", false, "\"x\"", false),
        // Section 3: ignored on safe methods.
        ("GET", "http://a/w", false, "\"x\"", false),
        ("OPTIONS", "http://a/w", false, "\"x\"", false),
    ] {
        let origin = Origin::new(move |_, request| {
            if request.uri().path() != "/w" {
                let lines = [
                    FRESH,
                    ("cache-groups", "\"other\", \"x\""),
                    ("cache-groups", "\"y\""),
                ];
                return answer(&lines, "x");
            }
            let mut response = answer(&[("cache-group-invalidation", groups)], "");
            if fails {
                *response.status_mut() = StatusCode::FORBIDDEN;
            }
            response
        });
        let (cache, _) = cached(&origin);
        for path in ["1", "2"] {
            ask(&cache, get(&format!("http://a/{path}"))).await;
        }
        ask(&cache, request(method, uri, &[])).await;
        for path in ["1", "2"] {
            let seen = ask(&cache, get(&format!("http://a/{path}"))).await;
            assert_eq!(seen.cache() != "hit", gone, "{method} {uri} {groups}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_invalidation_starts_no_other() {
    // What is invalidated is in other groups too; those stand (section 2.2).
    let origin = Origin::new(|_, request| match request.uri().path() {
        "/w" => answer(&[("cache-group-invalidation", "\"x\"")], ""),
        "/1" => answer(&[FRESH, ("cache-groups", "\"x\", \"y\"")], ""),
        _ => answer(&[FRESH, ("cache-groups", "\"y\"")], ""),
    });
    let (cache, _) = cached(&origin);
    for path in ["1", "2"] {
        ask(&cache, get(&format!("http://a/{path}"))).await;
    }
    ask(&cache, request("PUT", "http://a/w", &[])).await;
    assert_eq!(ask(&cache, get("http://a/2")).await.cache(), "hit");
    assert_ne!(ask(&cache, get("http://a/1")).await.cache(), "hit");
}

#[tokio::test(start_paused = true)]
async fn the_first_targeted_field_that_says_anything_decides() {
    let targets = ["own-cache-control", "cdn-cache-control"].map(HeaderName::from_static);
    for (fields, lives) in [
        (
            &[
                ("cdn-cache-control", "max-age=60"),
                ("cache-control", "no-store"),
            ][..],
            true,
        ),
        (
            &[("cdn-cache-control", "max-age=60"), ("expires", "0")],
            true,
        ),
        (&[("cdn-cache-control", "no-store"), FRESH], false),
        (&[("cdn-cache-control", "private"), FRESH], false),
        (&[("cdn-cache-control", "max-age=5"), FRESH], false),
        (
            &[
                ("cdn-cache-control", "public"),
                FRESH,
                ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ],
            false,
        ),
        (
            &[
                ("own-cache-control", "max-age=60"),
                ("cdn-cache-control", "no-store"),
            ],
            true,
        ),
        (
            &[
                ("own-cache-control", "max-age=60, &"),
                ("cdn-cache-control", "max-age=5"),
            ],
            false,
        ),
        (
            &[
                ("own-cache-control", ""),
                ("cdn-cache-control", "max-age=60"),
            ],
            true,
        ),
        (&[("cdn-cache-control", "max-age=\"60\""), FRESH], false),
        (&[("other-cache-control", "no-store"), FRESH], true),
    ] {
        let origin = Origin::new(move |_, _| answer(fields, "x"));
        let cache = layer().targeted(targets.clone()).layer(origin);
        let first = ask(&cache, get("http://a/x")).await;
        advance(Duration::from_secs(30)).await;
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!(seen.cache() == "hit", lives, "{fields:?}");
        for (name, value) in fields {
            assert!(first.field(name) == Some(value) && seen.field(name) == Some(value));
        }
    }
}
