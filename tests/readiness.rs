//! The readiness contract: below each layer stands a service that must be polled ready before each
//! call and has room for one request at a time; nothing panics and nothing waits for ever.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use cache_layer::CacheLayer;
use end_to_end::{
    BoxError,
    body::{self, Body},
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use memguard_layer::MemGuardLayer;
use ratelimit_layer::{ConcurrencyLimitLayer, Quota, RateLimitLayer};
use tokio::{task::JoinSet, time::timeout};
use tower::{Layer, Service, ServiceBuilder, ServiceExt as _, limit};

/// Longer than all requests here take together, on a paused clock.
const FOR_EVER: Duration = Duration::from_secs(60);

/// Takes 10 ms, then says the request's path; every path is fresh for a minute.
async fn slow<B>(request: Request<B>) -> Result<Response<Body>, Infallible> {
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut response = Response::new(body::full(request.uri().path().to_owned()));
    response
        .headers_mut()
        .insert("cache-control", "max-age=60".parse().expect("valid"));
    Ok(response)
}

fn request(path: &str) -> Request<Body> {
    let mut request = Request::get(format!("http://a{path}"))
        .body(body::empty())
        .expect("valid");
    request
        .extensions_mut()
        .insert(SocketAddr::from(([127, 0, 0, 1], 1)));
    request
}

async fn call<S, B>(service: &mut S, path: &str) -> Bytes
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Ok(response) = service
        .ready()
        .await
        .expect("never fails")
        .call(request(path))
        .await;
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(Into::into)
        .expect("a whole body");
    body.to_bytes()
}

/// Calls one service again and again, and its clones all at once.
async fn holds<S, B>(mut service: S)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let in_turn = async {
        for path in ["/a", "/a", "/b", "/c"] {
            assert_eq!(call(&mut service, path).await, path);
        }
    };
    timeout(FOR_EVER, in_turn)
        .await
        .expect("one after the other");

    let mut calls = JoinSet::new();
    for n in 0..32 {
        // Clones of clones, each used twice; half of the keys are shared.
        let mut service = service.clone().clone();
        calls.spawn(async move {
            for path in [format!("/{}", n % 8), format!("/own/{n}")] {
                assert_eq!(call(&mut service, &path).await, path);
            }
        });
    }
    timeout(FOR_EVER, calls.join_all())
        .await
        .expect("all at once");

    // A clone that was polled ready and thrown away takes nobody's turn.
    let mut abandoned = service.clone();
    abandoned.ready().await.expect("never fails");
    drop(abandoned);
    let Ok(last) = timeout(FOR_EVER, async {
        Ok::<_, Infallible>(call(&mut service, "/last").await)
    })
    .await
    .expect("in the end");
    assert_eq!(last, "/last");
}

/// The service of one place, for whatever body the layer above gives it.
macro_rules! one_place {
    () => {
        ServiceBuilder::new()
            .layer(limit::ConcurrencyLimitLayer::new(1))
            .service_fn(slow)
    };
}

fn quota() -> Quota {
    Quota::per_second(1_000_000)
}

#[tokio::test(start_paused = true)]
async fn below_the_cache() {
    holds(CacheLayer::new(1 << 20).layer(one_place!())).await;
}

#[tokio::test(start_paused = true)]
async fn below_the_rate_limit() {
    holds(RateLimitLayer::new(quota()).layer(one_place!())).await;
}

#[tokio::test(start_paused = true)]
async fn below_the_concurrency_limit() {
    holds(ConcurrencyLimitLayer::new(1000).layer(one_place!())).await;
}

#[tokio::test(start_paused = true)]
async fn below_the_memory_guard() {
    holds(MemGuardLayer::new(1 << 30).layer(one_place!())).await;
}

#[tokio::test(start_paused = true)]
async fn below_all_of_them() {
    let stack = ServiceBuilder::new()
        .layer(MemGuardLayer::new(1 << 30))
        .layer(RateLimitLayer::new(quota()))
        .layer(ConcurrencyLimitLayer::new(1000))
        .layer(CacheLayer::new(1 << 20));
    holds(stack.service(one_place!())).await;
}

#[tokio::test(start_paused = true)]
async fn a_hit_is_served_while_the_service_below_is_saturated() {
    let mut service = CacheLayer::new(1 << 20).layer(one_place!());
    assert_eq!(call(&mut service, "/hot").await, "/hot");
    let mut busy = service.clone();
    let stuck = tokio::spawn(async move { call(&mut busy, "/cold").await });
    tokio::task::yield_now().await;
    let started = tokio::time::Instant::now();
    assert_eq!(call(&mut service, "/hot").await, "/hot");
    assert_eq!(started.elapsed(), Duration::ZERO, "the hit waited");
    assert_eq!(stuck.await.expect("it goes on"), "/cold");
}
