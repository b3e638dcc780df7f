//! Over `tower::limit::ConcurrencyLimit(1)`: a layer that called a clone, or stranded a readiness
//! it had been given, would panic or stand still here.

use crate::support::{hello, request, send};
use http::StatusCode;
use ratelimit_layer::{ConcurrencyLimitLayer, Quota, RateLimitLayer};
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn services_are_called_as_they_were_polled() {
    let inner = || ConcurrencyLimit::new(service_fn(hello), 1);
    let mut rate = RateLimitLayer::new(Quota::per_hour(5)).layer(inner());
    let mut concurrency = ConcurrencyLimitLayer::new(5).layer(inner());
    for round in 0..10 {
        let expected = if round < 5 {
            StatusCode::OK
        } else {
            StatusCode::TOO_MANY_REQUESTS
        };
        let response = timeout(Duration::from_secs(1), send(&mut rate, request(1)))
            .await
            .unwrap();
        assert_eq!(response.status(), expected);
        let response = timeout(Duration::from_secs(1), send(&mut concurrency, request(1)))
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_is_that_of_the_service_below() {
    let inner = ConcurrencyLimit::new(service_fn(hello), 1);
    let mut one =
        ConcurrencyLimitLayer::new(5).layer(RateLimitLayer::new(Quota::per_hour(5)).layer(inner));
    let mut two = one.clone();
    let first = one.ready().await.unwrap().call(request(1));
    let mut ready = std::pin::pin!(two.ready());
    assert!(matches!(futures_poll(ready.as_mut()).await, Poll::Pending));
    // The permit below is back when the first future is gone; the waiter is woken.
    drop(first);
    timeout(Duration::from_secs(1), ready)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_gives_back_no_readiness_it_was_given() {
    let inner = ConcurrencyLimit::new(service_fn(hello), 1);
    let mut service = RateLimitLayer::new(Quota::per_hour(1)).layer(inner);
    send(&mut service, request(1)).await;
    // Refused over and over: what the service below had reserved stays for the next call.
    for _ in 0..3 {
        assert_eq!(
            send(&mut service, request(1)).await.status(),
            StatusCode::TOO_MANY_REQUESTS
        );
    }
    let response = timeout(Duration::from_secs(1), send(&mut service, request(2)))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

async fn futures_poll<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut future).poll(cx))).await
}
