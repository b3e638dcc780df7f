//! What the answers say.

use crate::support::{grpc_request, hello, request, send, text};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use ratelimit_layer::{FieldStyle, Quota, RateLimitLayer, RateLimited};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, service_fn};

#[tokio::test(start_paused = true)]
async fn fields_are_appended_to_what_the_service_sent() {
    let inner = service_fn(async |_: Request<()>| {
        let response = Response::builder()
            .header("ratelimit", "\"inner\";r=1")
            .header("ratelimit-policy", "\"inner\";q=5");
        Ok::<_, Infallible>(response.body(Full::<bytes::Bytes>::from("hello")).unwrap())
    });
    let layer = RateLimitLayer::new(Quota::per_second(100).burst(200)).policy_name("burst");
    let response = send(&mut layer.layer(inner), request(1)).await;
    let all = |name: &str| {
        response
            .headers()
            .get_all(name)
            .iter()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(all("ratelimit"), ["\"inner\";r=1", "\"burst\";r=199;t=1"]);
    assert_eq!(
        all("ratelimit-policy"),
        ["\"inner\";q=5", "\"burst\";q=200;w=2"]
    );
    assert_eq!(text(response).await, "hello");
}

#[tokio::test(start_paused = true)]
async fn fields_can_be_switched_off() {
    let mut service = RateLimitLayer::new(Quota::per_hour(1))
        .fields(false)
        .layer(service_fn(hello));
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let response = send(&mut service, request(1)).await;
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key("ratelimit"));
        assert!(!response.headers().contains_key("ratelimit-policy"));
    }
}

#[tokio::test(start_paused = true)]
async fn fields_can_have_their_older_names() {
    for (style, draft, legacy) in [
        (FieldStyle::Draft, true, false),
        (FieldStyle::Legacy, false, true),
        (FieldStyle::Both, true, true),
        (FieldStyle::None, false, false),
    ] {
        let mut service = RateLimitLayer::new(Quota::per_minute(1))
            .fields(style)
            .layer(service_fn(hello));
        for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
            let response = send(&mut service, request(1)).await;
            assert_eq!(response.status(), status);
            for (name, value, there) in [
                ("ratelimit", "\"default\";r=0;t=60", draft),
                ("ratelimit-policy", "\"default\";q=1;w=60", draft),
                ("x-ratelimit-limit", "1", legacy),
                ("x-ratelimit-remaining", "0", legacy),
                ("x-ratelimit-reset", "60", legacy),
            ] {
                let value = there.then_some(value);
                let told = response.headers().get(name);
                assert_eq!(told.map(|told| told.to_str().unwrap()), value, "{style:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fields_can_tell_whose_share_they_mean() {
    let mut service = RateLimitLayer::new(Quota::per_minute(1))
        .partition_key(true)
        .layer(service_fn(hello));
    let mut told = Vec::new();
    for client in [1, 1, 2] {
        let response = send(&mut service, request(client)).await;
        told.push(response.headers()["ratelimit"].clone());
    }
    let expected = ["\"default\";r=0;t=60;pk=:", "=:"];
    for told in &told {
        let told = told.to_str().unwrap();
        assert!(
            told.starts_with(expected[0]) && told.ends_with(expected[1]),
            "{told}"
        );
    }
    assert!(told[0] == told[1] && told[1] != told[2], "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn refused_clients_are_spread_over_the_jitter() {
    let mut service = RateLimitLayer::new(Quota::per_minute(1))
        .retry_jitter(Duration::from_secs(3_600))
        .layer(service_fn(hello));
    send(&mut service, request(1)).await;
    let mut waits = Vec::new();
    for _ in 0..50 {
        let response = send(&mut service, request(1)).await;
        // What is known is told as it is.
        assert_eq!(response.headers()["ratelimit"], "\"default\";r=0;t=60");
        let why = response.extensions().get::<RateLimited>().unwrap();
        assert_eq!(why.wait(), Duration::from_secs(60));
        let told = response.headers()["retry-after"].to_str().unwrap();
        assert_eq!(told, why.retry_after().to_string());
        waits.push(why.retry_after());
    }
    assert!(
        waits.iter().all(|wait| (60..=3_660).contains(wait)),
        "{waits:?}"
    );
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 25, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_all() {
    let layer = RateLimitLayer::new(Quota::per_minute(1)).policy_name("per \"minute\"");
    let mut service = layer.layer(service_fn(hello));
    send(&mut service, request(1)).await;
    advance(Duration::from_millis(10_500)).await;
    let response = send(&mut service, request(1)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert_eq!(header("retry-after"), "50");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("content-type"), "application/problem+json");
    assert_eq!(header("ratelimit"), r#""per \"minute\"";r=0;t=50"#);
    assert_eq!(header("ratelimit-policy"), r#""per \"minute\"";q=1;w=60"#);
    let why = response.extensions().get::<RateLimited>().unwrap();
    assert_eq!(
        (why.policy(), why.quota()),
        ("per \"minute\"", Quota::per_minute(1))
    );
    assert_eq!(
        (why.wait(), why.retry_after()),
        (Duration::from_millis(49_500), 50)
    );
    assert!(!why.is_unkeyed());
    assert_eq!(
        why.to_string(),
        "policy per \"minute\" allows 1/m; retry after 50 s"
    );
    let length = response.body().size_hint().exact();
    let body = text(response).await;
    assert_eq!(length, Some(body.len() as u64));
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Quota exceeded",
            "status": 429,
            "detail": "Too many requests: the quota is 1/m.",
            "violated-policies": ["per \"minute\""],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_rounded_up_and_at_least_one() {
    let nanos = Duration::from_nanos;
    let second = nanos(1_000_000_000);
    // Two seconds per unit; how long after the first request, and what Retry-After says then.
    for (elapsed, retry_after) in [
        (nanos(0), Some("2")),
        (nanos(1), Some("2")),
        (second - nanos(1), Some("2")),
        (second, Some("1")),
        (second + nanos(1), Some("1")),
        (2 * second - nanos(1), Some("1")),
        (2 * second, None),
    ] {
        let mut service = RateLimitLayer::new(Quota::per(1, 2 * second)).layer(service_fn(hello));
        send(&mut service, request(1)).await;
        advance(elapsed).await;
        let response = send(&mut service, request(1)).await;
        assert_eq!(
            response
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap()),
            retry_after,
            "{elapsed:?}"
        );
        // Who waits that long gets in.
        if let Some(retry_after) = retry_after {
            advance(Duration::from_secs(retry_after.parse().unwrap())).await;
            assert_eq!(
                send(&mut service, request(1)).await.status(),
                StatusCode::OK
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_gets_trailers_only() {
    let mut service = RateLimitLayer::new(Quota::per_minute(1))
        .policy_name("100%")
        .layer(service_fn(hello));
    send(&mut service, grpc_request(1)).await;
    let response = send(&mut service, grpc_request(1)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers()["grpc-status"], "8");
    assert_eq!(
        response.headers()["grpc-message"],
        "Quota exceeded: Too many requests: the quota is 1/m. (policy \"100%25\")"
    );
    assert_eq!(response.headers()["grpc-retry-pushback-ms"], "60000");
    assert!(!response.headers().contains_key("retry-after"));
    assert!(response.body().is_end_stream());
    assert_eq!(response.body().size_hint().exact(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn head_gets_no_body() {
    let mut service = RateLimitLayer::new(Quota::per_minute(1)).layer(service_fn(hello));
    send(&mut service, request(1)).await;
    let mut head = request(1);
    *head.method_mut() = Method::HEAD;
    let response = send(&mut service, head).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.body().is_end_stream());
    let length = response.headers()["content-length"].clone();
    let get = text(send(&mut service, request(1)).await).await;
    assert_eq!(length, get.len().to_string());
}

#[tokio::test(start_paused = true)]
async fn another_answer_replaces_ours() {
    let layer =
        RateLimitLayer::new(Quota::per_minute(1)).with_rejection(|head, why: &RateLimited| {
            let body = Full::from(format!("{} again in {} s", head.uri, why.retry_after()));
            Response::builder()
                .status(StatusCode::IM_A_TEAPOT)
                .body(body)
                .unwrap()
        });
    let mut service = layer.layer(service_fn(hello));
    send(&mut service, request(1)).await;
    let response = send(&mut service, request(1)).await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert!(response.extensions().get::<RateLimited>().is_some());
    assert_eq!(response.headers()["ratelimit"], "\"default\";r=0;t=60");
    assert_eq!(text(response).await, "/ again in 60 s");
}
