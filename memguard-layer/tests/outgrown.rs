//! A body that outgrows the room: it ends, and the guard's answer is the one that counts.

mod support;

use std::{convert::Infallible, pin::pin};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use memguard_layer::{Overloaded, RequestBody};
use support::{collect, echo, guard, poll_once, request, upload};
use tower::{Layer, Service, ServiceExt, service_fn};

const KIB: u64 = 1024;

#[tokio::test]
async fn a_growth_that_does_not_fit_ends_the_body_and_replaces_the_answer() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let mut service = layer.layer(collect());
    let (feed, body) = upload(None);
    let mut response = pin!(service.call(request(body)));
    feed.data(100 * 1024);
    assert!(poll_once(response.as_mut()).is_pending());
    assert_eq!(handle.reserved(), 164 * KIB);
    heap.set(900 * KIB);
    feed.data(1024);
    let response = response.await.unwrap();
    assert_eq!(
        response.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "and not the handler's 400"
    );
    assert_eq!(
        (
            handle.reserved(),
            handle.rejected(),
            handle.stats().bodies_ended
        ),
        (0, 1, 1)
    );
}

#[tokio::test]
async fn a_handler_that_swallows_the_error_is_overruled() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(|request: Request<RequestBody<_>>| async {
        let error = request
            .into_body()
            .collect()
            .await
            .expect_err("the guard ended it");
        assert!(error.is::<Overloaded>(), "{error}");
        Ok::<_, Infallible>(Response::new("fine".to_owned()))
    }));
    let (feed, body) = upload(None);
    let response = service.call(request(body));
    heap.set(1000 * KIB);
    feed.data(1);
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((handle.reserved(), handle.rejected()), (0, 1));
}

#[tokio::test]
async fn a_service_that_fails_on_the_error_is_overruled_too() {
    let (layer, heap) = guard(1000 * KIB);
    let mut service = layer.layer(service_fn(|request: Request<RequestBody<_>>| async {
        let body = request.into_body().collect().await?;
        Ok::<_, support::BoxError>(Response::new(Full::new(body.to_bytes())))
    }));
    let (feed, body) = upload(None);
    let response = service.call(request(body));
    heap.set(1000 * KIB);
    feed.data(1);
    assert_eq!(
        response.await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn an_ended_body_stays_ended() {
    let (layer, heap) = guard(1000 * KIB);
    let (feed, body) = upload(None);
    let mut body = layer
        .layer(echo())
        .oneshot(request(body))
        .await
        .unwrap()
        .into_body();
    heap.set(1000 * KIB);
    feed.data(1);
    feed.data(1);
    assert!(body.frame().await.unwrap().is_err());
    assert!(http_body::Body::is_end_stream(&body));
    heap.set(0);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_admitted_body_is_ended_only_when_the_heap_alone_is_over_the_budget() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let mut service = layer.layer(echo());
    let (feed, body) = upload(Some(400));
    let mut body = service.call(request(body)).await.unwrap().into_body();
    heap.set(1000);
    feed.data(10);
    assert!(
        body.frame().await.unwrap().is_ok(),
        "800 reserved and 1000 in the heap, yet it was promised"
    );
    heap.set(1001);
    feed.data(10);
    assert!(body.frame().await.unwrap().is_err());
    drop(body);
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_body_of_unknown_length_that_fills_the_budget_alone_is_too_large() {
    let (layer, _heap) = guard(256 * KIB);
    let mut service = layer.layer(collect());
    let (feed, body) = upload(None);
    let response = service.call(request(body));
    for _ in 0..100 {
        feed.data(16 * 1024);
    }
    assert_eq!(
        response.await.unwrap().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}
