//! Memory: what is held is counted, bounded, and given back when asked for.

use crate::support::*;
use cache_layer::{CacheLayer, Eviction};
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

fn sized(bytes: usize) -> Origin {
    Origin::new(move |_, _| answer(&[FRESH], vec![b'x'; bytes]))
}

#[tokio::test(start_paused = true)]
async fn a_flood_stays_within_its_bytes() {
    for eviction in [Eviction::TinyLfu, Eviction::Lru] {
        let layer = CacheLayer::new(1 << 20).eviction(eviction);
        let cache = layer.layer(sized(4000));
        for n in 0..3000 {
            assert_eq!(ask(&cache, get(&format!("http://a/{n}"))).await.status, 200);
            if n % 10 == 0 {
                let stats = layer.handle().stats();
                assert!(
                    stats.bytes <= (1 << 20) * 5 / 4,
                    "{eviction:?}: {}",
                    stats.bytes
                );
            }
        }
        let stats = layer.handle().stats();
        assert!(
            stats.bytes > 1 << 19,
            "{eviction:?}: the room is used: {}",
            stats.bytes
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_smallest_and_the_largest_cache_work() {
    for max_bytes in [4096, u64::from(u32::MAX) * 8, u64::MAX] {
        let layer = CacheLayer::new(max_bytes);
        let (cache, handle) = (layer.layer(sized(100)), layer.handle());
        for n in 0..3 {
            ask(&cache, get(&format!("http://a/{}", n / 2))).await;
        }
        let seen = ask(&cache, get("http://a/1")).await;
        assert_eq!(seen.cache(), "hit", "{max_bytes}");
        assert!(handle.reclaim(u64::MAX) > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn lru_keeps_the_last_and_tiny_lfu_the_popular() {
    for (eviction, kept) in [(Eviction::TinyLfu, true), (Eviction::Lru, false)] {
        let layer = CacheLayer::new(256 * 1024).eviction(eviction);
        let (cache, handle) = (layer.layer(sized(4000)), layer.handle());
        // A cache learns who is popular once it is half full.
        for n in 0..40 {
            ask(&cache, get(&format!("http://a/first/{n}"))).await;
        }
        let _ = handle.stats();
        for _ in 0..5 {
            for n in 0..20 {
                ask(&cache, get(&format!("http://a/popular/{n}"))).await;
            }
            let _ = handle.stats();
        }
        for n in 0..500 {
            ask(&cache, get(&format!("http://a/once/{n}"))).await;
            if n % 16 == 0 {
                let _ = handle.stats();
            }
        }
        let mut hits = 0;
        for n in 0..20 {
            let seen = ask(&cache, get(&format!("http://a/popular/{n}"))).await;
            hits += usize::from(seen.cache() == "hit");
        }
        assert_eq!(
            hits > 15,
            kept,
            "{eviction:?}: {hits} of 20 popular ones left"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn reclaim_frees_the_expired_first_and_then_the_cold() {
    let origin = Origin::new(|_, request| {
        let seconds = if request.uri().path().starts_with("/short") {
            10
        } else {
            1000
        };
        let cache_control = format!("max-age={seconds}");
        answer(&[("cache-control", &cache_control)], vec![b'x'; 16 * 1024])
    });
    let layer = CacheLayer::new(8 << 20);
    let (cache, handle) = (layer.layer(origin), layer.handle());
    for kind in ["short", "hot", "cold"] {
        for n in 0..100 {
            ask(&cache, get(&format!("http://a/{kind}/{n}"))).await;
        }
        let _ = handle.stats();
    }
    for _ in 0..4 {
        for n in 0..100 {
            assert_eq!(
                ask(&cache, get(&format!("http://a/hot/{n}"))).await.cache(),
                "hit"
            );
        }
        let _ = handle.stats();
    }
    advance(Duration::from_secs(11)).await;
    let left = async |kind: &str| {
        let mut left = 0;
        for n in 0..100 {
            let uri = format!("http://a/{kind}/{n}");
            let asked = request("GET", &uri, &[("cache-control", "only-if-cached")]);
            left += usize::from(ask(&cache, asked).await.status == 200);
        }
        left
    };
    let third = handle.stats().bytes / 3;

    let freed = handle.reclaim(third - 200_000);
    assert!(
        freed >= third - 200_000 && freed < third + 20_000,
        "{freed} of {third}"
    );
    assert_eq!(
        (left("cold").await, left("hot").await),
        (100, 100),
        "the expired were enough"
    );

    let before = handle.stats().bytes;
    let freed = handle.reclaim(third);
    assert!(
        freed >= third && freed <= third + 300_000,
        "{freed} of {third}"
    );
    assert_eq!(before - handle.stats().bytes, freed);
    assert_eq!(left("hot").await, 100, "never a hot one before a cold one");

    handle.reclaim(u64::MAX);
    let stats = handle.stats();
    assert_eq!((stats.bytes, stats.entries), (0, 0));
    assert_eq!(handle.reclaim(1), 0, "there is nothing left to free");
    ask(&cache, get("http://a/hot/1")).await;
    assert_eq!(
        ask(&cache, get("http://a/hot/1")).await.cache(),
        "hit",
        "and it goes on"
    );
}

#[tokio::test(start_paused = true)]
async fn overwriting_grows_nothing() {
    let origin = Origin::new(|_, _| answer(&[("cache-control", "max-age=1")], vec![0; 1000]));
    let (cache, handle) = cached(&origin);
    let mut ten = 0;
    for n in 0..2000 {
        if n == 10 {
            ten = handle.stats().bytes;
        }
        ask(&cache, get(&format!("http://a/{}", n % 10))).await;
        advance(Duration::from_millis(150)).await;
    }
    assert_eq!(handle.stats().stored, 2000);
    soon_holds_at_most(&handle, ten);
}

#[tokio::test(start_paused = true)]
async fn the_dead_are_swept_out_without_being_asked_for() {
    let origin = Origin::new(|_, request| {
        let short = request.uri().path().starts_with("/short");
        answer(
            &[(
                "cache-control",
                if short { "max-age=5" } else { "max-age=500" },
            )],
            "x",
        )
    });
    let (cache, handle) = cached(&origin);
    for n in 0..50 {
        ask(&cache, get(&format!("http://a/short/{n}"))).await;
    }
    ask(&cache, get("http://a/long")).await;
    advance(Duration::from_secs(61)).await;
    ask(&cache, get("http://a/another")).await;
    // The sweep runs on a thread of its own.
    while handle.stats().entries > 2 {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    assert_eq!(ask(&cache, get("http://a/long")).await.cache(), "hit");
}
