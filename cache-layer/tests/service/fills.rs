//! One request to the origin, many readers.

use crate::support::*;
use cache_layer::CacheHandle;
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn a_miss_streams_while_it_fills() {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let script = answered(&mut origin, &[FRESH]).await;
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
    respond.send(answer(&[FRESH], "hello")).ok().unwrap();
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
            respond.send(head(&[FRESH], body)).ok().unwrap();
            let response = leader.await.unwrap().unwrap();
            script.data("one");
            drop(response);
        } else {
            leader.abort();
            settle().await;
            respond.send(head(&[FRESH], body)).ok().unwrap();
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
    respond.send(answer(&[FRESH], "fast")).ok().unwrap();
    assert_eq!(read(impatient.await.unwrap().unwrap()).await.text(), "fast");
    held.send(answer(&[FRESH], "slow")).ok().unwrap();
    assert_eq!(read(slow.await.unwrap().unwrap()).await.text(), "slow");
}

#[tokio::test(start_paused = true)]
async fn a_purge_wins_over_a_fill_that_began_before_it() {
    let purge = |handle: &CacheHandle| assert!(handle.purge(&"http://a/x".parse().unwrap()));
    for act in [purge, CacheHandle::clear] {
        let (mut origin, service) = manual();
        let layer = layer();
        let cache = layer.layer(service);
        let old = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let script = answered(&mut origin, &[FRESH]).await;
        script.data("old");
        settle().await;
        act(&layer.handle());

        // Who comes after the purge joins no fill from before it.
        let new = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let (_, respond) = origin.recv().await.unwrap();
        respond.send(answer(&[FRESH], "new")).ok().unwrap();
        assert_eq!(read(new.await.unwrap().unwrap()).await.text(), "new");
        drop(script);
        assert_eq!(read(old.await.unwrap().unwrap()).await.text(), "old");
        settle().await;
        let hit = read(cache.oneshot(get("http://a/x")).await.unwrap()).await;
        assert_eq!((hit.text(), hit.cache()), ("new", "hit"));
    }
}
