//! Futures dropped at every await point leak no permit, reservation or fill: polled `n` times and
//! dropped, for every `n` up to the one that finishes.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use cache_layer::CacheLayer;
use end_to_end::{
    BoxError,
    body::{self, Body},
};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use memguard_layer::MemGuardLayer;
use ratelimit_layer::{ConcurrencyLimitLayer, Quota, RateLimitLayer};
use tokio::task::yield_now;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};

/// How often the service below gives way at each of its await points.
const YIELDS: usize = 2;

/// Lets everything else run, `YIELDS` times.
async fn give_way() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}

/// A body of three frames that gives way before each of them and before its end.
struct Slow {
    frames: usize,
    giving_way: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.giving_way.as_mut().poll(cx));
        self.giving_way = Box::pin(give_way());
        self.frames += 1;
        Poll::Ready((self.frames <= 3).then(|| Ok(Frame::data(Bytes::from_static(b"frame")))))
    }
}

/// Reads the whole request, then answers; gives way before and after it reads.
async fn slow<B>(request: Request<B>) -> Result<Response<Slow>, Infallible>
where
    B: http_body::Body<Data = Bytes>,
{
    give_way().await;
    let read = request.into_body().collect().await;
    give_way().await;
    let mut response = Response::new(Slow {
        frames: 0,
        giving_way: Box::pin(give_way()),
    });
    let directives = if read.is_ok() {
        "max-age=60"
    } else {
        "no-store"
    };
    response
        .headers_mut()
        .insert("cache-control", directives.parse().expect("valid"));
    Ok(response)
}

/// A POST with a body whose length is known, or not, or a GET; from a client with an address.
fn request(body: Option<Body>) -> Request<Body> {
    let builder = Request::builder().method(if body.is_some() { "POST" } else { "GET" });
    let mut request = builder
        .uri("http://a/")
        .body(body.unwrap_or_else(body::empty))
        .expect("valid");
    request
        .extensions_mut()
        .insert(SocketAddr::from(([127, 0, 0, 1], 1)));
    request
}

/// A body of unknown length that is all there.
fn chunks() -> Body {
    StreamBody::new(tokio_stream::iter(
        ["01", "23", "45"].map(|chunk| Ok(Frame::data(chunk.into()))),
    ))
    .boxed_unsync()
}

/// Calls `service` and reads its whole answer.
async fn exchange<S, B>(mut service: S, request: Request<Body>) -> Bytes
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Ok(response) = service
        .ready()
        .await
        .expect("never fails")
        .call(request)
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    response
        .into_body()
        .collect()
        .await
        .map_err(Into::into)
        .expect("a whole body")
        .to_bytes()
}

/// Lets everything that can run do so: the clock is paused and moves only when all else waits.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Polls what `start` makes `n` times and drops it, for `n` from 0 until it finishes, with all else
/// running between the polls; `check` looks for what is left after each round.
async fn cancel_everywhere<F: Future>(start: impl Fn() -> F, check: impl AsyncFn(&str)) {
    for polls in 0.. {
        let mut future = Box::pin(start());
        let mut finished = false;
        for _ in 0..polls {
            finished = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
            if finished {
                break;
            }
            yield_now().await;
        }
        drop(future);
        settle().await;
        check(&format!("dropped after {polls} polls")).await;
        if finished {
            // The service below gives way before and after it reads, before three frames and the end.
            assert!(
                polls > 6 * YIELDS,
                "finished after {polls} polls: too few were tried"
            );
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_counts_each_request_once() {
    let layer = RateLimitLayer::new(Quota::per_hour(1).burst(1000));
    let (handle, service) = (layer.handle(), layer.layer(service_fn(slow)));
    let started = Cell::new(0);
    let start = || {
        let (service, started) = (service.clone(), &started);
        async move {
            started.set(started.get() + 1);
            exchange(service, request(None)).await
        }
    };
    cancel_everywhere(start, async |when| {
        assert_eq!(handle.stats().allowed, started.get(), "{when}")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_concurrency_limit_gets_every_permit_back() {
    let layer = ConcurrencyLimitLayer::new(1);
    let (handle, service) = (layer.handle(), layer.layer(service_fn(slow)));
    let start = || exchange(service.clone(), request(None));
    cancel_everywhere(start, async |when| {
        let stats = handle.stats();
        assert_eq!((stats.in_flight, stats.clients), (0, 0), "{when}");
    })
    .await;
    assert_eq!(handle.stats().refused, 0);
}

#[tokio::test(start_paused = true)]
async fn the_memory_guard_gets_every_reserved_byte_back() {
    for body in [|| body::full("0123456789"), chunks] {
        let layer = MemGuardLayer::new(1 << 20).source(|| 0);
        let (handle, service) = (layer.handle(), layer.layer(service_fn(slow)));
        let start = || exchange(service.clone(), request(Some(body())));
        cancel_everywhere(start, async |when| {
            assert_eq!(handle.reserved(), 0, "{when}")
        })
        .await;
        assert_eq!(handle.rejected(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_guard_waiting_for_room_gives_its_place_up() {
    let layer = MemGuardLayer::new(1 << 20)
        .source(|| 1 << 20)
        .reclaim_with(|_| 0);
    let (handle, service) = (layer.handle(), layer.layer(service_fn(slow)));
    let start = || async {
        let mut service = service.clone();
        let Ok(refused) = service
            .ready()
            .await
            .expect("never fails")
            .call(request(Some(chunks())))
            .await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    };
    for polls in 0..4 {
        let mut future = Box::pin(start());
        for _ in 0..polls {
            if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
                break;
            }
            yield_now().await;
        }
        drop(future);
        settle().await;
        assert_eq!(handle.reserved(), 0, "dropped after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fill_ends_and_serves_the_others_whenever_its_first_client_leaves() {
    let layer = CacheLayer::new(1 << 20);
    let (handle, service) = (layer.handle(), layer.layer(service_fn(slow)));
    let start = || exchange(service.clone(), request(None));
    cancel_everywhere(start, async |when| {
        assert_eq!(handle.stats().filling, 0, "{when}");
        // Whoever comes next is served, from the store or by a fill of its own; then all anew.
        assert_eq!(start().await, "frameframeframe", "{when}");
        handle.clear();
        settle().await;
        let stats = handle.stats();
        assert_eq!(
            (stats.filling, stats.entries, stats.bytes),
            (0, 0, 0),
            "{when}"
        );
    })
    .await;

    // The same with a second client that is there from the start, which one call must serve.
    for polls in 1..6 * YIELDS {
        handle.clear();
        let mut first = Box::pin(start());
        let second = tokio::spawn(start());
        for _ in 0..polls {
            assert!(poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await);
            yield_now().await;
        }
        drop(first);
        let before = handle.stats();
        assert_eq!(
            second.await.expect("the second client"),
            "frameframeframe",
            "first left after {polls} polls"
        );
        settle().await;
        assert_eq!(
            handle.stats().misses,
            before.misses,
            "the second client had to ask anew"
        );
        assert_eq!(handle.stats().filling, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_stack_gets_everything_back() {
    let guard = MemGuardLayer::new(1 << 20).source(|| 0);
    let permits = ConcurrencyLimitLayer::new(1);
    let cache = CacheLayer::new(1 << 20);
    let (memory, concurrency, stored) = (guard.handle(), permits.handle(), cache.handle());
    let service = ServiceBuilder::new()
        .layer(guard)
        .layer(RateLimitLayer::new(Quota::per_second(1_000_000)))
        .layer(permits)
        .layer(cache)
        .service_fn(slow);
    for body in [
        || None,
        || Some(body::full("0123456789")),
        || Some(chunks()),
    ] {
        let start = || exchange(service.clone(), request(body()));
        cancel_everywhere(start, async |when| {
            assert_eq!(memory.reserved(), 0, "{when}");
            assert_eq!(concurrency.stats().in_flight, 0, "{when}");
            assert_eq!(stored.stats().filling, 0, "{when}");
            stored.clear();
        })
        .await;
    }
    assert_eq!((memory.rejected(), concurrency.stats().refused), (0, 0));
}
