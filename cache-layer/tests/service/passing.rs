//! Bodies too large to keep, or for which there is no room.

use crate::support::*;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

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
    respond.send(head(&[FRESH], body)).ok().unwrap();
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
        let script = answered(&mut origin, &[FRESH]).await;
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
    respond.send(head(&[FRESH], body)).ok().unwrap();
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
    let script = answered(&mut origin, &[FRESH]).await;
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
    let script = answered(&mut origin, &[FRESH]).await;
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
    let script = answered(&mut origin, &[FRESH, ("content-length", "1001")]).await;
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
