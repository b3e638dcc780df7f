//! Lifetimes: of errors, within bounds, and spread so that they do not end together.

use crate::support::*;
use cache_layer::{Cache, CachePolicy, CacheStatus, Warm};
use futures_util::FutureExt;
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An answer of this status.
fn of(status: u16, fields: &[(&str, &str)], body: String) -> OriginResponse {
    let mut response = answer(fields, body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
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
        let stale = ask(&cache, get("http://a/x")).await;
        assert!(stale.cache().starts_with("fwd=stale"), "{said}");
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
        let origin =
            Origin::new(move |_, _| of(status, &[("cache-control", said)], "x".to_owned()));
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

#[tokio::test(start_paused = true)]
async fn errors_live_as_long_as_is_set_for_them() {
    let private = &[("authorization", "Basic eA==")][..];
    let layer = || {
        layer()
            .ttl_jitter(0.0)
            .negative_ttl([404, 410], seconds(100))
            .negative_ttl(500..=504, seconds(10))
            // The last word counts.
            .negative_ttl([404], seconds(30))
            // Not for errors.
            .default_ttl(seconds(1000))
            .stale_while_revalidate(seconds(1000))
    };
    for (status, said, client, lives) in [
        (404, "", &[][..], 30),
        (410, "", &[], 100),
        (503, "", &[], 10),
        (500, "public", &[], 10),
        (403, "", &[], 0),
        (429, "", &[], 0),
        (505, "", &[], 0),
        (404, "max-age=5", &[], 5),
        (404, "max-age=60", &[], 60),
        (503, "max-age=60", &[], 60),
        (404, "no-store", &[], 0),
        (404, "private", &[], 0),
        (404, "no-cache", &[], 0),
        (404, "max-age=0", &[], 0),
        (404, "", private, 0),
        (404, "public", private, 30),
    ] {
        let origin =
            Origin::new(move |call, _| of(status, &[("cache-control", said)], call.to_string()));
        let cache = layer().layer(origin);
        let asked = || request("GET", "http://a/x", client);
        ask(&cache, asked()).await;
        if lives > 0 {
            advance(seconds(lives - 1)).await;
            let hit = ask(&cache, asked()).await;
            assert_eq!(
                (hit.status, hit.text(), hit.cache()),
                (status, "0", "hit"),
                "{status} {said}"
            );
            advance(seconds(1)).await;
        }
        let gone = ask(&cache, asked()).await;
        assert_eq!(gone.text(), "1", "{status} {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_server_error_takes_the_place_of_what_may_still_be_used() {
    for (said, spared) in [
        (
            "max-age=10, stale-while-revalidate=20, stale-if-error=60",
            true,
        ),
        ("max-age=10, stale-while-revalidate=60", true),
        ("max-age=10, stale-if-error=60", true),
        ("max-age=100", true),
        // Nothing allows its use any more.
        ("max-age=10", false),
        ("max-age=10, stale-if-error=4", false),
        ("max-age=10, must-revalidate, stale-if-error=60", false),
    ] {
        // By its own word as by ours, as the same variant or as another.
        for (error, vary) in [
            ("", [None, None]),
            ("max-age=30", [None, None]),
            ("", [Some("a"), None]),
            ("", [None, Some("a")]),
        ] {
            for demand in ["x", "no-cache"] {
                let origin = Origin::new(move |call, _| {
                    let vary = vary[call.min(1)].map(|vary| ("vary", vary));
                    let fields = |said| {
                        [("cache-control", said)]
                            .into_iter()
                            .chain(vary)
                            .collect::<Vec<_>>()
                    };
                    match call {
                        0 => of(200, &fields(said), "good".to_owned()),
                        _ => of(503, &fields(error), "down".to_owned()),
                    }
                });
                let cache = layer().negative_ttl([503], seconds(30)).layer(origin);
                ask(&cache, get("http://a/x")).await;
                advance(seconds(15)).await;
                // The error comes to one who asks for himself, or in the background.
                ask(
                    &cache,
                    request("GET", "http://a/x", &[("cache-control", demand)]),
                )
                .await;
                settle().await;
                let seen = ask(&cache, get("http://a/x")).await;
                let expected = if spared { "good" } else { "down" };
                assert_eq!(seen.text(), expected, "{said}; {error}; {vary:?}; {demand}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_an_error_arrives_is_not_lost_to_it() {
    let (mut origin, service) = manual();
    let layer = layer().negative_ttl([503], seconds(30));
    let cache = layer.layer(service);
    let ask = |demand| {
        let fields = [("cache-control", demand)];
        tokio::spawn(cache.clone().oneshot(request("GET", "http://a/x", &fields)))
    };
    let slow = ask("x");
    let (_, respond) = origin.recv().await.unwrap();
    let (script, body) = Script::new();
    let mut down = head(&[], body);
    *down.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    respond.send(down).ok().unwrap();
    script.data("down");
    let quick = ask("no-cache");
    let (_, respond) = origin.recv().await.unwrap();
    respond.send(answer(&[FRESH], "good")).ok().unwrap();
    assert_eq!(read(quick.await.unwrap().unwrap()).await.text(), "good");
    settle().await;
    drop(script);
    assert_eq!(read(slow.await.unwrap().unwrap()).await.text(), "down");
    settle().await;
    let hit = read(ask("x").await.unwrap().unwrap()).await;
    assert_eq!((hit.text(), hit.cache()), ("good", "hit"));
}

#[tokio::test(start_paused = true)]
async fn other_errors_are_news() {
    for status in [404, 410] {
        let origin = Origin::new(move |call, _| match call {
            0 => of(
                200,
                &[("cache-control", "max-age=100, stale-if-error=60")],
                "good".to_owned(),
            ),
            _ => of(status, &[], "gone".to_owned()),
        });
        let cache = layer().negative_ttl([404, 410], seconds(30)).layer(origin);
        ask(&cache, get("http://a/x")).await;
        ask(
            &cache,
            request("GET", "http://a/x", &[("cache-control", "no-cache")]),
        )
        .await;
        let hit = ask(&cache, get("http://a/x")).await;
        assert_eq!((hit.status, hit.cache()), (status, "hit"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_error_stands_in_for_no_other() {
    let (mut origin, service) = manual();
    let layer = layer()
        .stale_if_error(seconds(1000))
        .stale_if_disconnected(true)
        .negative_ttl([503], seconds(10));
    let cache = layer.layer(service);
    let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let first = ask();
    let (_, respond) = origin.recv().await.unwrap();
    let stale = ("cache-control", "max-age=10, stale-if-error=1000");
    respond
        .send(of(503, &[stale], "old error".to_owned()))
        .ok()
        .unwrap();
    read(first.await.unwrap().unwrap()).await;
    settle().await;
    assert_eq!(read(ask().await.unwrap().unwrap()).await.cache(), "hit");
    advance(seconds(11)).await;
    // Neither for a new one nor for none at all.
    let second = ask();
    let (_, respond) = origin.recv().await.unwrap();
    respond
        .send(of(502, &[], "new error".to_owned()))
        .ok()
        .unwrap();
    assert_eq!(
        read(second.await.unwrap().unwrap()).await.text(),
        "new error"
    );
    let third = ask();
    drop(origin.recv().await.unwrap());
    assert_eq!(
        third.await.unwrap().err().unwrap().to_string(),
        "origin failed"
    );
    assert!(origin.recv().now_or_never().is_none());
}
