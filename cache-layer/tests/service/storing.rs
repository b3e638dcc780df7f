//! What is stored, and what never is.

use crate::support::*;
use cache_layer::SetCookie;
use http::HeaderMap;
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

/// Sends one request twice and returns how often the origin was asked.
async fn asked_twice(
    client: &'static [(&'static str, &'static str)],
    origin: &'static [(&'static str, &'static str)],
) -> usize {
    let origin = Origin::new(move |_, _| answer(origin, "x"));
    let (cache, handle) = cached(&origin);
    for _ in 0..2 {
        let seen = ask(&cache, request("GET", "http://a/x", client)).await;
        assert_eq!(seen.text(), "x");
    }
    settle().await;
    let entries = handle.stats().entries;
    assert_eq!(
        entries == 0,
        origin.calls() == 2,
        "stored only what is used"
    );
    origin.calls()
}

#[tokio::test(start_paused = true)]
async fn what_may_be_stored() {
    let public = ("cache-control", "public, max-age=60");
    let authorization = &[("authorization", "Basic eA==")];
    for (client, origin, calls) in [
        (&[][..], &[FRESH][..], 1),
        (&[], &[("cache-control", "s-maxage=60")], 1),
        (&[], &[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")], 1),
        (&[], &[], 2),
        (&[], &[("cache-control", "no-store, max-age=60")], 2),
        (&[], &[("cache-control", "private, max-age=60")], 2),
        (&[], &[("cache-control", "no-cache, max-age=60")], 2),
        (&[], &[("cache-control", "max-age=0")], 2),
        (&[], &[("expires", "0")], 2),
        (&[], &[FRESH, ("set-cookie", "id=1")], 2),
        (&[], &[FRESH, ("vary", "*")], 2),
        (&[], &[FRESH, ("vary", "Cookie")], 2),
        (&[], &[FRESH, ("age", "60")], 2),
        (authorization, &[FRESH], 2),
        (authorization, &[("cache-control", "public, max-age=60")], 1),
        (
            authorization,
            &[("cache-control", "must-revalidate, max-age=60")],
            1,
        ),
        (&[("cookie", "id=1")], &[FRESH], 2),
        (
            &[("cookie", "id=1")],
            &[("cache-control", "public, max-age=60")],
            1,
        ),
        (&[("cache-control", "no-store")], &[FRESH], 2),
    ] {
        assert_eq!(
            asked_twice(client, origin).await,
            calls,
            "{client:?} {origin:?} {public:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn set_cookie_by_choice() {
    for (choice, hit, cookie) in [
        (SetCookie::Refuse, false, Some("id=1")),
        (SetCookie::Strip, true, None),
        (SetCookie::Store, true, Some("id=0")),
    ] {
        let origin =
            Origin::new(|call, _| answer(&[FRESH, ("set-cookie", &format!("id={call}"))], "x"));
        let cache = layer().set_cookie(choice).layer(origin);
        let first = ask(&cache, get("http://a/x")).await;
        assert_eq!(
            first.field("set-cookie"),
            Some("id=0"),
            "its own client gets it"
        );
        let second = ask(&cache, get("http://a/x")).await;
        assert_eq!(second.cache() == "hit", hit, "{choice:?}");
        assert_eq!(second.field("set-cookie"), cookie, "{choice:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn heuristics_by_choice() {
    for on in [false, true] {
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let origin = Origin::new(move |_, _| answer(&[modified], "x"));
        let cache = layer().heuristic(on).ttl_jitter(0.0).layer(origin);
        ask(&cache, get("http://a/x")).await;
        advance(Duration::from_secs(24 * 60 * 60 - 1)).await;
        assert_eq!(ask(&cache, get("http://a/x")).await.cache() == "hit", on);
        advance(Duration::from_secs(1)).await;
        assert_ne!(ask(&cache, get("http://a/x")).await.cache(), "hit");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_answer_serves_credentials_only_by_its_origins_word() {
    for (cache_control, shared) in [("max-age=60", false), ("public, max-age=60", true)] {
        let origin = Origin::new(move |_, _| answer(&[("cache-control", cache_control)], "x"));
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        for field in [("authorization", "Basic eA=="), ("cookie", "id=1")] {
            let seen = ask(&cache, request("GET", "http://a/x", &[field])).await;
            assert_eq!(seen.cache() == "hit", shared, "{field:?} {cache_control}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_are_stored_and_hop_by_hop_fields_are_not() {
    let origin = Origin::new(|_, _| {
        let (script, body) = Script::new();
        script.data("x");
        script.trailers(HeaderMap::from_iter([(
            http::HeaderName::from_static("checksum"),
            "7".parse().unwrap(),
        )]));
        head(
            &[
                FRESH,
                ("connection", "x-hop"),
                ("x-hop", "1"),
                ("x-unknown", "kept"),
            ],
            body,
        )
    });
    let (cache, _) = cached(&origin);
    for cached in [false, true] {
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!(seen.trailers.as_ref().unwrap()["checksum"], "7");
        assert_eq!(seen.field("x-unknown"), Some("kept"));
        assert_eq!(seen.field("x-hop").is_none(), cached);
        assert_eq!(seen.field("connection").is_none(), cached);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_passes_untouched_and_unstored() {
    let origin = Origin::new(|_, _| answer(&[FRESH], "x"));
    let (cache, handle) = cached(&origin);
    let long = format!("http://a/{}", "y".repeat(9000));
    let asked = [
        request("GET", "/x", &[]),
        request("GET", "http://a/x", &[("if-match", "\"e\"")]),
        request("GET", "http://a/x", &[("upgrade", "websocket")]),
        request("GET", &long, &[]),
    ];
    let count = asked.len();
    for request in asked {
        assert_eq!(ask(&cache, request).await.cache(), "fwd=bypass");
    }
    let options = ask(&cache, request("OPTIONS", "http://a/x", &[])).await;
    assert_eq!(options.cache(), "fwd=method");
    let stats = handle.stats();
    assert_eq!(
        (stats.bypassed, stats.writes, stats.entries),
        (count as u64, 1, 0)
    );
}
