//! What is promised for responses: for the handler while it works, for a body while it is being made, and nothing for what
//! is there.

mod support;

use std::{convert::Infallible, pin::pin, sync::Mutex, task::Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use memguard_layer::{MemGuardLayer, Overloaded, OverloadedKind};
use support::{Feed, get, guard, poll_once, request, upload};
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};

const KIB: u64 = 1024;

/// The response of a service that answers with `body`, made by hand.
async fn response<B: Body<Data = Bytes> + Send>(
    layer: &MemGuardLayer,
    body: B,
) -> impl Body<Data = Bytes, Error = B::Error> {
    let body = Mutex::new(Some(body));
    let service = service_fn(|_: Request<_>| {
        let body = body.lock().unwrap().take().unwrap();
        async { Ok::<_, Infallible>(Response::new(body)) }
    });
    layer
        .layer(service)
        .oneshot(get())
        .await
        .unwrap()
        .into_body()
}

/// Asks for a frame that is not there yet.
fn ask(body: &mut (impl Body<Data = Bytes, Error: std::fmt::Debug> + Unpin)) {
    assert!(poll_once(pin!(body.frame())).is_pending());
}

fn take(body: &mut (impl Body<Data = Bytes, Error: std::fmt::Debug> + Unpin)) -> Frame<Bytes> {
    match poll_once(pin!(body.frame())) {
        Poll::Ready(Some(Ok(frame))) => frame,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_in_the_heap_is_not_promised_as_well() {
    let (layer, _heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let mut body = pin!(response(&layer, Full::from(vec![0; 500_000])).await);
    assert_eq!(handle.reserved(), 0);
    let frame = take(&mut body);
    assert_eq!(
        (frame.data_ref().unwrap().len(), handle.reserved()),
        (500_000, 0)
    );
}

#[tokio::test]
async fn what_a_body_waits_for_is_promised_until_it_has_come() {
    let (layer, _heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload(Some(100 * KIB));
    let mut body = pin!(response(&layer, body).await);
    feed.data(20 * 1024);
    take(&mut body);
    assert_eq!(handle.reserved(), 0, "it has not had to wait");
    for (arrives, waits_for, left) in [(10, 64, 64), (30, 64, 40), (30, 40, 10)] {
        ask(&mut body);
        assert_eq!(handle.reserved(), waits_for * KIB);
        feed.data(arrives * 1024);
        take(&mut body);
        assert_eq!(handle.reserved(), left * KIB, "no more can come");
    }
    feed.data(10 * 1024);
    take(&mut body);
    assert_eq!(handle.reserved(), 0);
    drop(feed);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_body_of_unknown_length_is_promised_64_kib_until_it_ends() {
    for ends in [drop::<Feed> as fn(Feed), |feed| feed.fail()] {
        let (layer, _heap) = guard(1000 * KIB);
        let handle = layer.handle();
        let (feed, body) = upload(None);
        let mut body = pin!(response(&layer, body).await);
        ask(&mut body);
        assert_eq!(handle.reserved(), 64 * KIB);
        feed.data(500);
        take(&mut body);
        assert_eq!(
            handle.reserved(),
            64 * KIB,
            "a slow reader may come back for more"
        );
        ends(feed);
        assert!(body.frame().await.is_none_or(|frame| frame.is_err()));
        assert_eq!(handle.reserved(), 0);
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_gives_back_what_it_was_promised() {
    let (layer, _heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let (_feed, body) = upload(None);
    let mut body = Box::pin(response(&layer, body).await);
    ask(&mut body);
    assert_eq!(handle.reserved(), 64 * KIB);
    drop(body);
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_response_is_never_refused_but_leaves_less_room_to_others() {
    let (layer, heap) = guard(100 * KIB);
    let handle = layer.handle();
    heap.set(60 * KIB);
    let (_feed, body) = upload(None);
    let mut body = pin!(response(&layer, body).await);
    ask(&mut body);
    assert_eq!(handle.reserved(), 64 * KIB, "more than there was");
    assert!(handle.reserve(1).is_none());
}

#[tokio::test]
async fn exempt_responses_are_not_metered() {
    let (layer, _heap) = guard(100 * KIB);
    let layer = layer.exempt(|_| true).handler_bytes(|_| 10 * KIB);
    let handle = layer.handle();
    let (_feed, body) = upload(None);
    let mut body = pin!(response(&layer, body).await);
    ask(&mut body);
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn what_handlers_allocate_is_promised_until_the_head_is_ready() {
    let (layer, heap) = guard(1000);
    let layer = layer.handler_bytes(|head| match head.uri.path() {
        "/report" => 400,
        "/never" => 2000,
        _ => 0,
    });
    let handle = layer.handle();
    let (answer, answered) = oneshot::channel::<()>();
    let answered = Mutex::new(Some(answered));
    let mut service = layer.layer(service_fn(|request: Request<_>| {
        let answered = answered.lock().unwrap().take();
        async {
            let _request = request;
            if let Some(answered) = answered {
                let _ = answered.await;
            }
            Ok::<_, Infallible>(Response::new(Full::from("made")))
        }
    }));
    let report = |path| Request::get(path).body(upload(Some(0)).1).unwrap();
    let mut first = pin!(service.call(report("/report")));
    assert_eq!(handle.reserved(), 400, "before it is polled");
    assert!(poll_once(first.as_mut()).is_pending());
    heap.set(300);
    let second = service.call(report("/report")).await.unwrap();
    let why = second.extensions().get::<Overloaded>().unwrap();
    assert_eq!(
        (second.status(), why.wanted()),
        (StatusCode::SERVICE_UNAVAILABLE, 400)
    );
    let other = service.call(report("/other")).await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);

    heap.set(700);
    drop(answer);
    let first = first.await.unwrap();
    assert_eq!(handle.reserved(), 0, "what it made is in the heap");
    assert_eq!(
        first.into_body().collect().await.unwrap().to_bytes(),
        "made"
    );

    heap.set(0);
    let (_feed, body) = upload(Some(100));
    let mut both = request(body);
    *both.uri_mut() = "/report".parse().unwrap();
    let both = service.call(both);
    assert_eq!(
        handle.reserved(),
        600,
        "twice its length, and what the handler makes of it"
    );
    drop(both);
    assert_eq!(handle.reserved(), 0);

    let never = service.call(report("/never")).await.unwrap();
    let why = never.extensions().get::<Overloaded>().unwrap();
    assert_eq!(
        why.kind(),
        OverloadedKind::NoRoom,
        "it is not the request that is too large"
    );
}
