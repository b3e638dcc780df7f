//! The cache as its own service controls it: policies, purges, warming, namespaces.

use crate::support::*;
use cache_layer::{Cache, CacheHandle, CachePolicy, Fetch, Warm};
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

fn with(policy: CachePolicy, mut response: OriginResponse) -> OriginResponse {
    response.extensions_mut().insert(policy);
    response
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_handlers_word_goes_before_its_fields() {
    let ttl = |n| CachePolicy::new().ttl(seconds(n));
    for (policy, fields, after, stored) in [
        (
            ttl(60),
            &[("cache-control", "no-store, private, max-age=5")][..],
            59,
            true,
        ),
        (ttl(60), &[("cache-control", "max-age=100")], 60, false),
        (ttl(60), &[("expires", "0")], 59, true),
        (ttl(60).no_store(), &[FRESH], 0, false),
        (CachePolicy::new().no_store(), &[FRESH], 0, false),
        (CachePolicy::new(), &[FRESH], 59, true),
        (
            CachePolicy::new().public(),
            &[("cache-control", "private, max-age=60")],
            0,
            false,
        ),
        (ttl(60), &[("set-cookie", "id=1")], 0, false),
        (ttl(60), &[("vary", "*")], 0, false),
        (ttl(10).stale_while_revalidate(seconds(20)), &[], 29, true),
    ] {
        let said = policy.clone();
        let origin =
            Origin::new(move |call, _| with(said.clone(), answer(fields, call.to_string())));
        let (cache, _) = cached(&origin);
        let first = ask(&cache, get("http://a/x")).await;
        for (name, value) in fields {
            assert_eq!(
                first.field(name),
                Some(*value),
                "the client gets them as they are"
            );
        }
        advance(seconds(after)).await;
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!(seen.cache() == "hit", stored, "{policy:?} {fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_public_serves_credentials() {
    for (public, hit) in [(true, true), (false, false)] {
        let origin = Origin::new(move |_, _| {
            let policy = CachePolicy::new().ttl(seconds(60));
            with(
                if public { policy.public() } else { policy },
                answer(&[], "x"),
            )
        });
        let (cache, _) = cached(&origin);
        let asked = || {
            request(
                "GET",
                "http://a/x",
                &[("authorization", "Basic eA=="), ("cookie", "id=1")],
            )
        };
        ask(&cache, asked()).await;
        assert_eq!(ask(&cache, asked()).await.cache() == "hit", hit);
    }
}

#[tokio::test(start_paused = true)]
async fn a_304_without_a_policy_leaves_the_first_one_standing() {
    let origin = Origin::new(|call, _| {
        let mut response = answer(
            &[("cache-control", "no-store"), ("etag", "\"e\"")],
            call.to_string(),
        );
        if call == 1 {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        with(CachePolicy::new().ttl(seconds(10)).tag("items"), response)
    });
    let (cache, handle) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    advance(seconds(15)).await;
    let confirmed = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (confirmed.text(), confirmed.cache()),
        ("0", "fwd=stale; fwd-status=304; stored")
    );
    assert_eq!(ask(&cache, get("http://a/x")).await.cache(), "hit");
    handle.purge_tag("items");
    assert_eq!(ask(&cache, get("http://a/x")).await.text(), "2");
}

/// Whether what was asked for before a purge and comes after it is there for others.
async fn fill_over(purge: impl FnOnce(&CacheHandle)) -> &'static str {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let old = ask();
    let (_, respond) = origin.recv().await.unwrap();
    let (script, body) = Script::new();
    let policy = CachePolicy::new().ttl(seconds(60)).tag("t").tag("u");
    respond
        .send(with(policy, head(&[("etag", "\"e\"")], body)))
        .ok()
        .unwrap();
    script.data("old");
    settle().await;
    purge(&layer.handle());
    drop(script);
    assert_eq!(read(old.await.unwrap().unwrap()).await.text(), "old");
    settle().await;
    let next = ask();
    settle().await;
    let Ok((asked, _respond)) = origin.try_recv() else {
        return "hit";
    };
    next.abort();
    match asked.headers().contains_key("if-none-match") {
        true => "asked about",
        false => "gone",
    }
}

#[tokio::test(start_paused = true)]
async fn purges_reach_fills_in_flight() {
    let x = || "http://a/x".parse().unwrap();
    assert_eq!(
        fill_over(|handle| assert!(handle.purge(&x()))).await,
        "gone"
    );
    assert_eq!(
        fill_over(|handle| assert!(handle.purge_softly(&x()))).await,
        "asked about"
    );
    assert_eq!(fill_over(|handle| handle.purge_tag("u")).await, "gone");
    assert_eq!(
        fill_over(|handle| handle.purge_tag_softly("t")).await,
        "asked about"
    );
    assert_eq!(fill_over(CacheHandle::clear).await, "gone");
    assert_eq!(fill_over(|handle| handle.purge_tag("other")).await, "hit");
    let y = "http://a/y".parse().unwrap();
    assert_eq!(fill_over(|handle| assert!(handle.purge(&y))).await, "hit");
}

#[tokio::test(start_paused = true)]
async fn a_soft_purge_serves_meanwhile_where_that_is_allowed() {
    let origin = Origin::new(|call, _| {
        answer(
            &[("cache-control", "max-age=60, stale-while-revalidate=60")],
            call.to_string(),
        )
    });
    let (cache, handle) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    handle.purge_softly(&"http://a/x".parse().unwrap());
    assert_eq!(ask(&cache, get("http://a/x")).await.text(), "0");
    settle().await;
    let seen = ask(&cache, get("http://a/x")).await;
    assert_eq!((seen.text(), seen.cache(), origin.calls()), ("1", "hit", 2));
}

#[tokio::test(start_paused = true)]
async fn namespaces_share_memory_and_tags_but_no_answers() {
    let origin = || {
        Origin::new(|call, _| {
            with(
                CachePolicy::new().ttl(seconds(60)).tag("t"),
                answer(&[], call.to_string()),
            )
        })
    };
    let pages = layer();
    let images = pages.namespaced("images");
    let (one, other) = (pages.layer(origin()), images.layer(origin()));
    let asks = async |cache: &Cache<Origin>| ask(cache, get("http://a/x")).await.cache().to_owned();
    assert_eq!(asks(&one).await, "fwd=uri-miss; stored");
    assert_eq!(asks(&other).await, "fwd=uri-miss; stored");
    assert_eq!(pages.handle().stats().entries, 2);
    assert_eq!(pages.handle().stats().bytes, images.handle().stats().bytes);
    pages.handle().purge(&"http://a/x".parse().unwrap());
    assert_eq!(
        (asks(&one).await != "hit", asks(&other).await),
        (true, "hit".to_owned())
    );
    images.handle().purge_tag("t");
    assert!(asks(&one).await != "hit" && asks(&other).await != "hit");
    pages.handle().clear();
    assert!(asks(&other).await != "hit");
    assert_eq!(
        (
            pages.handle().stats().misses,
            images.handle().stats().misses
        ),
        (3, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn warming_fills_before_anybody_asks_and_for_longer() {
    let origin = Origin::new(|call, request| {
        let warm = request.extensions().get::<Fetch>() == Some(&Fetch::Warm);
        assert_eq!((warm, request.method().as_str()), (call < 4, "GET"));
        match request.uri().path() {
            "/private" => answer(&[("cache-control", "private")], "x"),
            "/asked" => answer(&[("cache-control", "no-cache"), ("etag", "\"e\"")], "x"),
            _ => answer(&[("cache-control", "max-age=5")], "x"),
        }
    });
    let (cache, handle) = cached(&origin);
    let uris = ["/private", "/asked", "/a", "/b"]
        .map(|path| request("POST", &format!("http://a{path}"), &[]));
    let warmed = handle
        .warm(cache.clone(), uris, &Warm::new().ttl(seconds(60)))
        .await;
    assert_eq!((warmed.stored, warmed.not_stored, warmed.failed), (3, 1, 0));
    advance(seconds(59)).await;
    assert_eq!(ask(&cache, get("http://a/a")).await.cache(), "hit");
    assert_eq!(
        ask(&cache, get("http://a/asked")).await.cache(),
        "fwd=stale; stored"
    );
    // Up to a tenth longer, so that they do not go together.
    advance(seconds(7)).await;
    assert_eq!(
        ask(&cache, get("http://a/b")).await.cache(),
        "fwd=stale; stored"
    );
}

#[tokio::test(start_paused = true)]
async fn warming_leads_where_a_client_asks_for_the_same() {
    let (mut origin, service) = manual();
    let layer = layer();
    let (cache, handle) = (layer.layer(service), layer.handle());
    let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, first) = origin.recv().await.unwrap();
    let below = cache.clone();
    let warming = tokio::spawn(async move {
        handle
            .warm(below, [get("http://a/x")], &Warm::new().ttl(seconds(60)))
            .await
    });
    let (_, second) = origin.recv().await.unwrap();
    first
        .send(answer(&[("cache-control", "max-age=5")], "x"))
        .ok()
        .unwrap();
    read(client.await.unwrap().unwrap()).await;
    second
        .send(answer(&[("cache-control", "max-age=5")], "x"))
        .ok()
        .unwrap();
    assert_eq!(warming.await.unwrap().stored, 1);
    advance(seconds(30)).await;
    let hit = read(cache.oneshot(get("http://a/x")).await.unwrap()).await;
    assert_eq!(hit.cache(), "hit");
}
