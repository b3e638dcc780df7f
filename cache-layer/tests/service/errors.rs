//! Stale answers in place of errors (RFC 5861 section 4), and who gets them.

use crate::support::*;
use cache_layer::CacheHandle;
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, ServiceExt, service_fn};

const STALE: (&str, &str) = ("cache-control", "max-age=10, stale-if-error=20");

fn failed(status: u16) -> OriginResponse {
    let mut response = answer(&[("cache-control", "no-store")], "down");
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

#[tokio::test(start_paused = true)]
async fn which_failures_are_covered_and_for_how_long() {
    for (status, covered) in [
        (500, true),
        (502, true),
        (503, true),
        (504, true),
        (501, false),
        (505, false),
        (404, false),
        (429, false),
    ] {
        let origin = Origin::new(move |call, _| match call {
            0 => answer(&[STALE], "old"),
            _ => failed(status),
        });
        let (cache, handle) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        advance(Duration::from_secs(29)).await;
        let seen = ask(&cache, get("http://a/x")).await;
        if covered {
            assert_eq!(
                (seen.status, seen.text(), seen.field("age")),
                (200, "old", Some("29"))
            );
            assert_eq!(seen.cache(), format!("fwd=stale; fwd-status={status}"));
            assert_eq!(handle.stats().stale, 1);
            advance(Duration::from_secs(1)).await;
        }
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!((seen.status, seen.text()), (status, "down"));
        assert_eq!((seen.field("age"), seen.cache()), (None, "fwd=stale"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_is_covered_too_and_passed_on_past_the_window() {
    let service = service_fn(|request: OriginRequest| async move {
        if request.headers().contains_key("fail") {
            return Err(BoxError::from("down"));
        }
        Ok(answer(&[STALE], "old"))
    });
    let cache = layer().layer(service);
    let ask = |fields| cache.clone().oneshot(request("GET", "http://a/x", fields));
    read(ask(&[]).await.unwrap()).await;
    advance(Duration::from_secs(15)).await;
    let seen = read(ask(&[("fail", "1")]).await.unwrap()).await;
    assert_eq!(
        (seen.text(), seen.field("age"), seen.cache()),
        ("old", Some("15"), "fwd=stale")
    );
    // A client that holds it is told so.
    let fields = [
        ("fail", "1"),
        ("if-modified-since", "Sun, 06 Nov 2050 08:49:37 GMT"),
    ];
    let held = cache.clone().oneshot(request("GET", "http://a/x", &fields));
    assert_eq!(read(held.await.unwrap()).await.status, 304);
    advance(Duration::from_secs(20)).await;
    let error = ask(&[("fail", "1")]).await.err().unwrap();
    assert_eq!(error.to_string(), "down");
}

#[tokio::test(start_paused = true)]
async fn followers_of_a_fill_that_fails_get_what_they_put_up_with() {
    for (said, leader, shared) in [
        // By the origin's leave all of them, by the leader's own he alone.
        ("max-age=10, stale-if-error=20", "x", true),
        ("max-age=10", "stale-if-error=20", false),
    ] {
        let (mut origin, service) = manual();
        let layer = layer();
        let cache = layer.layer(service);
        let ask = |demand| {
            let fields = [("cache-control", demand)];
            tokio::spawn(cache.clone().oneshot(request("GET", "http://a/x", &fields)))
        };
        let first = ask("x");
        let (_, respond) = origin.recv().await.unwrap();
        respond
            .send(answer(&[("cache-control", said)], "old"))
            .ok()
            .unwrap();
        read(first.await.unwrap().unwrap()).await;
        settle().await;
        advance(Duration::from_secs(15)).await;
        let leader = ask(leader);
        let (_, respond) = origin.recv().await.unwrap();
        let followers: Vec<_> = (0..3).map(|_| ask("x")).collect();
        settle().await;
        assert!(origin.try_recv().is_err());
        respond.send(failed(503)).ok().unwrap();
        let led = read(leader.await.unwrap().unwrap()).await;
        assert_eq!(
            (led.text(), led.cache()),
            ("old", "fwd=stale; fwd-status=503")
        );
        for _ in followers.iter().filter(|_| !shared) {
            let (_, respond) = origin.recv().await.unwrap();
            respond.send(answer(&[FRESH], "new")).ok().unwrap();
        }
        for follower in followers {
            let seen = read(follower.await.unwrap().unwrap()).await;
            assert_eq!(seen.text(), if shared { "old" } else { "new" });
            assert_eq!(seen.field("age"), shared.then_some("15"));
        }
        settle().await;
        assert_eq!(layer.handle().stats().filling, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_purged_meanwhile_covers_nothing() {
    type Purge = fn(&CacheHandle);
    let purges: [(Purge, bool); 3] = [
        (
            |handle| assert!(handle.purge(&"http://a/x".parse().unwrap())),
            false,
        ),
        (CacheHandle::clear, false),
        (
            |handle| assert!(handle.purge_softly(&"http://a/x".parse().unwrap())),
            true,
        ),
    ];
    for (purge, covered) in purges {
        let (mut origin, service) = manual();
        let layer = layer();
        let cache = layer.layer(service);
        let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let first = ask();
        let (_, respond) = origin.recv().await.unwrap();
        respond.send(answer(&[STALE], "old")).ok().unwrap();
        read(first.await.unwrap().unwrap()).await;
        settle().await;
        advance(Duration::from_secs(15)).await;
        let client = ask();
        let (_, respond) = origin.recv().await.unwrap();
        purge(&layer.handle());
        respond.send(failed(503)).ok().unwrap();
        let seen = read(client.await.unwrap().unwrap()).await;
        assert_eq!(seen.text(), if covered { "old" } else { "down" });
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_fresh_but_not_fresh_enough_for_the_client_covers_an_error_by_leave_only() {
    for (said, text) in [
        ("max-age=100, stale-if-error=20", "old"),
        ("max-age=100", "down"),
    ] {
        let origin = Origin::new(move |call, _| match call {
            0 => answer(&[("cache-control", said)], "old"),
            _ => failed(503),
        });
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        let reload = request("GET", "http://a/x", &[("cache-control", "no-cache")]);
        assert_eq!(ask(&cache, reload).await.text(), text, "{said}");
    }
}

/// A body that takes longer than its answer lives.
#[tokio::test(start_paused = true)]
async fn nobody_joins_a_fill_that_is_stale_or_older_than_he_wants() {
    for (seconds, demand, joins) in [
        (9, "x", true),
        (10, "x", false),
        (5, "max-age=5", true),
        (6, "max-age=5", false),
        (6, "min-fresh=5", false),
        (1, "no-cache", false),
    ] {
        let (mut origin, service) = manual();
        let cache = layer().layer(service);
        let slow = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let script = answered(&mut origin, &[("cache-control", "max-age=10")]).await;
        script.data("slow");
        settle().await;
        advance(Duration::from_secs(seconds)).await;
        let asked = request("GET", "http://a/x", &[("cache-control", demand)]);
        let client = tokio::spawn(cache.clone().oneshot(asked));
        settle().await;
        assert_eq!(
            origin.try_recv().is_err(),
            joins,
            "{demand} after {seconds} s"
        );
        drop((slow, client));
    }
    // Nor one that began before a client asked for nothing older.
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let _first = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let _first_asked = origin.recv().await.unwrap();
    let reload = request("GET", "http://a/x", &[("cache-control", "no-cache")]);
    let _reload = tokio::spawn(cache.clone().oneshot(reload));
    settle().await;
    assert!(origin.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_may_use_what_is_stale_where_that_is_set() {
    for (stated, on, expected) in [
        ("max-age=10", true, Some(200)),
        ("max-age=10", false, None),
        ("max-age=10, must-revalidate", true, Some(504)),
    ] {
        let (mut origin, service) = manual();
        let cache = layer().stale_if_disconnected(on).layer(service);
        let asking = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let first = asking();
        drop(answered(&mut origin, &[("cache-control", stated)]).await);
        read(first.await.unwrap().unwrap()).await;
        advance(Duration::from_secs(15)).await;

        let second = asking();
        drop(origin.recv().await.unwrap());
        let status = second.await.unwrap().ok().map(|answer| answer.status());
        assert_eq!(
            status.map(|status| status.as_u16()),
            expected,
            "{stated} {on}"
        );
        // An error that the origin sends itself is not silence.
        let third = asking();
        let (_, respond) = origin.recv().await.unwrap();
        respond.send(failed(503)).ok().unwrap();
        assert_eq!(third.await.unwrap().unwrap().status(), 503);
    }
}
