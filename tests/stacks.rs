//! Each layer alone and all of them together, in axum, around hyper and in tonic.

use std::convert::Infallible;

use axum::{Router, body::Bytes, routing::get};
use cache_layer::CacheLayer;
use end_to_end::{
    BoxError,
    body::{self, Body},
    client::Client,
    echo::{EchoClient, echo, words},
    serve::Server,
    wait::until,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use memguard_layer::MemGuardLayer;
use ratelimit_layer::{ConcurrencyLimitLayer, Quota, RateLimitLayer};
use tower::{Layer, ServiceBuilder, service_fn};

/// Answers GET with a greeting that is fresh for a minute, and any other method with its body.
fn router() -> Router {
    let greet = || async { ([("cache-control", "max-age=60")], "hello") };
    Router::new().route("/", get(greet).post(|body: Bytes| async move { body }))
}

/// The same as a plain service.
async fn plain<B>(request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let get = request.method() == http::Method::GET;
    let read = request
        .into_body()
        .collect()
        .await
        .map_err(Into::into)
        .expect("a whole body");
    let mut response = Response::new(body::full(if get {
        Bytes::from("hello")
    } else {
        read.to_bytes()
    }));
    response
        .headers_mut()
        .insert("cache-control", "max-age=60".parse().expect("valid"));
    Ok(response)
}

/// GET and POST over HTTP/1 and HTTP/2; answers the last GET's fields.
async fn http(server: Server) -> http::HeaderMap {
    let mut fields = None;
    for client in [Client::http1(), Client::http2()] {
        let posted = Request::post(server.url("/"))
            .body(body::full(vec![7; 100_000]))
            .expect("valid");
        let posted = client.fetch(posted).await.expect("an answer");
        assert_eq!(
            (posted.status, posted.body.len()),
            (StatusCode::OK, 100_000)
        );
        assert!(posted.body.iter().all(|byte| *byte == 7));
        for _ in 0..2 {
            let greeting = client.get(&server.url("/")).await;
            assert_eq!(
                (greeting.status, greeting.text()),
                (StatusCode::OK, "hello")
            );
            fields = Some(greeting.headers);
        }
    }
    fields.expect("four greetings")
}

/// A unary call, and the first message of a stream.
async fn grpc(server: Server) {
    let mut client = EchoClient::connect(server.url(""))
        .await
        .expect("a connection");
    for text in ["one", "two", "two"] {
        let said = client
            .say(words(text))
            .await
            .expect("an answer")
            .into_inner();
        assert_eq!(said.text, text);
    }
    let mut held = client
        .hold(words("three"))
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(
        held.message()
            .await
            .expect("a message")
            .expect("one at least")
            .text,
        "three"
    );
}

/// Puts a layer everywhere; answers the fields of a greeting in axum and of one in hyper.
macro_rules! everywhere {
    ($layer:expr) => {{
        let layer = $layer;
        let in_axum = http(Server::axum(router().layer(layer.clone())).await).await;
        let in_hyper = http(Server::hyper(Layer::layer(&layer, service_fn(plain))).await).await;
        let (echo, _open) = echo();
        let in_tonic = Server::tonic(|incoming| {
            let mut server = tonic::transport::Server::builder().layer(layer);
            server.add_service(echo).serve_with_incoming(incoming)
        });
        grpc(in_tonic.await).await;
        [in_axum, in_hyper]
    }};
}

/// Requests made by `everywhere!`: four GETs and two POSTs each in axum and hyper, four calls in tonic.
const GETS: u64 = 8;
const OTHERS: u64 = 8;

fn quota() -> Quota {
    Quota::per_second(1000)
}

#[tokio::test]
async fn the_cache() {
    let layer = CacheLayer::new(1 << 20);
    let handle = layer.handle();
    for fields in everywhere!(layer) {
        assert!(fields.contains_key("age"), "{fields:?}");
    }
    let stats = handle.stats();
    // Each POST invalidates: every second GET is a miss. The two servers have hosts of their own.
    assert_eq!(
        (stats.hits, stats.misses, stats.writes),
        (GETS / 2, GETS / 2, OTHERS)
    );
}

#[tokio::test]
async fn the_rate_limit() {
    let layer = RateLimitLayer::new(quota());
    let handle = layer.handle();
    for fields in everywhere!(layer) {
        assert!(
            fields.contains_key("ratelimit") && fields.contains_key("ratelimit-policy"),
            "{fields:?}"
        );
    }
    let stats = handle.stats();
    // Everybody has an address: nobody was taken for a client without one.
    assert_eq!(
        (stats.allowed, stats.refused, stats.unkeyed),
        (GETS + OTHERS, 0, 0)
    );
}

#[tokio::test]
async fn the_concurrency_limit() {
    let layer = ConcurrencyLimitLayer::new(10);
    let handle = layer.handle();
    everywhere!(layer);
    let stats = handle.stats();
    assert_eq!(
        (stats.admitted, stats.refused, stats.unkeyed),
        (GETS + OTHERS, 0, 0)
    );
}

#[tokio::test]
async fn the_memory_guard() {
    let layer = MemGuardLayer::new(64 << 20).source(|| 0);
    let handle = layer.handle();
    everywhere!(layer);
    // The servers let go of the last bodies when their connections have ended.
    until("nothing is promised", async || handle.reserved() == 0).await;
    assert_eq!(handle.rejected(), 0);
}

#[tokio::test]
async fn all_together() {
    let cache = CacheLayer::new(1 << 20);
    let (stored, reclaim) = (cache.handle(), cache.handle());
    let guard = MemGuardLayer::new(64 << 20)
        .source(|| 0)
        .reclaim_with(move |bytes| reclaim.reclaim(bytes));
    let (rate, permits) = (RateLimitLayer::new(quota()), ConcurrencyLimitLayer::new(10));
    let (memory, limits, concurrency) = (guard.handle(), rate.handle(), permits.handle());
    let stack = ServiceBuilder::new()
        .layer(guard)
        .layer(rate)
        .layer(permits)
        .layer(cache);
    for fields in everywhere!(stack) {
        assert!(
            fields.contains_key("ratelimit") && fields.contains_key("age"),
            "{fields:?}"
        );
    }
    assert_eq!(stored.stats().hits, GETS / 2);
    assert_eq!(limits.stats().allowed, GETS + OTHERS);
    assert_eq!(concurrency.stats().admitted, GETS + OTHERS);
    until("all is given back", async || {
        memory.reserved() == 0 && concurrency.stats().in_flight == 0
    })
    .await;
}
