//! One request to the origin, many readers.

use crate::support::*;
use cache_layer::{CacheHandle, ResponseFuture};
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::advance;
use tower::limit::ConcurrencyLimit;
use tower::{BoxError, Layer, Service, ServiceExt};

fn public() -> [(&'static str, &'static str); 1] {
    [FRESH]
}

#[tokio::test(start_paused = true)]
async fn a_miss_streams_while_it_fills() {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = origin.recv().await.unwrap();
    let (script, body) = Script::new();
    respond.send(head(&public(), body)).ok().unwrap();
    let mut response = client.await.unwrap().unwrap().into_body();

    script.data("one");
    let first = response.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "one");
    assert!(
        response.frame().now_or_never().is_none(),
        "the origin is not done"
    );

    // Who comes now reads from the first byte, and asks no origin.
    let second = cache.clone().oneshot(get("http://a/x")).await.unwrap();
    script.data("two");
    drop(script);
    let second = read(second).await;
    assert_eq!(
        (second.text(), second.cache()),
        ("onetwo", "fwd=uri-miss; collapsed")
    );
    assert_eq!(second.field("age"), Some("0"));
    assert_eq!(
        response
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "two"
    );
    assert!(response.frame().await.is_none());
    let hit = read(cache.clone().oneshot(get("http://a/x")).await.unwrap()).await;
    assert_eq!((hit.text(), hit.cache()), ("onetwo", "hit"));
    assert!(origin.recv().now_or_never().is_none());
    assert_eq!(layer.handle().stats().collapsed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_miss_looks_to_the_client_as_without_a_cache() {
    let origin = Origin::new(|call, _| answer(&[FRESH], if call == 0 { "hello" } else { "" }));
    let (cache, _) = cached(&origin);
    let whole = cache
        .clone()
        .oneshot(get("http://a/x"))
        .await
        .unwrap()
        .into_body();
    assert_eq!(whole.size_hint().exact(), Some(5));
    let empty = cache
        .clone()
        .oneshot(get("http://a/y"))
        .await
        .unwrap()
        .into_body();
    assert!(empty.is_end_stream() && empty.size_hint().exact() == Some(0));
}

#[tokio::test(start_paused = true)]
async fn five_hundred_clients_make_one_request() {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let clients: Vec<_> = (0..500)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let (_, respond) = origin.recv().await.unwrap();
    settle().await;
    respond.send(answer(&public(), "hello")).ok().unwrap();
    for client in clients {
        assert_eq!(read(client.await.unwrap().unwrap()).await.text(), "hello");
    }
    assert!(origin.recv().now_or_never().is_none());
    let stats = layer.handle().stats();
    assert_eq!(
        (stats.misses, stats.collapsed + stats.hits, stats.filling),
        (1, 499, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn the_fill_survives_its_first_client_at_the_head_and_in_the_body() {
    for head_first in [false, true] {
        let (mut origin, service) = manual();
        let layer = layer();
        let cache = layer.layer(service);
        let leader = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let (_, respond) = origin.recv().await.unwrap();
        let follower = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        settle().await;
        let (script, body) = Script::new();
        if head_first {
            respond.send(head(&public(), body)).ok().unwrap();
            let response = leader.await.unwrap().unwrap();
            script.data("one");
            drop(response);
        } else {
            leader.abort();
            settle().await;
            respond.send(head(&public(), body)).ok().unwrap();
            script.data("one");
        }
        settle().await;
        script.data("two");
        drop(script);
        let seen = read(follower.await.unwrap().unwrap()).await;
        assert_eq!(seen.text(), "onetwo");
        settle().await;
        let hit = read(cache.oneshot(get("http://a/x")).await.unwrap()).await;
        assert_eq!((hit.text(), hit.cache()), ("onetwo", "hit"));
        assert_eq!(layer.handle().stats().filling, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_nobody_waits_for_ends_in_time() {
    let (mut origin, service) = manual();
    let layer = layer().fill_timeout(Duration::from_secs(5));
    let handle = layer.handle();
    let cache = layer.layer(service);
    let leader = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = origin.recv().await.unwrap();
    leader.abort();
    settle().await;
    assert_eq!(handle.stats().filling, 1);
    advance(Duration::from_secs(6)).await;
    settle().await;
    assert_eq!(handle.stats().filling, 0);
    assert!(respond.is_closed(), "the request to the origin is given up");
}

#[tokio::test(start_paused = true)]
async fn an_errand_of_ones_own_ends_with_its_client() {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let asked = request("GET", "http://a/x", &[("authorization", "Basic eA==")]);
    let client = tokio::spawn(cache.clone().oneshot(asked));
    let (_, respond) = origin.recv().await.unwrap();
    client.abort();
    settle().await;
    assert!(respond.is_closed(), "nobody else could use it");
    assert_eq!(layer.handle().stats().filling, 0);
}

#[tokio::test(start_paused = true)]
async fn a_private_answer_reaches_its_leader_only() {
    for secret in [
        ("cache-control", "private"),
        ("set-cookie", "id=1"),
        ("x", "no lifetime"),
    ] {
        let (mut origin, service) = manual();
        let layer = layer();
        let cache = layer.layer(service);
        let clients: Vec<_> = (0..10)
            .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
            .collect();
        let (_, respond) = origin.recv().await.unwrap();
        settle().await;
        assert!(origin.recv().now_or_never().is_none(), "the others wait");
        respond.send(answer(&[secret], "0")).ok().unwrap();
        settle().await;
        for n in 1..10 {
            // All at once, not one behind the other.
            let (_, respond) = origin
                .recv()
                .now_or_never()
                .unwrap_or_else(|| panic!("follower {n} still waits"))
                .unwrap();
            respond.send(answer(&[secret], n.to_string())).ok().unwrap();
            settle().await;
        }
        let mut bodies = Vec::new();
        for client in clients {
            bodies.push(read(client.await.unwrap().unwrap()).await.text().to_owned());
        }
        bodies.sort();
        let all: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(bodies, all, "each got its own");

        // For a while nobody queues for what cannot be shared.
        let clients: Vec<_> = (0..3)
            .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
            .collect();
        settle().await;
        for _ in 0..3 {
            let (_, respond) = origin.recv().now_or_never().expect("nobody waits").unwrap();
            respond.send(answer(&[secret], "later")).ok().unwrap();
        }
        for client in clients {
            assert_eq!(read(client.await.unwrap().unwrap()).await.text(), "later");
        }
        assert_eq!(layer.handle().stats().entries, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn one_clients_own_answers_do_not_keep_others_from_sharing() {
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let own = request("GET", "http://a/x", &[("authorization", "Basic eA==")]);
    let own = tokio::spawn(cache.clone().oneshot(own));
    let (_, respond) = origin.recv().await.unwrap();
    respond
        .send(answer(&[("cache-control", "private")], "own"))
        .ok()
        .unwrap();
    assert_eq!(read(own.await.unwrap().unwrap()).await.text(), "own");

    let clients: Vec<_> = (0..5)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let (_, respond) = origin.recv().await.unwrap();
    settle().await;
    assert!(origin.try_recv().is_err(), "the others wait for one");
    respond.send(answer(&public(), "all")).ok().unwrap();
    for client in clients {
        assert_eq!(read(client.await.unwrap().unwrap()).await.text(), "all");
    }
}

#[tokio::test(start_paused = true)]
async fn followers_of_another_variant_fetch_their_own_once() {
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let with = |language: &'static str| {
        tokio::spawn(cache.clone().oneshot(request(
            "GET",
            "http://a/x",
            &[("accept-language", language)],
        )))
    };
    let vary = [FRESH, ("vary", "accept-language")];
    let german: Vec<_> = (0..5).map(|_| with("de")).collect();
    settle().await;
    let english: Vec<_> = (0..5).map(|_| with("en")).collect();
    let (_, respond) = origin.recv().await.unwrap();
    settle().await;
    respond.send(answer(&vary, "de")).ok().unwrap();
    settle().await;
    let (asked, respond) = origin.recv().await.unwrap();
    assert_eq!(asked.headers()["accept-language"], "en");
    settle().await;
    respond.send(answer(&vary, "en")).ok().unwrap();
    for (clients, text) in [(german, "de"), (english, "en")] {
        for client in clients {
            assert_eq!(read(client.await.unwrap().unwrap()).await.text(), text);
        }
    }
    assert!(origin.recv().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_fill_is_bounded() {
    let (mut origin, service) = manual();
    let cache = layer().collapse_wait(Duration::from_secs(3)).layer(service);
    let slow = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, held) = origin.recv().await.unwrap();
    let impatient = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    settle().await;
    assert!(origin.recv().now_or_never().is_none());
    advance(Duration::from_secs(3)).await;
    let (_, respond) = origin.recv().await.unwrap();
    respond.send(answer(&public(), "fast")).ok().unwrap();
    assert_eq!(read(impatient.await.unwrap().unwrap()).await.text(), "fast");
    held.send(answer(&public(), "slow")).ok().unwrap();
    assert_eq!(read(slow.await.unwrap().unwrap()).await.text(), "slow");
}

#[tokio::test(start_paused = true)]
async fn an_error_reaches_the_leader_and_the_others_ask_for_themselves() {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let clients: Vec<_> = (0..4)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let (_, respond) = origin.recv().await.unwrap();
    settle().await;
    drop(respond);
    settle().await;
    for _ in 0..3 {
        let (_, respond) = origin.recv().now_or_never().expect("all at once").unwrap();
        respond.send(answer(&public(), "fine")).ok().unwrap();
    }
    let mut failed = 0;
    for client in clients {
        match client.await.unwrap() {
            Ok(response) => assert_eq!(read(response).await.text(), "fine"),
            Err(error) => {
                assert_eq!(error.to_string(), "origin failed");
                failed += 1;
            }
        }
    }
    settle().await;
    assert_eq!((failed, layer.handle().stats().filling), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_below_is_a_panic_above_and_strands_nobody() {
    let layer = layer();
    let service = tower::service_fn(|_: OriginRequest| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if true {
            panic!("origin's own");
        }
        Ok::<_, BoxError>(answer(&[], ""))
    });
    let cache = layer.layer(service);
    let clients: Vec<_> = (0..3)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    for client in clients {
        let panic = client.await.expect_err("panics").into_panic();
        assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "origin's own");
    }
    assert_eq!(layer.handle().stats().filling, 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_or_falls_short_is_not_stored() {
    // Breaks mid-way: all readers see it.
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let clients: Vec<_> = (0..2)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let (_, respond) = origin.recv().await.unwrap();
    settle().await;
    let (script, body) = Script::new();
    respond.send(head(&public(), body)).ok().unwrap();
    script.data("half");
    script.fail();
    for client in clients {
        let seen = read(client.await.unwrap().unwrap()).await;
        assert_eq!(
            seen.body.unwrap_err(),
            "the service's response body ended early"
        );
    }
    settle().await;
    assert_eq!(layer.handle().stats().entries, 0);

    // Shorter or longer than its Content-Length: passed on as it is, and not kept.
    for length in ["5", "3", "4, 4", "x"] {
        let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let (_, respond) = origin.recv().await.unwrap();
        let (script, body) = Script::new();
        respond
            .send(head(&[FRESH, ("content-length", length)], body))
            .ok()
            .unwrap();
        script.data("half");
        drop(script);
        assert_eq!(read(client.await.unwrap().unwrap()).await.text(), "half");
        settle().await;
        let kept = layer.handle().stats().entries;
        assert_eq!(kept, 0, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_wins_over_a_fill_that_began_before_it() {
    let purge = |handle: &CacheHandle| assert!(handle.purge(&"http://a/x".parse().unwrap()));
    for act in [purge, CacheHandle::clear] {
        let (mut origin, service) = manual();
        let layer = layer();
        let cache = layer.layer(service);
        let old = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let (_, respond) = origin.recv().await.unwrap();
        let (script, body) = Script::new();
        respond.send(head(&public(), body)).ok().unwrap();
        script.data("old");
        settle().await;
        act(&layer.handle());

        // Who comes after the purge joins no fill from before it.
        let new = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let (_, respond) = origin.recv().await.unwrap();
        respond.send(answer(&public(), "new")).ok().unwrap();
        assert_eq!(read(new.await.unwrap().unwrap()).await.text(), "new");
        drop(script);
        assert_eq!(read(old.await.unwrap().unwrap()).await.text(), "old");
        settle().await;
        let hit = read(cache.oneshot(get("http://a/x")).await.unwrap()).await;
        assert_eq!((hit.text(), hit.cache()), ("new", "hit"));
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_do_not_wait_for_one_another() {
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let asked = || request("GET", "http://a/x", &[("authorization", "Basic eA==")]);
    let clients: Vec<_> = (0..3)
        .map(|_| tokio::spawn(cache.clone().oneshot(asked())))
        .collect();
    settle().await;
    for _ in clients {
        assert!(origin.recv().now_or_never().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_passes_at_the_pace_of_its_readers() {
    let (mut origin, service) = manual();
    let layer = layer().max_entry_bytes(1000);
    let handle = layer.handle();
    let cache = layer.layer(service);
    let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = origin.recv().await.unwrap();
    let follower = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    settle().await;
    let (script, body) = Script::new();
    respond.send(head(&public(), body)).ok().unwrap();
    let (mut client, follower) = (
        client.await.unwrap().unwrap().into_body(),
        follower.await.unwrap().unwrap(),
    );
    for n in 0..100u8 {
        script.data(vec![n; 2000]);
    }
    settle().await;
    let held = handle.stats().bytes;
    assert!(
        (1000..67_000).contains(&held),
        "{held} bytes held of 200,000"
    );
    let mut follower = follower.into_body();
    for n in 0..100u8 {
        let frame = client.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, vec![n; 2000]);
        let frame = follower
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(frame, vec![n; 2000]);
        settle().await;
    }
    drop(script);
    assert!(client.frame().await.is_none() && follower.frame().await.is_none());
    settle().await;
    let stats = handle.stats();
    assert_eq!((stats.entries, stats.filling, stats.bytes), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn fills_count_towards_the_room_and_stream_through_when_there_is_none() {
    let (mut origin, service) = manual();
    let layer = cache_layer::CacheLayer::new(64 * 1024);
    let handle = layer.handle();
    let cache = layer.layer(service);
    let mut clients = Vec::new();
    let mut scripts = Vec::new();
    for n in 0..20 {
        let client = tokio::spawn(cache.clone().oneshot(get(&format!("http://a/{n}"))));
        let (_, respond) = origin.recv().await.unwrap();
        let (script, body) = Script::new();
        respond.send(head(&public(), body)).ok().unwrap();
        for _ in 0..30 {
            script.data(vec![1; 1000]);
        }
        clients.push(client.await.unwrap().unwrap());
        scripts.push(script);
        settle().await;
        let held = handle.stats().bytes;
        assert!(held < 64 * 1024 * 5 / 4 + 20 * 1000, "{held} bytes held");
    }
    drop(scripts);
    for client in clients {
        assert_eq!(read(client).await.body.unwrap().len(), 30_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_others_is_cut_off_and_a_lone_one_is_not() {
    let (mut origin, service) = manual();
    let layer = layer().max_entry_bytes(1000);
    let cache = layer.layer(service);
    let quick = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = origin.recv().await.unwrap();
    let stalled = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    settle().await;
    let (script, body) = Script::new();
    respond.send(head(&public(), body)).ok().unwrap();
    let quick = tokio::spawn(read(quick.await.unwrap().unwrap()));
    let stalled = stalled.await.unwrap().unwrap();
    for _ in 0..20 {
        script.data(vec![1; 10_000]);
    }
    drop(script);
    settle().await;
    assert!(!quick.is_finished());
    advance(Duration::from_secs(11)).await;
    assert_eq!(quick.await.unwrap().body.unwrap().len(), 200_000);
    let cut = read(stalled).await.body.unwrap_err();
    assert!(cut.contains("read too slowly"), "{cut}");

    let lone = tokio::spawn(cache.clone().oneshot(get("http://a/y")));
    let (_, respond) = origin.recv().await.unwrap();
    let (script, body) = Script::new();
    respond.send(head(&public(), body)).ok().unwrap();
    for _ in 0..20 {
        script.data(vec![1; 10_000]);
    }
    drop(script);
    let lone = lone.await.unwrap().unwrap();
    settle().await;
    advance(Duration::from_secs(1000)).await;
    assert_eq!(read(lone).await.body.unwrap().len(), 200_000);
}

#[tokio::test(start_paused = true)]
async fn the_origin_is_let_go_when_all_readers_of_a_large_body_leave() {
    let (mut origin, service) = manual();
    let layer = layer().max_entry_bytes(1000);
    let cache = layer.layer(service);
    let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = origin.recv().await.unwrap();
    let (script, body) = Script::new();
    respond.send(head(&public(), body)).ok().unwrap();
    let response = client.await.unwrap().unwrap();
    for _ in 0..10 {
        script.data(vec![1; 10_000]);
    }
    settle().await;
    assert!(!script.is_dropped());
    drop(response);
    settle().await;
    assert!(script.is_dropped());
    assert_eq!(
        (layer.handle().stats().filling, layer.handle().stats().bytes),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_known_length_over_the_limit_streams_through_at_once() {
    let (mut origin, service) = manual();
    let layer = layer().max_entry_bytes(1000);
    let cache = layer.layer(service);
    let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = origin.recv().await.unwrap();
    let (script, body) = Script::new();
    respond
        .send(head(&[FRESH, ("content-length", "1001")], body))
        .ok()
        .unwrap();
    let response = client.await.unwrap().unwrap();
    script.data(vec![1; 500]);
    settle().await;
    assert_eq!(layer.handle().stats().bytes, 0, "nothing is buffered");
    script.data(vec![1; 501]);
    drop(script);
    let seen = read(response).await;
    assert_eq!(
        (seen.cache(), seen.body.as_ref().unwrap().len()),
        ("fwd=uri-miss", 1001)
    );
}

#[tokio::test(start_paused = true)]
async fn one_permit_below_neither_panics_nor_deadlocks() {
    let origin = Origin::new(|call, _| {
        let cache_control = if call % 2 == 0 {
            "private"
        } else {
            "max-age=1"
        };
        answer(&[("cache-control", cache_control)], "x")
    });
    let layer = layer();
    let cache = layer.layer(ConcurrencyLimit::new(origin, 1));
    let mut clients = Vec::new();
    for n in 0..50 {
        let method = if n % 5 == 0 { "POST" } else { "GET" };
        let uri = format!("http://a/{}", n % 7);
        let mut cache = cache.clone();
        clients.push(tokio::spawn(async move {
            let response = cache
                .ready()
                .await
                .unwrap()
                .call(request(method, &uri, &[]))
                .await;
            read(response.unwrap()).await
        }));
    }
    for client in clients {
        assert_eq!(client.await.unwrap().text(), "x");
    }
    settle().await;
    assert_eq!(layer.handle().stats().filling, 0);
}

#[tokio::test(start_paused = true)]
async fn a_hit_needs_no_room_below() {
    let (mut origin, service) = manual();
    let cache = layer().layer(ConcurrencyLimit::new(service, 1));
    let first = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = origin.recv().await.unwrap();
    respond.send(answer(&public(), "x")).ok().unwrap();
    assert_eq!(read(first.await.unwrap().unwrap()).await.text(), "x");
    settle().await;
    let _busy = tokio::spawn(cache.clone().oneshot(get("http://a/other")));
    let _held = origin.recv().await.unwrap();
    let hit = read(cache.oneshot(get("http://a/x")).await.unwrap()).await;
    assert_eq!(hit.cache(), "hit");
}

/// Polls a future `polls` times, letting others run in between; drops it if it is not done.
async fn poll_some<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        settle().await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn dropped_at_any_await_point_nothing_is_left_behind() {
    // The origin yields at readiness, before the head, and between frames.
    let service = || {
        tower::service_fn(|request: OriginRequest| async move {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            let (script, body) = Script::new();
            tokio::spawn(async move {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                    script.data("abc");
                }
            });
            let private = request.uri().path() == "/private";
            let cache_control = if private { "private" } else { "max-age=60" };
            Ok::<_, BoxError>(head(&[("cache-control", cache_control)], body))
        })
    };
    for (method, uri) in [
        ("GET", "http://a/x"),
        ("GET", "http://a/private"),
        ("POST", "http://a/x"),
        ("HEAD", "http://a/x"),
    ] {
        for polls in 0..12 {
            let layer = layer().fill_timeout(Duration::from_secs(5));
            let cache = layer.layer(ConcurrencyLimit::new(service(), 1));
            let whole = async {
                let response = cache
                    .clone()
                    .oneshot(request(method, uri, &[]))
                    .await
                    .unwrap();
                response.into_body().collect().await.unwrap();
            };
            poll_some(whole, polls).await;
            settle().await;
            advance(Duration::from_secs(11)).await;
            settle().await;
            let stats = layer.handle().stats();
            assert_eq!(stats.filling, 0, "{method} {uri} after {polls} polls");
            // The one place below is free again.
            let seen = read(cache.oneshot(get("http://a/free")).await.unwrap()).await;
            assert_eq!(seen.text(), "abcabcabc");
        }
    }
}

#[test]
fn types_go_where_services_go() {
    fn send_sync_clone<T: Send + Sync + Clone + 'static>() {}
    fn send<T: Send>() {}
    send_sync_clone::<cache_layer::CacheLayer>();
    send_sync_clone::<cache_layer::Cache<Origin>>();
    send_sync_clone::<CacheHandle>();
    send::<cache_layer::ResponseBody<ScriptBody>>();
    send::<ResponseFuture<std::future::Ready<()>, ScriptBody, BoxError>>();
    fn body<B: Body>() {}
    body::<cache_layer::ResponseBody<ScriptBody>>();
    body::<cache_layer::RequestBody<ScriptBody>>();
}
