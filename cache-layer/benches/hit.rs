//! What a hit costs against the floor, which is copying a prebuilt response with the same fields,
//! whether the bytes that the cache counts are the bytes that the heap holds, and how long it takes to
//! give half of them back.
//!
//! `cargo bench -p cache-layer --bench hit` (add `-- --quick` for a short run,
//! `--hits-only` for a profiler)
#![allow(unsafe_code, reason = "counts allocations")]
#![allow(clippy::disallowed_types, reason = "measures real time")]

use bytes::Bytes;
use cache_layer::{Cache, CacheLayer};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tower::{Layer, Service, ServiceExt};

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const KEYS: usize = 1024;

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_LENGTH, "1024"),
        (header::CACHE_CONTROL, "public, max-age=600"),
        (header::ETAG, "\"0123456789abcdef\""),
        (header::DATE, "Mon, 23 Nov 2026 00:00:00 GMT"),
        (header::SERVER, "bench/1.0"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

fn request(uri: &Uri) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("api.example.com"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request
}

#[derive(Clone)]
struct Origin {
    body: usize,
}

impl<B> Service<Request<B>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Full::new(Bytes::from(vec![b'x'; self.body])));
        *response.headers_mut() = headers();
        response.headers_mut().remove(header::DATE);
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(self.body));
        ready(Ok(response))
    }
}

/// The floor: what a hit sends, prebuilt, and nothing else.
#[derive(Clone)]
struct Prebuilt(Arc<(HeaderMap, Bytes)>);

impl<B> Service<Request<B>> for Prebuilt {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Full::new(self.0.1.clone()));
        *response.headers_mut() = self.0.0.clone();
        ready(Ok(response))
    }
}

fn call<S: Service<Request<Full<Bytes>>>>(service: &mut S, uri: &Uri) {
    let mut future = std::pin::pin!(service.call(request(uri)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        black_box(future.as_mut().poll(&mut cx)).is_ready(),
        "a hit does not wait"
    );
}

type Case<'a> = (&'static str, Box<dyn FnMut(&Uri) + 'a>);

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    // Short slices in turns: a neighbour on the machine slows all cases of a round alike.
    let (rounds, slice) = if quick { (101, 500) } else { (2001, 500) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let uris: Vec<Uri> = (0..KEYS)
        .map(|n| {
            format!("http://api.example.com/api/v1/items/{n}?page={}", n % 7)
                .parse()
                .unwrap()
        })
        .collect();

    let cache = CacheLayer::new(64 << 20).layer(Origin { body: 1024 });
    runtime.block_on(async { fill(&cache, &uris).await });
    let stored = runtime
        .block_on(cache.clone().oneshot(request(&uris[0])))
        .unwrap();
    let prebuilt = |headers| Prebuilt(Arc::new((headers, Bytes::from(vec![b'x'; 1024]))));

    let mut floor = prebuilt(stored.headers().clone());
    let mut hit = cache.clone();
    let mut cases: Vec<Case<'_>> = vec![
        (
            "build the request",
            Box::new(|uri| drop(black_box(request(uri)))),
        ),
        (
            "floor: clone a prebuilt response",
            Box::new(|uri| call(&mut floor, uri)),
        ),
        ("cache-layer: hit", Box::new(|uri| call(&mut hit, uri))),
    ];
    let mut times = vec![Vec::new(); cases.len()];
    let mut allocations = vec![0.0; cases.len()];
    for _ in 0..rounds {
        for (which, (_, case)) in cases.iter_mut().enumerate() {
            let (before, start) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
            for n in 0..slice {
                case(&uris[n * 7 % KEYS]);
            }
            times[which].push(start.elapsed().as_nanos() as f64 / slice as f64);
            let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
            allocations[which] = made as f64 / slice as f64;
        }
    }
    println!(
        "| {rounds} rounds of {slice} requests over {KEYS} keys, interleaved | median ns | allocations |"
    );
    println!("| --- | ---: | ---: |");
    for (which, (name, _)) in cases.iter().enumerate() {
        println!(
            "| {name} | {:.0} | {:.2} |",
            median(&mut times[which].clone()),
            allocations[which]
        );
    }
    let mut ratios: Vec<f64> = times[2]
        .iter()
        .zip(&times[1])
        .map(|(hit, floor)| hit / floor)
        .collect();
    println!(
        "\nhit / floor, median of the rounds' ratios: {:.2}",
        median(&mut ratios)
    );
    drop(cases);
    if std::env::args().any(|argument| argument == "--hits-only") {
        return;
    }

    println!(
        "\n| body | entries | counted | heap | counted / heap |\n| ---: | ---: | ---: | ---: | ---: |"
    );
    for body in [0, 100, 1024, 16 * 1024] {
        accounting(&runtime, body, if quick { 2_000 } else { 20_000 });
    }
    reclaim(&runtime, if quick { 3 } else { 9 });
}

/// Gives back half of what the cache holds, in entries of 16 KiB.
fn reclaim(runtime: &tokio::runtime::Runtime, rounds: usize) {
    const ENTRIES: u64 = 4096;
    let uris: Vec<Uri> = (0..ENTRIES)
        .map(|n| format!("http://api.example.com/{n}").parse().unwrap())
        .collect();
    let (mut times, mut freed) = (Vec::new(), 0);
    for _ in 0..rounds {
        let layer = CacheLayer::new(128 << 20);
        let (cache, handle) = (layer.layer(Origin { body: 16 * 1024 }), layer.handle());
        runtime.block_on(async { fill(&cache, &uris).await });
        let half = handle.stats().bytes / 2;
        let start = Instant::now();
        freed = handle.reclaim(half);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let time = median(&mut times);
    let mib = freed as f64 / f64::from(1 << 20);
    println!("\nreclaim of half of {ENTRIES} entries of 16 KiB: {time:.2} ms for {mib:.1} MiB");
}

async fn fill(cache: &Cache<Origin>, uris: &[Uri]) {
    for uri in uris {
        let response = cache.clone().oneshot(request(uri)).await.unwrap();
        http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap();
    }
}

/// Compares the ledger with the heap for many entries of one size.
fn accounting(runtime: &tokio::runtime::Runtime, body: usize, entries: usize) {
    let uris: Vec<Uri> = (0..entries)
        .map(|n| {
            format!("http://api.example.com/{n}/{body}")
                .parse()
                .unwrap()
        })
        .collect();
    let layer = CacheLayer::new(1 << 30);
    let (cache, handle) = (layer.layer(Origin { body }), layer.handle());
    runtime.block_on(async { fill(&cache, &uris[..10]).await });
    let (before, counted) = (LIVE.load(Ordering::Relaxed), handle.stats().bytes);
    runtime.block_on(async { fill(&cache, &uris[10..]).await });
    let counted = handle.stats().bytes - counted;
    let heap = LIVE.load(Ordering::Relaxed) - before;
    let each = |bytes: f64| bytes / (entries - 10) as f64;
    println!(
        "| {body} | {entries} | {:.0} | {:.0} | {:.3} |",
        each(counted as f64),
        each(heap as f64),
        counted as f64 / heap as f64
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
