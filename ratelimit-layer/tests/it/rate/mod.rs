//! `RateLimitLayer`: who is refused when, and what the answers say.

mod answers;
#[cfg(feature = "tracing")]
mod events;
mod handle;
mod limiter;
mod policies;
mod waiting;

use crate::support::{hello, request, send, text};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use ratelimit_layer::{ClientHeader, Quota, RateLimitLayer, RateLimited, Unkeyed};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn a_burst_then_the_rate() {
    let layer = RateLimitLayer::new(Quota::per_second(10).burst(20));
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let mut allowed = 0;
    // 10 seconds in steps of 5 ms.
    for _ in 0..2_000 {
        allowed += u64::from(send(&mut service, request(1)).await.status() == StatusCode::OK);
        advance(Duration::from_millis(5)).await;
    }
    // The last step is at 9.995 s, before the hundredth unit.
    assert_eq!(allowed, 20 + 99);
    assert_eq!(
        (handle.stats().allowed, handle.stats().refused),
        (allowed, 2_000 - allowed)
    );
}

#[tokio::test(start_paused = true)]
async fn clients_do_not_share() {
    let layer = RateLimitLayer::new(Quota::per_hour(3));
    let mut service = layer.layer(service_fn(hello));
    for round in 0..5 {
        for client in 0..=255 {
            let expected = if round < 3 {
                StatusCode::OK
            } else {
                StatusCode::TOO_MANY_REQUESTS
            };
            assert_eq!(send(&mut service, request(client)).await.status(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn clones_share() {
    let layer = RateLimitLayer::new(Quota::per_hour(2));
    let mut one = layer.layer(service_fn(hello));
    let mut two = one.clone();
    let mut three = layer.clone().layer(service_fn(hello));
    assert_eq!(send(&mut one, request(1)).await.status(), StatusCode::OK);
    assert_eq!(send(&mut two, request(1)).await.status(), StatusCode::OK);
    assert_eq!(
        send(&mut three, request(1)).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test(start_paused = true)]
async fn exempt_requests_are_never_limited() {
    let layer =
        RateLimitLayer::new(Quota::per_minute(1)).exempt(|head| head.uri.path() == "/healthz");
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    for _ in 0..10 {
        let mut probe = request(1);
        *probe.uri_mut() = "/healthz".parse().unwrap();
        let response = send(&mut service, probe).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("ratelimit"));
    }
    assert_eq!((handle.stats().exempt, handle.stats().allowed), (10, 0));
    assert_eq!(
        send(&mut service, request(1)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_key_clients_share_or_are_refused_or_allowed() {
    let unkeyed = || Request::new(());
    for (mode, statuses) in [
        (Unkeyed::Shared, [200, 429]),
        (Unkeyed::Refuse, [429, 429]),
        (Unkeyed::Allow, [200, 200]),
    ] {
        let layer = RateLimitLayer::new(Quota::per_minute(1)).when_unkeyed(mode);
        let handle = layer.handle();
        let mut service = layer.layer(service_fn(hello));
        for status in statuses {
            let response = send(&mut service, unkeyed()).await;
            assert_eq!(response.status(), status, "{mode:?}");
            if mode == Unkeyed::Refuse {
                assert!(
                    response
                        .extensions()
                        .get::<RateLimited>()
                        .unwrap()
                        .is_unkeyed()
                );
                assert_eq!(response.headers()["retry-after"], "60");
                assert!(text(response).await.contains("does not say which client"));
            }
        }
        assert_eq!(handle.stats().unkeyed, 2);
        // Who has a key is not concerned.
        assert_eq!(
            send(&mut service, request(1)).await.status(),
            StatusCode::OK
        );
    }
    let mut default = RateLimitLayer::new(Quota::per_minute(1)).layer(service_fn(hello));
    send(&mut default, unkeyed()).await;
    assert_eq!(
        send(&mut default, unkeyed()).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test(start_paused = true)]
async fn keys_come_from_headers_and_closures() {
    let name = HeaderName::from_static("x-api-key");
    let with_key = |key: &'static str| {
        let mut request = request(1);
        request
            .headers_mut()
            .insert("x-api-key", HeaderValue::from_static(key));
        request
    };
    let mut by_header = RateLimitLayer::new(Quota::per_minute(1))
        .with_key(ClientHeader::new(name))
        .layer(service_fn(hello));
    let mut by_closure = RateLimitLayer::new(Quota::per_minute(1))
        .key_by(|head| {
            head.headers
                .get("x-api-key")
                .map(|key| key.as_bytes().len())
        })
        .layer(service_fn(hello));
    assert_eq!(
        send(&mut by_header, with_key("a")).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        send(&mut by_header, with_key("b")).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        send(&mut by_header, with_key("b")).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        send(&mut by_closure, with_key("a")).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        send(&mut by_closure, with_key("bb")).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        send(&mut by_closure, with_key("c")).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_is_asked_for_its_key_once_whatever_comes_of_it() {
    for fields in [true, false] {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let mut service = RateLimitLayer::new(Quota::per_hour(2))
            .key_by(move |head| {
                counter.fetch_add(1, SeqCst);
                head.headers.get("x-api-key").map(|key| key.len())
            })
            .when_unkeyed(Unkeyed::Refuse)
            .fields(fields)
            .layer(service_fn(hello));
        // A newcomer, a client that is known, one that is refused, and nobody.
        for (number, (key, status)) in [("a", 200), ("a", 200), ("a", 429), ("", 429)]
            .into_iter()
            .enumerate()
        {
            let mut request = Request::new(());
            if !key.is_empty() {
                let key = HeaderValue::from_static(key);
                request.headers_mut().insert("x-api-key", key);
            }
            assert_eq!(send(&mut service, request).await.status(), status);
            assert_eq!(asked.load(SeqCst), number + 1, "{fields}: {status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_table_forgets_the_least_debtors_and_says_so() {
    let layer = RateLimitLayer::new(Quota::per_hour(1)).max_clients(8);
    let handle = layer.handle();
    assert_eq!(handle.stats().max_clients, 8);
    let mut service = layer.layer(service_fn(hello));
    for client in 0..16 {
        assert_eq!(
            send(&mut service, request(client)).await.status(),
            StatusCode::OK
        );
    }
    assert_eq!(handle.stats().evicted_in_debt, 8);
}

#[tokio::test]
async fn errors_of_the_service_stay_what_they_are() {
    let inner = service_fn(async |_: Request<()>| Err::<Response<Full<bytes::Bytes>>, _>("broken"));
    let service = RateLimitLayer::new(Quota::per_second(1)).layer(inner);
    assert_eq!(service.oneshot(request(1)).await.unwrap_err(), "broken");
}

#[test]
#[should_panic(expected = "a policy name of \"é\" cannot be used")]
fn a_name_beyond_ascii_panics() {
    let _ = RateLimitLayer::new(Quota::per_second(1)).policy_name("é");
}

#[test]
#[should_panic(expected = "a retry jitter of 3601s cannot be used: allowed is up to an hour")]
fn a_jitter_of_more_than_an_hour_panics() {
    let _ = RateLimitLayer::new(Quota::per_second(1)).retry_jitter(Duration::from_secs(3_601));
}

#[test]
#[should_panic(expected = "a table for 0 clients cannot be used")]
fn a_table_of_nothing_panics() {
    let _ = RateLimitLayer::new(Quota::per_second(1)).max_clients(0);
}

/// What servers ask of a layer and its service.
#[test]
fn types_fit_servers() {
    fn fits<L, S>(layer: L)
    where
        L: Layer<
                tower::util::BoxCloneService<Request<()>, Response<Full<bytes::Bytes>>, Infallible>,
                Service = S,
            > + Clone
            + Send
            + Sync
            + std::fmt::Debug
            + 'static,
        S: Service<Request<()>, Future: Send> + Clone + Send + 'static,
    {
        drop(layer);
    }
    fits(RateLimitLayer::new(Quota::per_second(1)));
    fits(RateLimitLayer::new(Quota::per_second(1)).key_by(|_| Some(1)));
    fits(ratelimit_layer::ConcurrencyLimitLayer::new(1));
}
