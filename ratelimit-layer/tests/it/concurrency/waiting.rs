//! Requests in line: in order, bounded, fair, and gone when they are dropped.

use super::{Answer, Body, by_hand, in_flight, poll_once, streaming};
use crate::support::{hello, request, send};
use http::{Request, Response, StatusCode};
use ratelimit_layer::{ConcurrencyLimitLayer, ConcurrencyLimited, ResponseBody, Scope};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, advance, timeout};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

type Future =
    Pin<Box<dyn std::future::Future<Output = Result<Response<ResponseBody<Body>>, &'static str>>>>;

/// Whether a request has got to the service: then it is answered, and holds its permit until the
/// answer is dropped.
fn answered(
    future: &mut Future,
    answers: &mut UnboundedReceiver<Answer>,
) -> Option<Response<ResponseBody<Body>>> {
    if poll_once(future.as_mut()).is_ready() {
        panic!("answered by nobody");
    }
    let (sender, response) = streaming();
    // The body never ends of its own.
    std::mem::forget(sender);
    answers.try_recv().ok()?.send(Ok(response)).unwrap();
    match poll_once(future.as_mut()) {
        Poll::Ready(response) => Some(response.unwrap()),
        Poll::Pending => panic!("the answer is there"),
    }
}

#[tokio::test(start_paused = true)]
async fn in_order_of_arrival() {
    let (inner, mut answers) = by_hand();
    let layer = ConcurrencyLimitLayer::new(1).wait(3, SECOND);
    let handle = layer.handle();
    let mut service = layer.layer(inner);
    let mut futures: Vec<Future> = (0..4)
        .map(|_| Box::pin(service.call(request(1))) as Future)
        .collect();
    let mut held = answered(&mut futures.remove(0), &mut answers);
    assert_eq!((in_flight(&handle), handle.stats().waiting), ((1, 1), 3));
    // A fourth in line is one too many, and is told so at once.
    let refused = service.call(request(1)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    while !futures.is_empty() {
        assert!(
            futures
                .iter_mut()
                .all(|future| answered(future, &mut answers).is_none())
        );
        drop(held.take());
        // The last first: only the one at the head of the line gets in.
        for late in (1..futures.len()).rev() {
            assert!(answered(&mut futures[late], &mut answers).is_none());
        }
        held = answered(&mut futures.remove(0), &mut answers);
        assert!(held.is_some());
    }
    drop(held);
    assert_eq!((in_flight(&handle), handle.stats().waiting), ((0, 0), 0));
    assert_eq!((handle.stats().admitted, handle.stats().refused), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn for_so_long_and_no_longer() {
    for (layer, status, scope) in [
        (
            ConcurrencyLimitLayer::new(1),
            StatusCode::TOO_MANY_REQUESTS,
            Scope::Client,
        ),
        (
            ConcurrencyLimitLayer::new(2).max_total(1),
            StatusCode::SERVICE_UNAVAILABLE,
            Scope::Total,
        ),
    ] {
        let layer = layer.wait(1, SECOND);
        let handle = layer.handle();
        let mut service = layer.layer(service_fn(hello));
        let held = send(&mut service, request(1)).await;
        let began = Instant::now();
        let refused = send(&mut service, request(1)).await;
        assert_eq!(began.elapsed().as_millis(), 1_000);
        assert_eq!(refused.status(), status);
        assert_eq!(
            refused
                .extensions()
                .get::<ConcurrencyLimited>()
                .unwrap()
                .scope(),
            scope
        );
        let stats = handle.stats();
        assert_eq!((stats.waiting, stats.timed_out, stats.refused), (0, 1, 1));
        drop(held);
        assert_eq!(
            send(&mut service, request(1)).await.status(),
            StatusCode::OK
        );
        assert_eq!(in_flight(&handle), (0, 0));
    }
}

/// The place came in time, though nobody looked until it was over.
#[tokio::test(start_paused = true)]
async fn who_has_its_turn_at_the_deadline_is_in() {
    let layer = ConcurrencyLimitLayer::new(1).wait(1, SECOND);
    let mut service = layer.layer(service_fn(hello));
    let held = send(&mut service, request(1)).await;
    let mut waits = Box::pin(service.call(request(1)));
    assert!(poll_once(waits.as_mut()).is_pending());
    drop(held);
    advance(2 * SECOND).await;
    assert_eq!(waits.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn dropped_in_line_or_with_a_place_just_given() {
    let layer = ConcurrencyLimitLayer::new(1).wait(2, SECOND);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let held = send(&mut service, request(1)).await;
    let (mut first, mut second, third) = (
        Box::pin(service.call(request(1))),
        Box::pin(service.call(request(1))),
        Box::pin(service.call(request(2))),
    );
    assert!(poll_once(first.as_mut()).is_pending() && poll_once(second.as_mut()).is_pending());
    drop(first);
    assert_eq!(handle.stats().waiting, 1);
    // Back in line behind the second.
    let mut fourth = Box::pin(service.call(request(1)));
    assert!(poll_once(fourth.as_mut()).is_pending());
    drop(held);
    // The second has the place, and never learns of it.
    drop(second);
    assert_eq!(fourth.await.unwrap().status(), StatusCode::OK);
    drop(third);
    assert_eq!((in_flight(&handle), handle.stats().waiting), ((0, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn all_lines_together_are_bounded() {
    let layer = ConcurrencyLimitLayer::new(1)
        .wait(2, SECOND)
        .max_waiting_total(3);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let _held = [
        send(&mut service, request(1)).await,
        send(&mut service, request(2)).await,
    ];
    let _waiting: Vec<_> = [1, 1, 2].map(|client| service.call(request(client))).into();
    for client in [1, 2] {
        let began = Instant::now();
        let refused = send(&mut service, request(client)).await;
        assert_eq!(
            (refused.status(), began.elapsed()),
            (StatusCode::TOO_MANY_REQUESTS, Duration::ZERO)
        );
    }
    // Who need not wait is not concerned.
    assert_eq!(
        send(&mut service, request(3)).await.status(),
        StatusCode::OK
    );
    assert_eq!(handle.stats().waiting, 3);
}

#[tokio::test(start_paused = true)]
async fn no_line_and_no_time_are_no_waiting() {
    for (waiting, time) in [(0, SECOND), (5, Duration::ZERO)] {
        let mut service = ConcurrencyLimitLayer::new(1)
            .wait(waiting, time)
            .layer(service_fn(hello));
        let _held = send(&mut service, request(1)).await;
        let began = Instant::now();
        let refused = send(&mut service, request(1)).await;
        assert_eq!(
            (refused.status(), began.elapsed()),
            (StatusCode::TOO_MANY_REQUESTS, Duration::ZERO)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn more_room_wakes_who_waits() {
    let layer = ConcurrencyLimitLayer::new(1)
        .wait(5, 100 * SECOND)
        .max_total(1);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let held = send(&mut service, request(1)).await;
    let (own, other) = (service.call(request(1)), service.call(request(2)));
    let (own, other) = (tokio::spawn(own), tokio::spawn(other));
    tokio::task::yield_now().await;
    handle.set_max_total(3);
    let other = timeout(SECOND, other).await.unwrap().unwrap().unwrap();
    handle.set_limit(2);
    let own = timeout(SECOND, own).await.unwrap().unwrap().unwrap();
    assert_eq!(in_flight(&handle), (3, 2));
    // Fewer: nothing is taken away, nobody comes in until enough have left.
    handle.set_max_total(1);
    drop((own, held));
    assert_eq!(in_flight(&handle), (1, 1));
    let waits = tokio::spawn(service.call(request(3)));
    tokio::task::yield_now().await;
    assert_eq!(handle.stats().waiting, 1);
    drop(other);
    assert_eq!(
        timeout(SECOND, waits)
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .status(),
        StatusCode::OK
    );
}

/// The *ready* service is called: a clone of tower's limit that was not polled would panic.
#[tokio::test(start_paused = true)]
async fn what_was_ready_is_called() {
    let inner = ConcurrencyLimit::new(service_fn(hello), 2);
    let layer = ConcurrencyLimitLayer::new(1).wait(1, SECOND);
    let mut service = layer.layer(inner);
    for _ in 0..5 {
        let held = send(&mut service, request(1)).await;
        let waits = service.ready().await.unwrap().call(request(1));
        drop(held);
        assert_eq!(
            timeout(SECOND, waits).await.unwrap().unwrap().status(),
            StatusCode::OK
        );
    }
}

/// A layer that never waits asks for no `Clone` below, and for no `Send` in what it does not keep.
#[tokio::test]
async fn at_once_asks_nothing_of_the_service() {
    struct NoClone(std::rc::Rc<()>);
    impl Service<Request<()>> for NoClone {
        type Response = Response<http_body_util::Full<bytes::Bytes>>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            assert_eq!(std::rc::Rc::strong_count(&self.0), 1);
            std::future::ready(Ok(Response::new("hello".into())))
        }
    }
    let mut service = ConcurrencyLimitLayer::new(1).layer(NoClone(std::rc::Rc::default()));
    let future = service.call(request(1));
    let response = tokio::spawn(future).await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
