//! How a body's bytes move from promised to counted, and what is given back.

mod support;

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use http_body_util::BodyExt;
use memguard_layer::RequestBody;
use support::{Upload, at_once, collect, echo, guard, poll_once, request, upload};
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceExt, service_fn};

const KIB: u64 = 1024;

#[tokio::test]
async fn a_body_of_known_length_moves_from_promised_to_counted() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(100);
    let (feed, body) = upload(Some(200));
    let mut body = layer
        .layer(echo())
        .oneshot(request(body))
        .await
        .unwrap()
        .into_body();
    assert_eq!(handle.reserved(), 400, "twice its length");

    feed.data(50);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(
        handle.reserved(),
        350,
        "the frame is in the heap; one copy of it and the rest are to come"
    );
    drop(frame);
    assert_eq!(handle.reserved(), 300, "nobody can copy it any more");

    feed.data(150);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(handle.reserved(), 150, "all has arrived");
    let slice = frame.into_data().unwrap().slice(..1);
    drop(body);
    assert_eq!(
        handle.reserved(),
        150,
        "a slice keeps the whole frame alive"
    );
    drop(slice);
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_body_of_unknown_length_grows_frame_by_frame() {
    let (layer, _heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload(None);
    let mut body = layer
        .layer(echo())
        .oneshot(request(body))
        .await
        .unwrap()
        .into_body();
    assert_eq!(
        handle.reserved(),
        64 * KIB,
        "what the connection may read ahead"
    );
    feed.data(100 * 1024);
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(handle.reserved(), 164 * KIB);
    feed.data(1024);
    let second = body.frame().await.unwrap().unwrap();
    assert_eq!(handle.reserved(), 165 * KIB);
    drop(first);
    assert_eq!(handle.reserved(), 65 * KIB);
    drop(feed);
    assert!(body.frame().await.is_none());
    assert_eq!(handle.reserved(), KIB, "it has ended, one frame is alive");
    drop(second);
    assert_eq!(handle.reserved(), 0);
}

/// A handler that waits with the whole body, joined; and one whose response is its body, which waits for nothing.
#[tokio::test]
async fn what_is_made_of_a_whole_body_stays_promised_until_the_response_is_ready() {
    let (layer, _heap) = guard(1000 * KIB);
    let layer = layer.body_factor(5);
    let handle = layer.handle();
    for length in [Some(100 * KIB), None] {
        let parsed = Arc::new(Notify::new());
        let waits = Arc::clone(&parsed);
        let mut service = layer.layer(service_fn(move |request: Request<RequestBody<Upload>>| {
            let waits = Arc::clone(&waits);
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                waits.notified().await;
                Ok::<_, Infallible>(Response::new(body.len().to_string()))
            }
        }));
        let (feed, body) = upload(length);
        let mut response = Box::pin(service.call(request(body)));
        // Two, since a single frame would not be copied.
        feed.data(50 * 1024);
        feed.data(50 * 1024);
        drop(feed);
        assert!(poll_once(response.as_mut()).is_pending());
        assert_eq!(handle.reserved(), 300 * KIB, "all but the joined copy");
        parsed.notify_one();
        assert!(poll_once(response.as_mut()).is_ready());
        assert_eq!(handle.reserved(), 0);

        let (feed, body) = upload(length);
        let mut body = at_once(layer.layer(echo()).oneshot(request(body)))
            .unwrap()
            .into_body();
        feed.data(50 * 1024);
        let frame = body.frame().await;
        drop(feed);
        assert_eq!(
            handle.reserved(),
            50 * KIB + length.map_or(64 * KIB, |_| 250 * KIB),
            "a copy, and what is to come"
        );
        drop(frame);
    }
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_streaming_handler_may_pass_more_than_the_budget() {
    let (layer, _heap) = guard(256 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload(None);
    let mut body = layer
        .layer(echo())
        .oneshot(request(body))
        .await
        .unwrap()
        .into_body();
    for _ in 0..100 {
        feed.data(64 * 1024);
        body.frame().await.unwrap().unwrap();
    }
    drop(feed);
    assert!(body.frame().await.is_none());
    assert_eq!((handle.reserved(), handle.rejected()), (0, 0));
}

#[tokio::test]
async fn more_than_the_declared_length_must_be_reserved_like_any_frame() {
    let (layer, _heap) = guard(1000);
    let handle = layer.handle();
    let (feed, body) = upload(None);
    let mut long = request(body);
    long.headers_mut().insert("content-length", 10.into());
    let mut body = layer.layer(echo()).oneshot(long).await.unwrap().into_body();
    assert_eq!(handle.reserved(), 20);
    feed.data(600);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(handle.reserved(), 600, "its copy");
    feed.data(600);
    assert!(body.frame().await.unwrap().is_err());
    drop((frame, body));
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_body_that_ends_early_or_fails_gives_the_rest_back() {
    let (layer, _heap) = guard(1000);
    let handle = layer.handle();
    let mut service = layer.layer(collect());
    for fails in [false, true] {
        let (feed, body) = upload(Some(300));
        let response = service.call(request(body));
        assert_eq!(handle.reserved(), 600);
        feed.data(10);
        if fails {
            feed.fail();
        }
        drop(feed);
        let response = response.await.unwrap();
        assert_eq!(response.status().as_u16(), if fails { 400 } else { 200 });
        assert_eq!((handle.reserved(), handle.rejected()), (0, 0));
    }
}

#[tokio::test]
async fn a_dropped_future_gives_back_what_it_held() {
    let (layer, _heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let mut service = layer.layer(collect());
    for length in [None, Some(200 * KIB)] {
        let (feed, body) = upload(length);
        let mut response = Box::pin(service.call(request(body)));
        assert!(handle.reserved() > 0, "before the first poll");
        assert!(poll_once(response.as_mut()).is_pending());
        feed.data(50 * 1024);
        assert!(poll_once(response.as_mut()).is_pending());
        assert!(handle.reserved() > 0);
        drop(response);
        assert_eq!(handle.reserved(), 0);
    }
}

#[tokio::test]
async fn the_last_frame_ends_the_promise_for_more() {
    let (layer, _heap) = guard(1000);
    let handle = layer.handle();
    let (feed, body) = upload(Some(10));
    let mut overstated = request(body);
    overstated
        .headers_mut()
        .insert("content-length", 100.into());
    let mut body = layer
        .layer(echo())
        .oneshot(overstated)
        .await
        .unwrap()
        .into_body();
    assert_eq!(handle.reserved(), 200, "what its head says");
    feed.data(10);
    let frame = body.frame().await.unwrap().unwrap();
    assert!(http_body::Body::is_end_stream(&body));
    assert_eq!(handle.reserved(), 10, "nothing more will come");
    drop((frame, body));
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn each_route_may_have_its_own_factor() {
    let (layer, _heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let mut service = layer
        .body_factor_by(|head| head.uri.path()[1..].parse().unwrap())
        .layer(echo());
    for (factor, reserved) in [(1, 10), (2, 20), (5, 50)] {
        let (_feed, body) = upload(Some(10));
        let request = Request::post(format!("/{factor}")).body(body).unwrap();
        let _response = service.call(request).await.unwrap();
        assert_eq!(handle.reserved(), reserved);
    }
    // Handed on frame by frame: it may be larger than the budget.
    let (feed, body) = upload(Some(10_000 * KIB));
    let request = Request::post("/0").body(body).unwrap();
    let mut body = service.call(request).await.unwrap().into_body();
    assert_eq!(handle.reserved(), 64 * KIB);
    feed.data(500 * KIB as usize);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(
        handle.reserved(),
        64 * KIB,
        "what is in the heap is counted there"
    );
    drop((frame, body));
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_frame_that_needs_nothing_more_passes_whatever_is_promised() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload(None);
    let mut service = layer.body_factor(1).layer(echo());
    let mut body = service.call(request(body)).await.unwrap().into_body();
    let all = handle.reserve(936 * KIB).unwrap();
    for (used, passes) in [
        (500 * KIB, true),
        (1000 * KIB, true),
        (1000 * KIB + 1, false),
    ] {
        heap.set(used);
        feed.data(1024);
        assert_eq!(body.frame().await.unwrap().is_ok(), passes, "{used}");
    }
    drop(all);
}
