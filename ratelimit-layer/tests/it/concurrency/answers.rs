//! What is refused, and what the refused are told.

use super::in_flight;
use crate::support::{grpc_request, hello, request, send, text};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use ratelimit_layer::{ConcurrencyLimitLayer, ConcurrencyLimited, Scope, Unkeyed};
use std::time::Duration;
use tower::{Layer, service_fn};

#[tokio::test]
async fn a_refusal_says_all_and_holds_nothing() {
    let layer = ConcurrencyLimitLayer::new(2).policy_name("conc");
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let held = [
        send(&mut service, request(1)).await,
        send(&mut service, request(1)).await,
    ];
    let response = send(&mut service, request(1)).await;
    assert_eq!(in_flight(&handle), (2, 1));
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(
        response.headers()["ratelimit-policy"],
        "\"conc\";q=2;qu=\"concurrent-requests\""
    );
    let why = response.extensions().get::<ConcurrencyLimited>().unwrap();
    assert_eq!(
        (why.policy(), why.limit(), why.scope()),
        ("conc", 2, Scope::Client)
    );
    assert_eq!(
        why.to_string(),
        "policy conc allows 2 requests at once; retry after 1 s"
    );
    let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(
        problem["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(problem["violated-policies"], serde_json::json!(["conc"]));
    // Another client is not concerned.
    assert_eq!(
        send(&mut service, request(2)).await.status(),
        StatusCode::OK
    );
    drop(held);
    assert_eq!(in_flight(&handle), (0, 0));
}

#[tokio::test]
async fn the_total_is_limited_with_503() {
    let layer = ConcurrencyLimitLayer::new(2).max_total(3);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let mut held = Vec::new();
    for client in 0..3 {
        held.push(send(&mut service, request(client)).await);
    }
    let response = send(&mut service, request(3)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(!response.headers().contains_key("ratelimit-policy"));
    assert_eq!(
        response
            .extensions()
            .get::<ConcurrencyLimited>()
            .unwrap()
            .scope(),
        Scope::Total
    );
    let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(
        problem["type"],
        "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    );
    assert_eq!(in_flight(&handle), (3, 3));
    held.pop();
    assert_eq!(
        send(&mut service, request(3)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn grpc_gets_trailers_only() {
    let mut service = ConcurrencyLimitLayer::new(1).layer(service_fn(hello));
    let _held = send(&mut service, grpc_request(1)).await;
    let response = send(&mut service, grpc_request(1)).await;
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"8".parse().unwrap())
    );
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn exempt_and_unkeyed_requests() {
    let layer = ConcurrencyLimitLayer::new(1).exempt(|head| head.uri.path() == "/healthz");
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let probe = || Request::builder().uri("/healthz").body(()).unwrap();
    let _held = [
        send(&mut service, probe()).await,
        send(&mut service, probe()).await,
    ];
    assert_eq!((handle.stats().exempt, handle.stats().in_flight), (2, 0));
    for (mode, statuses) in [
        (Unkeyed::Shared, [200, 429]),
        (Unkeyed::Refuse, [429, 429]),
        (Unkeyed::Allow, [200, 200]),
    ] {
        let layer = ConcurrencyLimitLayer::new(1).when_unkeyed(mode);
        let mut service = layer.layer(service_fn(hello));
        let mut held = Vec::new();
        for status in statuses {
            held.push(send(&mut service, Request::new(())).await);
            assert_eq!(held.last().unwrap().status(), status, "{mode:?}");
        }
        assert_eq!(layer.handle().stats().unkeyed, 2);
    }
}

#[tokio::test]
async fn another_answer_replaces_ours() {
    let layer = ConcurrencyLimitLayer::new(1).with_rejection(|_, why: &ConcurrencyLimited| {
        Response::builder()
            .status(StatusCode::IM_A_TEAPOT)
            .body(Full::from(format!("{:?}", why.scope())))
            .unwrap()
    });
    let mut service = layer.layer(service_fn(hello));
    let _held = send(&mut service, request(1)).await;
    let response = send(&mut service, request(1)).await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(text(response).await, "Client");
}

#[test]
#[should_panic(expected = "a concurrency limit of 0 cannot be used")]
fn no_request_at_all_panics() {
    let _ = ConcurrencyLimitLayer::new(0);
}

#[test]
#[should_panic(expected = "the time to wait is 86400.001s, but must be 86400 s or less")]
fn to_wait_for_more_than_a_day_panics() {
    let _ = ConcurrencyLimitLayer::new(1).wait(1, Duration::from_millis(86_400_001));
}

#[test]
#[should_panic(expected = "the idle limit is 0ns, but must be 1 ms to 86400 s")]
fn no_time_to_idle_panics() {
    let _ = ConcurrencyLimitLayer::new(1).max_idle(Duration::ZERO);
}

#[test]
#[should_panic(expected = "the total concurrency limit is 0, but must be 1 or more")]
fn no_place_at_all_panics() {
    ConcurrencyLimitLayer::new(1).handle().set_max_total(0);
}

#[test]
fn settings_at_their_edges() {
    let day = Duration::from_secs(86_400);
    let layer = ConcurrencyLimitLayer::new(1)
        .wait(usize::MAX, day)
        .max_waiting_total(0)
        .max_idle(Duration::from_millis(1))
        .max_idle(day);
    let handle = layer.handle();
    assert_eq!((handle.stats().limit, handle.stats().max_total), (1, None));
    handle.set_limit(2);
    handle.set_max_total(3);
    assert_eq!(
        (handle.stats().limit, handle.stats().max_total),
        (2, Some(3))
    );
}

#[tokio::test]
async fn a_changed_limit_is_what_the_refused_are_told() {
    let layer = ConcurrencyLimitLayer::new(1);
    let mut service = layer.layer(service_fn(hello));
    let mut held = vec![send(&mut service, request(1)).await];
    for limit in 1..4 {
        layer.handle().set_limit(limit);
        while held.len() < limit {
            held.push(send(&mut service, request(1)).await);
        }
        let refused = send(&mut service, request(1)).await;
        let why = refused.extensions().get::<ConcurrencyLimited>().unwrap();
        assert_eq!(why.limit(), limit);
        assert_eq!(
            refused.headers()["ratelimit-policy"],
            format!("\"default\";q={limit};qu=\"concurrent-requests\"")
        );
        let problem: serde_json::Value = serde_json::from_str(&text(refused).await).unwrap();
        assert_eq!(
            problem["detail"],
            format!("Too many requests at once: the limit is {limit}.")
        );
    }
}
