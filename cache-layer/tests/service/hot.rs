//! What is hot, what is idle, and what is fetched before anybody needs it.

use crate::support::*;
use cache_layer::{CacheLayer, Credentials, Overrides, TopBy};
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

fn for_a_minute(bytes: usize) -> Origin {
    Origin::new(move |calls, _| {
        let mut body = format!("{calls}").into_bytes();
        body.resize(bytes, b' ');
        answer(&[("cache-control", "max-age=60")], body)
    })
}

async fn wait(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_hot_are_fetched_before_they_expire_and_the_cold_are_not() {
    let origin = for_a_minute(10);
    let cache = CacheLayer::new(1 << 20)
        .refresh_ahead(0.1)
        .layer(origin.clone());
    for path in ["hot", "cold"] {
        ask(&cache, get(&format!("http://a/{path}"))).await;
    }
    let hit = async |path: &str| {
        let seen = ask(&cache, get(&format!("http://a/{path}"))).await;
        settle().await;
        (seen.text().trim().to_owned(), seen.cache() == "hit")
    };
    let (first, second) = (("0".to_owned(), true), ("1".to_owned(), true));
    for n in 0..20 {
        assert_eq!(hit("hot").await, first);
        if n < 5 {
            assert_eq!(hit("cold").await, second);
        }
    }
    wait(53).await;
    assert_eq!(
        (hit("hot").await, origin.calls()),
        (first.clone(), 2),
        "not before the last tenth"
    );
    wait(2).await;
    assert_eq!((hit("hot").await, hit("cold").await), (first, second));
    assert_eq!(
        origin.calls(),
        3,
        "the hot one, while its client has the old answer"
    );
    let third = ("2".to_owned(), true);
    for _ in 0..20 {
        assert_eq!(hit("hot").await, third);
    }
    wait(6).await;
    assert_eq!((hit("hot").await, origin.calls()), (third, 3));
    assert!(!hit("cold").await.1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_ahead_that_fails_leaves_the_answer_as_it_is() {
    let origin = Origin::new(|calls, _| match calls {
        0 => answer(&[("cache-control", "max-age=60")], "first"),
        1 => {
            let mut response = answer(&[], "down");
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            response
        }
        _ => answer(&[("cache-control", "max-age=60")], "third"),
    });
    let layer = CacheLayer::new(1 << 20).refresh_ahead(0.5);
    let cache = layer.layer(origin.clone());
    ask(&cache, get("http://a/")).await;
    for _ in 0..40 {
        let seen = ask(&cache, get("http://a/")).await;
        assert_eq!((seen.text(), seen.cache()), ("first", "hit"));
        settle().await;
        advance(Duration::from_millis(1490)).await;
    }
    assert_eq!(origin.calls(), 2, "it is tried once");
    wait(1).await;
    assert_eq!(ask(&cache, get("http://a/")).await.text(), "third");
    assert_eq!(layer.handle().stats().refreshed, 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_asked_for_leaves() {
    let origin = Origin::new(|_, _| answer(&[("cache-control", "max-age=86400")], "x"));
    let layer = CacheLayer::new(1 << 20).time_to_idle(Duration::from_secs(100));
    let (cache, handle) = (layer.layer(origin.clone()), layer.handle());
    for path in ["asked", "idle"] {
        ask(&cache, get(&format!("http://a/{path}"))).await;
    }
    for _ in 0..10 {
        wait(50).await;
        assert_eq!(ask(&cache, get("http://a/asked")).await.cache(), "hit");
    }
    // The sweep runs on a thread of its own.
    for _ in 0..1000 {
        if handle.stats().evictions.expired == 1 {
            break;
        }
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    assert_eq!(
        (handle.stats().entries, handle.stats().evictions.expired),
        (1, 1)
    );
    wait(99).await;
    assert_eq!(ask(&cache, get("http://a/asked")).await.cache(), "hit");
    wait(100).await;
    let seen = ask(&cache, get("http://a/asked")).await;
    assert_eq!(
        seen.cache(),
        "fwd=uri-miss; stored",
        "it answers nothing, swept out or not"
    );
}

#[tokio::test(start_paused = true)]
async fn who_was_asked_for_just_now_is_not_idle() {
    let layer = CacheLayer::new(1 << 20).time_to_idle(Duration::from_nanos(1));
    let cache = layer.layer(for_a_minute(1));
    ask(&cache, get("http://a/")).await;
    assert_eq!(ask(&cache, get("http://a/")).await.cache(), "hit");
    advance(Duration::from_millis(1)).await;
    assert_ne!(ask(&cache, get("http://a/")).await.cache(), "hit");
}

#[tokio::test(start_paused = true)]
async fn more_variants_than_are_kept_cost_the_oldest() {
    let origin = Origin::new(|_, _| answer(&[FRESH, ("vary", "x-kind")], "x"));
    let layer = CacheLayer::new(1 << 20).max_variants(2);
    let cache = layer.layer(origin);
    let of = async |kind: &str| {
        let asked = request("GET", "http://a/", &[("x-kind", kind)]);
        ask(&cache, asked).await.cache() == "hit"
    };
    for kind in ["a", "b", "c"] {
        assert!(!of(kind).await);
    }
    assert!(of("b").await && of("c").await && !of("a").await);
}

#[tokio::test(start_paused = true)]
async fn the_top_keys_by_hits_and_by_bytes() {
    let origin = Origin::new(|_, request| {
        let large = request.uri().path().starts_with("/large");
        answer(&[FRESH], vec![b'x'; if large { 10_000 } else { 10 }])
    });
    let layer = CacheLayer::new(1 << 20);
    let (cache, handle) = (layer.layer(origin), layer.handle());
    for (path, hits) in [
        ("small/1?q", 100),
        ("small/2", 50),
        ("large", 7),
        ("once", 0),
    ] {
        for _ in 0..=hits {
            ask(&cache, get(&format!("http://a/{path}"))).await;
        }
    }
    let top = |by| {
        let top = handle.top_keys_by_name(by, 2).into_iter();
        top.map(|key| (key.key.unwrap(), key.count, key.over))
            .collect::<Vec<_>>()
    };
    let key = |path: &str| format!("http://a/{path}");
    assert_eq!(
        top(TopBy::Hits),
        [(key("small/1?q"), 100, 0), (key("small/2"), 50, 0)]
    );
    assert_eq!(
        top(TopBy::Bytes),
        [(key("large"), 70_000, 0), (key("small/1?q"), 1000, 0)]
    );
    let nameless = handle.top_keys(TopBy::Hits, 9);
    assert_eq!(
        nameless.len(),
        3,
        "what was never answered from the store is not among them"
    );
    assert!(nameless.iter().all(|key| key.key.is_none()));

    handle.clear();
    let gone = handle.top_keys_by_name(TopBy::Hits, 1).remove(0);
    assert_eq!(
        (gone.count, gone.key),
        (100, None),
        "the count outlives the entry, its text does not"
    );
}

#[tokio::test(start_paused = true)]
async fn what_leaves_is_counted_by_its_cause() {
    let layer = CacheLayer::new(100_000);
    let (cache, handle) = (layer.layer(for_a_minute(1000)), layer.handle());
    for n in 0..5 {
        ask(&cache, get(&format!("http://a/{n}"))).await;
    }
    handle.purge(&"http://a/0".parse().unwrap());
    assert_eq!(handle.stats().evictions.invalidated, 1);
    handle.reclaim(1);
    assert_eq!(handle.stats().evictions.reclaimed, 1);
    wait(61).await;
    handle.reclaim(1);
    assert_eq!(handle.stats().evictions.expired, 1);
    for n in 0..1000 {
        ask(&cache, get(&format!("http://b/{n}"))).await;
    }
    let stats = handle.stats();
    let left = stats.evictions.room + stats.not_admitted;
    assert!(left > 800 && stats.evictions.expired == 3, "{stats:?}");
    assert_eq!((stats.hits, stats.hit_ratio()), (0, 0.0));
    for _ in 0..4 {
        ask(&cache, get("http://b/999")).await;
    }
    assert!(handle.stats().hit_ratio() > 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_is_counted_by_its_reason() {
    let layer = CacheLayer::new(1 << 20)
        .overrides(Overrides::Refuse)
        .credentials(Credentials::Bypass)
        .key_by(|fields, _| (!fields.contains_key("x-nobody")).then_some("a"));
    let (cache, handle) = (layer.layer(for_a_minute(1)), layer.handle());
    let long = format!("http://a/{}", "x".repeat(9000));
    let mut counted = 0;
    for (uri, field, of) in [
        (
            "/a",
            "x-any",
            (|all| all.host) as fn(cache_layer::Bypasses) -> u64,
        ),
        (&long, "x-any", |all| all.overlong),
        ("http://a/", "x-nobody", |all| all.owner),
        ("http://a/", "x-forwarded-host", |all| all.overrides),
        ("http://a/", "x-http-method-override", |all| {
            all.method_override
        }),
        ("http://a/", "transfer-encoding", |all| all.content),
        ("http://a/", "if-match", |all| all.conditions),
        ("http://a/", "authorization", |all| all.credentials),
    ] {
        ask(&cache, request("GET", uri, &[(field, "x")])).await;
        counted += 1;
        let stats = handle.stats();
        assert_eq!(
            (of(stats.bypasses), stats.bypassed),
            (1, counted),
            "{field}"
        );
    }
}
