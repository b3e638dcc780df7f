//! What is stored, what it answers, and what never is or does.

use crate::support::*;
use cache_layer::SetCookie;
use http::HeaderMap;
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn a_fresh_answer_is_used_again_with_its_age_and_no_longer() {
    let origin = Origin::new(|call, _| answer(&[FRESH, ("x-call", &call.to_string())], "hello"));
    let (cache, handle) = cached(&origin);

    let first = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (first.text(), first.cache()),
        ("hello", "fwd=uri-miss; stored")
    );
    assert_eq!(
        first.field("age"),
        None,
        "the origin's own answer is not touched"
    );

    advance(Duration::from_secs(59)).await;
    let hit = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (hit.text(), hit.cache(), hit.field("age")),
        ("hello", "hit", Some("59"))
    );
    assert!(
        hit.field("date").is_some(),
        "who keeps it writes down when it came"
    );

    advance(Duration::from_secs(1)).await;
    let stale = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (stale.cache(), stale.field("x-call")),
        ("fwd=stale; stored", Some("1"))
    );
    assert_eq!(ask(&cache, get("http://a/x")).await.field("age"), Some("0"));
    let stats = handle.stats();
    assert_eq!(
        (stats.hits, stats.misses, stats.stored, stats.filling),
        (2, 2, 2, 0)
    );
    assert_eq!((stats.entries, origin.calls()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn head_is_answered_from_get_and_never_stored() {
    let origin = Origin::new(|_, _| answer(&[FRESH], "hello"));
    let (cache, _) = cached(&origin);
    for _ in 0..2 {
        let miss = ask(&cache, request("HEAD", "http://a/x", &[])).await;
        assert_eq!(miss.cache(), "fwd=uri-miss");
    }
    ask(&cache, get("http://a/x")).await;
    let hit = ask(&cache, request("HEAD", "http://a/x", &[])).await;
    assert_eq!(
        (hit.cache(), hit.text(), hit.field("content-length")),
        ("hit", "", Some("5"))
    );
    assert_eq!(
        ask(&cache, get("http://a/x")).await.text(),
        "hello",
        "a HEAD empties no GET"
    );
    assert_eq!(origin.calls(), 3);
}

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
async fn variants_live_side_by_side() {
    let origin = Origin::new(|_, request| {
        let language = request.headers().get("accept-language");
        let language = language
            .map_or("none", |value| value.to_str().unwrap())
            .to_owned();
        answer(&[FRESH, ("vary", "Accept-Language")], language)
    });
    let (cache, handle) = cached(&origin);
    for round in 0..2 {
        for language in ["de", "en"] {
            let asked = request("GET", "http://a/x", &[("accept-language", language)]);
            let seen = ask(&cache, asked).await;
            assert_eq!((seen.text(), seen.cache() == "hit"), (language, round == 1));
        }
        assert_eq!(ask(&cache, get("http://a/x")).await.text(), "none");
    }
    assert_eq!((origin.calls(), handle.stats().entries), (3, 1));

    let miss = ask(
        &cache,
        request("GET", "http://a/x", &[("accept-language", "fr")]),
    )
    .await;
    assert_eq!(miss.cache(), "fwd=vary-miss; stored");
}

#[tokio::test(start_paused = true)]
async fn variants_of_one_uri_are_bounded() {
    let origin = Origin::new(|_, _| answer(&[FRESH, ("vary", "x")], "body"));
    let (cache, handle) = cached(&origin);
    let with = |n: usize| request("GET", "http://a/x", &[("x", &n.to_string())]);
    for n in 0..200 {
        ask(&cache, with(n)).await;
    }
    assert_eq!(handle.stats().entries, 1);
    soon_holds_at_most(&handle, 32 * 1500);
    assert_eq!(ask(&cache, with(199)).await.cache(), "hit");
    assert_eq!(ask(&cache, with(0)).await.cache(), "fwd=vary-miss; stored");
}

#[tokio::test(start_paused = true)]
async fn hosts_schemes_and_override_fields_never_share() {
    let origin = Origin::new(|_, request| {
        let forwarded = request.headers().get("x-forwarded-host");
        let host = forwarded.or(request.headers().get("host")).cloned();
        answer(
            &[FRESH],
            host.map_or("none".into(), |host| host.to_str().unwrap().to_owned()),
        )
    });
    let (cache, handle) = cached(&origin);
    let host = |host: &'static str| request("GET", "/x", &[("host", host)]);
    let forged = || request("GET", "/x", &[("host", "a"), ("x-forwarded-host", "evil")]);
    for _ in 0..2 {
        assert_eq!(ask(&cache, forged()).await.text(), "evil");
        assert_eq!(ask(&cache, host("a")).await.text(), "a");
        assert_eq!(ask(&cache, host("b")).await.text(), "b");
        assert_eq!(ask(&cache, get("https://a/x")).await.text(), "none");
    }
    assert_eq!((origin.calls(), handle.stats().entries), (4, 4));

    assert!(handle.purge(&"http://a/x".parse().unwrap()));
    ask(&cache, forged()).await;
    assert_eq!(
        origin.calls(),
        5,
        "a purge reaches what override fields keyed apart"
    );
    assert!(!handle.purge(&"/x".parse().unwrap()), "no host, no target");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_passes_untouched_and_unstored() {
    let origin = Origin::new(|_, _| answer(&[FRESH], "x"));
    let (cache, handle) = cached(&origin);
    let long = format!("http://a/{}", "y".repeat(9000));
    let asked = [
        request("GET", "/x", &[]),
        request("GET", "/x", &[("host", "a"), ("host", "a")]),
        request("GET", "/x", &[("host", "a b")]),
        request("GET", "http://a/x", &[("host", "b")]),
        request("GET", "http://a/x", &[("range", "bytes=0-1")]),
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

#[tokio::test(start_paused = true)]
async fn unsafe_methods_invalidate_when_they_succeed() {
    let origin = Origin::new(|_, request| {
        let mut response = answer(&[FRESH], "x");
        if request.uri().query() == Some("fail") || request.headers().contains_key("fail") {
            *response.status_mut() = http::StatusCode::FORBIDDEN;
        }
        response
    });
    let (cache, _) = cached(&origin);
    for method in ["POST", "PUT", "DELETE", "PATCH", "FROBNICATE"] {
        ask(&cache, get("http://a/x")).await;
        ask(&cache, request(method, "http://a/x", &[("fail", "1")])).await;
        assert_eq!(
            ask(&cache, get("http://a/x")).await.cache(),
            "hit",
            "{method} failed"
        );
        let seen = ask(&cache, request(method, "http://A:80/x", &[])).await;
        assert_eq!(seen.cache(), "fwd=method");
        let after = ask(&cache, get("http://a/x")).await;
        assert_eq!(after.cache(), "fwd=uri-miss; stored", "{method}");
    }
    let disguised = request("GET", "http://a/x", &[("x-http-method-override", "DELETE")]);
    assert_eq!(ask(&cache, disguised).await.cache(), "fwd=method");
    assert_eq!(
        ask(&cache, get("http://a/x")).await.cache(),
        "fwd=uri-miss; stored"
    );
}

#[tokio::test(start_paused = true)]
async fn writes_invalidate_what_they_name_of_their_own_origin() {
    for (field, value, gone) in [
        ("location", "/other", true),
        ("content-location", "http://A:80/other", true),
        ("location", "http://b/other", false),
    ] {
        let origin = Origin::new(move |_, request| match request.method().as_str() {
            "POST" => answer(&[(field, value)], ""),
            _ => answer(&[FRESH], "x"),
        });
        let (cache, _) = cached(&origin);
        let host = |method, uri| request(method, uri, &[("host", "a")]);
        ask(&cache, host("GET", "/other")).await;
        ask(&cache, request("GET", "http://b/other", &[])).await;
        ask(&cache, host("POST", "/x")).await;
        assert_eq!(
            ask(&cache, host("GET", "/other")).await.cache() == "hit",
            !gone,
            "{value}"
        );
        assert_eq!(
            ask(&cache, request("GET", "http://b/other", &[]))
                .await
                .cache(),
            "hit"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_clients_directives() {
    let origin = Origin::new(|_, _| answer(&[FRESH], "x"));
    let (cache, handle) = cached(&origin);
    let with = |value: &'static str| request("GET", "http://a/x", &[("cache-control", value)]);
    let unsatisfied = ask(&cache, with("only-if-cached")).await;
    assert_eq!(
        (unsatisfied.status, unsatisfied.field("cache-status")),
        (504, None)
    );
    ask(&cache, get("http://a/x")).await;
    advance(Duration::from_secs(30)).await;
    assert_eq!(ask(&cache, with("only-if-cached")).await.cache(), "hit");
    assert_eq!(ask(&cache, with("no-store")).await.cache(), "hit");
    assert_eq!(
        ask(&cache, with("max-age=30, min-fresh=30")).await.cache(),
        "hit"
    );
    assert_eq!(
        ask(&cache, with("max-age=29")).await.cache(),
        "fwd=request; stored"
    );
    assert_eq!(
        ask(&cache, with("no-cache")).await.cache(),
        "fwd=request; stored"
    );
    assert_eq!(
        ask(&cache, with("min-fresh=61")).await.cache(),
        "fwd=request; stored"
    );
    assert_eq!((origin.calls(), handle.stats().unsatisfied), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn conditions_are_answered_from_the_store() {
    let origin = Origin::new(|_, request| {
        assert!(
            !request.headers().contains_key("if-none-match"),
            "the whole is asked for"
        );
        answer(
            &[FRESH, ("etag", "\"e\""), ("content-type", "text/plain")],
            "x",
        )
    });
    let (cache, _) = cached(&origin);
    let with = |tag: &'static str| request("GET", "http://a/x", &[("if-none-match", tag)]);
    let first = ask(&cache, with("\"e\"")).await;
    assert_eq!(
        (first.status, first.text(), first.cache()),
        (304, "", "fwd=uri-miss; stored")
    );
    settle().await;
    let second = ask(&cache, with("W/\"e\"")).await;
    assert_eq!(
        (second.status, second.cache(), second.field("etag")),
        (304, "hit", Some("\"e\""))
    );
    assert_eq!(second.field("content-type"), None);
    let third = ask(&cache, with("\"other\"")).await;
    assert_eq!(
        (third.status, third.text(), third.cache()),
        (200, "x", "hit")
    );
    assert_eq!(origin.calls(), 1);
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
async fn our_own_lifetimes_do_not_end_together() {
    let origin = Origin::new(|_, _| answer(&[], "x"));
    let layer = layer()
        .default_ttl(Duration::from_secs(100))
        .ttl_jitter(0.5);
    let cache = layer.layer(origin.clone());
    let uri = |n| format!("http://a/{n}");
    for n in 0..200 {
        ask(&cache, get(&uri(n))).await;
    }
    let count = async |cache: &_| {
        let mut fresh = 0;
        for n in 0..200 {
            let asked = request("GET", &uri(n), &[("cache-control", "only-if-cached")]);
            fresh += usize::from(ask(cache, asked).await.status == 200);
        }
        fresh
    };
    advance(Duration::from_secs(49)).await;
    assert_eq!(
        count(&cache).await,
        200,
        "never more than the share is taken off"
    );
    advance(Duration::from_secs(26)).await;
    let half = count(&cache).await;
    assert!(
        (60..140).contains(&half),
        "{half} of 200 left at the middle of the span"
    );
    advance(Duration::from_secs(25)).await;
    assert_eq!(count(&cache).await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_longest_settings_work() {
    let origin = Origin::new(|_, _| answer(&[], "x"));
    let layer = layer()
        .default_ttl(Duration::MAX)
        .ttl_jitter(1.0)
        .collapse_wait(Duration::MAX)
        .fill_timeout(Duration::MAX)
        .max_entry_bytes(u64::MAX);
    let cache = layer.layer(origin.clone());
    ask(&cache, get("http://a/x")).await;
    assert_eq!(ask(&cache, get("http://a/x")).await.cache(), "hit");
}

#[tokio::test(start_paused = true)]
async fn clear_and_namespaces() {
    let origin = Origin::new(|_, _| answer(&[FRESH], "x"));
    let (cache, handle) = cached(&origin);
    for n in 0..10 {
        ask(&cache, get(&format!("http://a/{n}"))).await;
    }
    assert_eq!(handle.stats().entries, 10);
    handle.clear();
    assert_eq!(handle.stats().entries, 0);
    soon_holds_at_most(&handle, 0);
    assert_eq!(
        ask(&cache, get("http://a/1")).await.cache(),
        "fwd=uri-miss; stored"
    );
    assert_eq!(ask(&cache, get("http://a/1")).await.cache(), "hit");
}

#[test]
fn settings_that_cannot_work_say_so() {
    let message = |f: fn()| {
        let panic = std::panic::catch_unwind(f).expect_err("must be refused");
        panic
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
    };
    let small = "max_bytes is 4095, but a cache needs at least 4096";
    assert_eq!(message(|| drop(cache_layer::CacheLayer::new(4095))), small);
    assert_eq!(
        cache_layer::CacheLayer::try_new(4095)
            .unwrap_err()
            .to_string(),
        small
    );
    let jitter = "ttl_jitter is 1.5, but must be from 0.0 to 1.0";
    assert_eq!(message(|| drop(layer().ttl_jitter(1.5))), jitter);
    assert!(message(|| drop(layer().ttl_jitter(f64::NAN))).contains("NaN"));
    let _ = layer()
        .default_ttl(Duration::MAX)
        .collapse_wait(Duration::MAX);
    assert!(message(|| drop(layer().fill_timeout(Duration::ZERO))).contains("fill_timeout is 0"));
    let late = || {
        let layer = layer();
        let _handle = layer.handle();
        drop(layer.clone().max_entry_bytes(1));
    };
    assert!(message(late).contains("before its handle is taken"));
}
