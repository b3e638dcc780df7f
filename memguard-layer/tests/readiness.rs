//! The contract of `poll_ready` over a service with one permit: no panic, no deadlock, no permit left behind.

mod support;

use std::pin::pin;

use http::{Request, Response, StatusCode};
use memguard_layer::RequestBody;
use support::{Upload, get, guard, poll_once, request, upload};
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn};

type Inner = Response<String>;

/// A service with one permit, whose calls the test answers; the body is dropped before the answer.
fn one_at_a_time() -> (
    impl Service<
        Request<RequestBody<Upload>>,
        Response = Inner,
        Error = std::convert::Infallible,
        Future: Send,
    > + Clone,
    mpsc::UnboundedReceiver<tokio::sync::oneshot::Sender<()>>,
) {
    let (calls, answers) = mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<RequestBody<Upload>>| {
        let (answer, answered) = tokio::sync::oneshot::channel();
        calls.send(answer).unwrap();
        async {
            let _ = answered.await;
            Ok(Response::new(String::new()))
        }
    });
    (ConcurrencyLimit::new(service, 1), answers)
}

#[tokio::test]
async fn readiness_is_the_services_own() {
    let (layer, _heap) = guard(1000);
    let (inner, mut answers) = one_at_a_time();
    let mut service = layer.layer(inner);
    let first = service.ready().await.unwrap().call(get());
    let mut other = service.clone();
    assert!(
        poll_once(pin!(other.ready())).is_pending(),
        "the permit is taken"
    );
    let mut first = Box::pin(first);
    assert!(poll_once(first.as_mut()).is_pending());
    answers.recv().await.unwrap().send(()).unwrap();
    assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    for _ in 0..3 {
        let response = other.ready().await.unwrap().call(get());
        drop(answers.recv().await.unwrap());
        response.await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_permit_for_the_next() {
    let (layer, heap) = guard(1000);
    let (inner, mut answers) = one_at_a_time();
    let mut service = layer.layer(inner);
    heap.set(1000);
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(get()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    heap.set(0);
    let response = service.ready().await.unwrap().call(get());
    drop(answers.recv().await.unwrap());
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_room_takes_the_ready_service_along() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let cache = heap.clone();
    let (inner, mut answers) = one_at_a_time();
    let mut service = layer
        .reclaim_with(move |bytes| cache.free(bytes, 0))
        .layer(inner);
    heap.set(900);
    let (_feed, body) = upload(Some(100));
    let mut waiting = Box::pin(service.ready().await.unwrap().call(request(body)));
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert!(
        poll_once(pin!(service.ready())).is_pending(),
        "the permit waits with the request"
    );
    let (response, ()) = tokio::join!(waiting, async {
        drop(answers.recv().await.unwrap());
    });
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert_eq!(
        (handle.reserved(), heap.get()),
        (0, 750),
        "caches made the room"
    );
    let response = service.ready().await.unwrap().call(get());
    drop(answers.recv().await.unwrap());
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_or_refused_gives_the_permit_back() {
    let (layer, heap) = guard(1000);
    let (inner, mut answers) = one_at_a_time();
    let (gate, closed) = std::sync::mpsc::channel::<()>();
    let closed = std::sync::Mutex::new(closed);
    let mut service = layer
        .reclaim_with(move |_| {
            assert!(
                closed.lock().unwrap().recv().is_err(),
                "held up until the gate is dropped"
            );
            0
        })
        .layer(inner);
    heap.set(1000);
    let mut dropped = Box::pin(service.ready().await.unwrap().call(get()));
    assert!(poll_once(dropped.as_mut()).is_pending());
    drop(dropped);
    drop(gate);
    let refused = service.ready().await.unwrap().call(get()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    heap.set(0);
    let response = service.ready().await.unwrap().call(get());
    drop(answers.recv().await.unwrap());
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
}
