//! What a stored answer answers, and for how long.

use crate::support::*;
use std::time::Duration;
use tokio::time::advance;

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
        (304, "", "fwd=uri-miss; fwd-status=200; stored")
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
