//! Negative caching: how long errors are stored, and that nothing better is lost to them.

use crate::support::*;
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
                let asked = request("GET", "http://a/x", &[("cache-control", demand)]);
                let first = ask(&cache, asked).await;
                if demand == "no-cache" {
                    let stored = first.cache().ends_with("stored");
                    assert_eq!(stored, !spared, "{said}; {error}: {}", first.cache());
                }
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

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_late_leaves_what_stands_in_for_errors() {
    for (window, text) in [("60", "good"), ("15", "down")] {
        let (mut origin, service) = manual();
        let layer = layer().negative_ttl([503], seconds(30));
        let cache = layer.layer(service);
        let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let first = ask();
        let (_, respond) = origin.recv().await.unwrap();
        let said = format!("max-age=10, stale-while-revalidate=10, stale-if-error={window}");
        let good = answer(&[("cache-control", &said)], "good");
        respond.send(good).ok().unwrap();
        read(first.await.unwrap().unwrap()).await;
        advance(seconds(19)).await;
        assert_eq!(read(ask().await.unwrap().unwrap()).await.text(), "good");
        let (_, respond) = origin.recv().await.unwrap();
        advance(seconds(10)).await;
        respond.send(of(503, &[], "down".to_owned())).ok().unwrap();
        settle().await;
        let later = ask();
        settle().await;
        if let Ok((_, respond)) = origin.try_recv() {
            respond.send(of(503, &[], "down".to_owned())).ok().unwrap();
        }
        assert_eq!(read(later.await.unwrap().unwrap()).await.text(), text);
    }
}
