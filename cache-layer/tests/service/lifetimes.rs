//! Lifetimes: within the bounds that are set, and spread so that they do not end together.

use crate::support::*;
use cache_layer::{Cache, CachePolicy, CacheStatus, Warm};
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_bounds_set_the_time_that_is_left() {
    let bounded = || {
        let layer = layer().ttl_jitter(0.0).cache_status(CacheStatus::Debug);
        layer.min_ttl(seconds(30)).max_ttl(seconds(60))
    };
    let told = CachePolicy::new().ttl(seconds(300));
    for (layer, said, policy, left) in [
        (bounded(), "max-age=5", None, 30),
        (bounded(), "max-age=30", None, 30),
        (bounded(), "max-age=45", None, 45),
        (bounded(), "max-age=60", None, 60),
        (bounded(), "max-age=300", None, 60),
        (bounded(), "s-maxage=300", None, 60),
        (bounded(), "max-age=300, immutable", None, 60),
        (bounded(), "max-age=300, must-revalidate", None, 60),
        (bounded(), "no-store", Some(told), 60),
        (bounded().default_ttl(seconds(300)), "", None, 60),
        (bounded().default_ttl(seconds(10)), "", None, 10),
        // These ask to be asked.
        (bounded(), "s-maxage=5", None, 5),
        (bounded(), "max-age=5, must-revalidate", None, 5),
        (bounded(), "max-age=5, proxy-revalidate", None, 5),
    ] {
        let origin = Origin::new(move |_, _| {
            let mut response = answer(&[("cache-control", said)], "x");
            if let Some(policy) = policy.clone() {
                response.extensions_mut().insert(policy);
            }
            response
        });
        let cache = layer.layer(origin);
        let shows = |seen: &Seen, ttl| {
            let cache = seen.cache();
            assert!(cache.contains(&format!("; ttl={ttl};")), "{said}: {cache}");
        };
        shows(&ask(&cache, get("http://a/x")).await, left);
        advance(seconds(left - 1)).await;
        let hit = ask(&cache, get("http://a/x")).await;
        shows(&hit, 1);
        assert!(hit.cache().starts_with("hit"), "{said}: {}", hit.cache());
        // The answer's own words go to the client as they are.
        assert_eq!(hit.field("cache-control"), Some(said));
        advance(seconds(1)).await;
        let gone = ask(&cache, get("http://a/x")).await;
        assert!(gone.cache().starts_with("fwd="), "{said}: {}", gone.cache());
    }
    for said in [
        "no-store, max-age=5",
        "private, max-age=5",
        "max-age=0",
        "no-cache, max-age=5",
    ] {
        let origin = Origin::new(move |_, _| answer(&[("cache-control", said)], "x"));
        let cache = bounded().layer(origin);
        ask(&cache, get("http://a/x")).await;
        let again = ask(&cache, get("http://a/x")).await;
        assert!(
            again.cache().starts_with("fwd=uri-miss"),
            "{said}: {}",
            again.cache()
        );
    }
}

fn two_hundred() -> impl Iterator<Item = String> {
    (0..200).map(|n| format!("http://a/{n}"))
}

/// How many of them are fresh at each of these times.
async fn fresh_at(cache: &Cache<Origin>, times: &[u64]) -> Vec<usize> {
    let (mut counts, mut now) = (Vec::new(), 0);
    for time in times {
        advance(seconds(time - now)).await;
        now = *time;
        let mut fresh = 0;
        for uri in two_hundred() {
            let asked = request("GET", &uri, &[("cache-control", "only-if-cached")]);
            fresh += usize::from(ask(cache, asked).await.status != 504);
        }
        counts.push(fresh);
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn all_lifetimes_of_our_own_are_spread_and_no_others() {
    let spread = || layer().ttl_jitter(0.5);
    let hundred = seconds(100);
    for (layer, status, said, own) in [
        (spread().default_ttl(hundred), 200, "", true),
        (spread().negative_ttl([404], hundred), 404, "", true),
        (spread().max_ttl(hundred), 200, "max-age=3600", true),
        (spread().min_ttl(hundred), 200, "max-age=1", true),
        (
            spread().min_ttl(hundred).max_ttl(hundred),
            200,
            "max-age=1",
            true,
        ),
        (spread(), 200, "max-age=100", false),
        (
            spread().max_ttl(seconds(101)).min_ttl(seconds(99)),
            200,
            "max-age=100",
            false,
        ),
        (
            spread().negative_ttl([404], seconds(1)),
            404,
            "max-age=100",
            false,
        ),
        // Not below what was stated.
        (spread().min_ttl(hundred), 200, "max-age=99", false),
    ] {
        let origin = Origin::new(move |_, _| {
            let mut response = answer(&[("cache-control", said)], "x");
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        });
        let cache = layer.layer(origin);
        for uri in two_hundred() {
            ask(&cache, get(&uri)).await;
        }
        let counts = fresh_at(&cache, &[49, 75, 98, 100]).await;
        assert_eq!(
            (counts[0], counts[3]),
            (200, 0),
            "{status} {said}: {counts:?}"
        );
        let middle = if own { 60..140 } else { 200..201 };
        assert!(middle.contains(&counts[1]), "{status} {said}: {counts:?}");
        assert_eq!(counts[2] == 200, !own, "{status} {said}: {counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_warmed_together_does_not_end_together() {
    let origin = Origin::new(|_, _| answer(&[("cache-control", "max-age=1")], "x"));
    for (layer, times) in [
        (layer().ttl_jitter(0.5), [99, 125, 150]),
        (layer().ttl_jitter(0.5).max_ttl(seconds(60)), [29, 45, 60]),
    ] {
        let cache = layer.layer(origin.clone());
        let hot = two_hundred().map(|uri| get(&uri));
        let how = Warm::new().ttl(seconds(100));
        let warmed = layer.handle().warm(cache.clone(), hot, &how).await;
        assert_eq!(warmed.stored, 200);
        let counts = fresh_at(&cache, &times).await;
        assert_eq!((counts[0], counts[2]), (200, 0));
        assert!((60..140).contains(&counts[1]), "{counts:?}");
    }
}
