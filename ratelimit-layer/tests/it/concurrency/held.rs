//! Permits are held to the end of a body and come back however a request ends.

use super::{by_hand, in_flight, poll_once, streaming};
use crate::support::{hello, request, send, text};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Empty, Full};
use ratelimit_layer::{ConcurrencyLimitLayer, Hold};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use tower::{Layer, Service, ServiceExt, service_fn};

#[tokio::test]
async fn a_permit_is_held_to_the_end_of_the_body() {
    let (inner, mut answers) = by_hand();
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let mut service = layer.layer(inner);
    let future = service.ready().await.unwrap().call(request(1));
    assert_eq!(in_flight(&handle), (1, 1));
    let (mut sender, response) = streaming();
    answers.recv().await.unwrap().send(Ok(response)).unwrap();
    let mut response = future.await.unwrap();
    // The head is there, the body is not.
    assert_eq!(in_flight(&handle), (1, 1));
    let refused = service
        .ready()
        .await
        .unwrap()
        .call(request(1))
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    sender.send_data(Bytes::from("half")).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(in_flight(&handle), (1, 1));
    drop(sender);
    assert!(response.body_mut().frame().await.is_none());
    // Over, though the body is still held.
    assert_eq!(in_flight(&handle), (0, 0));
    drop((response, refused));
    assert_eq!(in_flight(&handle), (0, 0));
    assert_eq!((handle.stats().admitted, handle.stats().refused), (1, 1));
}

#[tokio::test]
async fn a_last_frame_or_an_error_is_an_end_too() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    // `Full` says after its only frame that this was all; nobody needs to ask again.
    let mut full = layer.layer(service_fn(hello));
    let mut response = send(&mut full, request(1)).await;
    assert_eq!(in_flight(&handle), (1, 1));
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(in_flight(&handle), (0, 0));

    let (sender, response) = streaming();
    let (inner, mut answers) = by_hand();
    let future = layer.layer(inner).oneshot(request(1));
    let (response, ()) = tokio::join!(future, async {
        answers.recv().await.unwrap().send(Ok(response)).unwrap();
    });
    let mut response = response.unwrap();
    sender.abort("broken");
    assert_eq!(
        response.body_mut().frame().await.unwrap().unwrap_err(),
        "broken"
    );
    assert_eq!(in_flight(&handle), (0, 0));
}

#[tokio::test]
async fn trailers_pass_and_end() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let (mut sender, response) = streaming();
    let (inner, mut answers) = by_hand();
    let future = layer.layer(inner).oneshot(request(1));
    let (response, ()) = tokio::join!(future, async {
        answers.recv().await.unwrap().send(Ok(response)).unwrap();
    });
    let trailers = http::HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
    sender
        .send(Frame::trailers(trailers.clone()))
        .await
        .unwrap();
    drop(sender);
    let body = response.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers(), Some(&trailers));
    assert_eq!(in_flight(&handle), (0, 0));
}

#[tokio::test]
async fn an_empty_body_gives_the_permit_back_with_the_head() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let inner = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let response = send(&mut layer.layer(inner), request(1)).await;
    assert_eq!(in_flight(&handle), (0, 0));
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn hold_until_the_head() {
    let layer = ConcurrencyLimitLayer::new(1).hold_until(Hold::Head);
    let handle = layer.handle();
    let response = send(&mut layer.layer(service_fn(hello)), request(1)).await;
    assert_eq!(in_flight(&handle), (0, 0));
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn dropped_at_any_point_nothing_leaks() {
    let (inner, mut answers) = by_hand();
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let mut service = layer.layer(inner);
    // Before the first poll.
    drop(service.ready().await.unwrap().call(request(1)));
    assert_eq!(in_flight(&handle), (0, 0));
    // After it.
    let mut future = Box::pin(service.ready().await.unwrap().call(request(1)));
    assert!(poll_once(future.as_mut()).is_pending());
    drop(future);
    assert_eq!(in_flight(&handle), (0, 0));
    answers.close();
    while answers.recv().await.is_some() {}

    let (inner, mut answers) = by_hand();
    let mut service = layer.layer(inner);
    for frames in 0..2 {
        // After the head, and after half of the body.
        let future = service.ready().await.unwrap().call(request(1));
        let (mut sender, response) = streaming();
        answers.recv().await.unwrap().send(Ok(response)).unwrap();
        let mut response = future.await.unwrap();
        for _ in 0..frames {
            sender.send_data(Bytes::from("half")).await.unwrap();
            response.body_mut().frame().await.unwrap().unwrap();
        }
        assert_eq!(in_flight(&handle), (1, 1));
        drop(response);
        assert_eq!(in_flight(&handle), (0, 0));
    }
}

#[tokio::test]
async fn errors_and_panics_leak_nothing() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let error = service_fn(async |_: Request<()>| Err::<Response<Full<Bytes>>, _>("broken"));
    let mut future = Box::pin(layer.layer(error).call(request(1)));
    let Poll::Ready(result) = poll_once(future.as_mut()) else {
        panic!("the service answers at once")
    };
    assert_eq!(result.unwrap_err(), "broken");
    // Back with the error, though the future is still held.
    assert_eq!(in_flight(&handle), (0, 0));

    let in_call = service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Full<Bytes>>, Infallible>> {
            panic!("in call")
        },
    );
    let mut service = layer.layer(in_call);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(service.call(request(1))))).is_err());
    assert_eq!(in_flight(&handle), (0, 0));

    let in_poll = service_fn(
        async |_: Request<()>| -> Result<Response<Full<Bytes>>, Infallible> { panic!("in poll") },
    );
    let future = layer.layer(in_poll).call(request(1));
    let joined = tokio::spawn(future).await;
    assert!(joined.is_err_and(|error| error.is_panic()));
    assert_eq!(in_flight(&handle), (0, 0));
}
