//! What tower asks of a service: readiness, cancellation, types.

use crate::support::*;
use cache_layer::{CacheHandle, ResponseFuture};
use http_body::Body;
use http_body_util::BodyExt;
use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::advance;
use tower::limit::ConcurrencyLimit;
use tower::{BoxError, Layer, Service, ServiceExt};

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
    respond.send(answer(&[FRESH], "x")).ok().unwrap();
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
