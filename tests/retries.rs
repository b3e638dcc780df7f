//! What clients in use make of a refusal: curl shows it, and who waits as told is let in.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body as AxumBody, routing::get};
use end_to_end::{
    BoxError, body,
    client::{Client, request},
    curl,
    serve::Server,
};
use http::{Method, Request, Response, StatusCode, header::RETRY_AFTER};
use hyper::body::Incoming;
use ratelimit_layer::{ConcurrencyLimitLayer, FieldStyle, Quota, RateLimitHandle, RateLimitLayer};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use reqwest_retry::{Jitter, RetryTransientMiddleware, policies::ExponentialBackoff};
use tokio::time::{Instant, Sleep, sleep};
use tower::{Service as _, ServiceExt as _, retry, service_fn};

async fn serve(layer: RateLimitLayer) -> (Server, RateLimitHandle) {
    let handle = layer.handle();
    let app = Router::new().route("/", get(async || "hello\n"));
    (Server::axum(app.layer(layer)).await, handle)
}

/// `Retry-After` is short, and a client that comes too early is refused again.
fn one_in_two_seconds() -> RateLimitLayer {
    RateLimitLayer::new(Quota::per(1, Duration::from_secs(2)))
}

/// What curl prints: the head, but for the date, and the body.
async fn curl(options: &str, url: &str) -> String {
    let text = curl::curl(options.split(' '), url).await;
    let lines = text.lines().filter(|line| !line.starts_with("date: "));
    let text = lines.collect::<Vec<_>>().join("\n");
    println!("$ curl {options} {url}\n{text}\n");
    text
}

#[tokio::test]
async fn curl_shows_the_fields() {
    let layer = RateLimitLayer::new(Quota::per_minute(1)).policy_name("per-minute");
    let (server, _) = serve(layer).await;
    let url = server.url("/");
    let allowed = "\
HTTP/1.1 200 OK
content-type: text/plain; charset=utf-8
ratelimit-policy: \"per-minute\";q=1;w=60
ratelimit: \"per-minute\";r=0;t=60
content-length: 6

hello";
    assert_eq!(curl("-i", &url).await, allowed);
    let document = concat!(
        r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","#,
        r#""title":"Quota exceeded","status":429,"#,
        r#""detail":"Too many requests: the quota is 1/m.","violated-policies":["per-minute"]}"#
    );
    let length = document.len();
    // HEAD gets the same head without the document, whose length it tells, in its own order.
    for (option, document) in [("-i", document), ("-I", "")] {
        let refused = curl(option, &url).await;
        let (_, wait) = refused.split_once("retry-after: ").expect(&refused);
        let (wait, _) = wait.split_once('\n').expect(&refused);
        // Curl takes a moment to start, and a busy machine more.
        assert!(
            (50..=60).contains(&wait.parse().expect("seconds")),
            "{refused}"
        );
        let (head, body) = refused
            .split_once("\n\n")
            .unwrap_or((refused.trim_end(), ""));
        assert_eq!(body, document);
        let mut lines: Vec<_> = head.lines().collect();
        lines.sort_unstable();
        let expected = [
            "HTTP/1.1 429 Too Many Requests",
            "cache-control: no-store",
            &format!("content-length: {length}"),
            "content-type: application/problem+json",
            "ratelimit-policy: \"per-minute\";q=1;w=60",
            &format!("ratelimit: \"per-minute\";r=0;t={wait}"),
            &format!("retry-after: {wait}"),
        ];
        assert_eq!(lines, expected);
    }
}

#[tokio::test]
async fn curl_shows_the_older_fields() {
    let layer = RateLimitLayer::new(Quota::per_minute(1)).fields(FieldStyle::Legacy);
    let (server, _) = serve(layer).await;
    for status in ["200 OK", "429 Too Many Requests"] {
        let said = curl("-i", &server.url("/")).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
        let fields = "x-ratelimit-limit: 1\nx-ratelimit-remaining: 0\nx-ratelimit-reset: ";
        assert!(said.contains(fields), "{said}");
    }
}

#[tokio::test]
async fn curl_shows_who_has_too_many_requests_in_flight() {
    let layer = ConcurrencyLimitLayer::new(1).max_total(1);
    let (feed, body) = body::fed();
    let held = Arc::new(Mutex::new(Some(AxumBody::new(body))));
    let answer = move || async move { held.lock().unwrap().take().expect("asked once") };
    let server = Server::axum(Router::new().route("/", get(answer)).layer(layer)).await;
    let url = server.url("/");
    let first = Client::http1().send(request(Method::GET, &url)).await;
    // The client itself, and another one.
    for (options, head, policies) in [
        ("-i", "HTTP/1.1 429 Too Many Requests", 1),
        (
            "-i --interface 127.0.0.2",
            "HTTP/1.1 503 Service Unavailable",
            0,
        ),
    ] {
        let said = curl(options, &url).await;
        assert!(said.starts_with(head), "{said}");
        assert!(said.contains("\nretry-after: 1\n"), "{said}");
        let policy = "\nratelimit-policy: \"default\";q=1;qu=\"concurrent-requests\"\n";
        assert_eq!(said.matches(policy).count(), policies, "{said}");
    }
    drop((first, feed));
}

/// The whole seconds of `Retry-After`.
fn told(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Retries once it has waited as long as it was told.
#[derive(Clone)]
struct AsTold;

impl retry::Policy<Request<()>, Response<Incoming>, BoxError> for AsTold {
    type Future = Sleep;

    fn retry(
        &mut self,
        _: &mut Request<()>,
        result: &mut Result<Response<Incoming>, BoxError>,
    ) -> Option<Sleep> {
        told(result.as_ref().ok()?.headers()).map(sleep)
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn tower_retry_gets_through_at_its_first_retry() {
    for client in [Client::http1(), Client::http2()] {
        let (server, handle) = serve(one_in_two_seconds()).await;
        let url = server.url("/");
        let send = service_fn(move |request: Request<()>| {
            let client = client.clone();
            async move { client.send(request.map(|()| body::empty())).await }
        });
        let mut service = retry::Retry::new(AsTold, send);
        for refused in 0..2 {
            let request = request(Method::GET, &url).map(drop);
            let service = service.ready().await.expect("always ready");
            let answer = service.call(request).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(handle.stats().refused, refused);
        }
    }
}

/// `reqwest-retry` waits by its own schedule, whatever a response says; this holds a refusal back
/// until the client may come again.
struct HoldBack;

#[tonic::async_trait]
impl Middleware for HoldBack {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let answer = next.run(request, extensions).await?;
        if let Some(wait) = told(answer.headers()) {
            sleep(wait).await;
        }
        Ok(answer)
    }
}

/// 50, 100, 200 ms and so on to a second.
fn backing_off() -> RetryTransientMiddleware<ExponentialBackoff> {
    let bounds = (Duration::from_millis(50), Duration::from_secs(1));
    let policy = ExponentialBackoff::builder()
        .retry_bounds(bounds.0, bounds.1)
        .jitter(Jitter::None)
        .build_with_max_retries(8);
    RetryTransientMiddleware::new_with_policy(policy)
}

#[tokio::test]
async fn reqwest_retry_gets_through_by_and_by() {
    let (server, handle) = serve(one_in_two_seconds()).await;
    let client = ClientBuilder::new(reqwest::Client::new()).with(backing_off());
    let client = client.build();
    let started = Instant::now();
    for _ in 0..2 {
        let answer = client.get(server.url("/")).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
    }
    // Refusals are not charged, so asking too early has cost it nothing but the asking.
    assert!(started.elapsed() >= Duration::from_millis(1_900));
    assert!(handle.stats().refused > 1, "{:?}", handle.stats());
}

#[tokio::test]
async fn reqwest_retry_that_waits_as_told_gets_through_at_its_first_retry() {
    let (server, handle) = serve(one_in_two_seconds()).await;
    let client = ClientBuilder::new(reqwest::Client::new()).with(backing_off());
    let client = client.with(HoldBack).build();
    for refused in 0..2 {
        let answer = client.get(server.url("/")).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(handle.stats().refused, refused);
    }
}
