//! Services on the same requests in turns, timed and their allocations counted: what the benches here
//! share with the ones that compare with other crates.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tower::{Service, ServiceExt};

pub static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
pub static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: hands everything to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        LIVE.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

pub fn uris(number: usize) -> Vec<Uri> {
    let uri = |n| format!("http://api.example.com/api/v1/items/{n}?page={}", n % 7);
    (0..number).map(|n| uri(n).parse().unwrap()).collect()
}

pub fn request(uri: &Uri) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("api.example.com"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// What a cache is asked to spare: builds each answer anew, and counts them.
#[derive(Clone)]
pub struct Origin {
    body: usize,
    pub answers: Arc<AtomicU64>,
}

impl Origin {
    pub fn new(body: usize) -> Self {
        let answers = Arc::default();
        Self { body, answers }
    }
}

impl<B> Service<Request<B>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        self.answers.fetch_add(1, Relaxed);
        let mut response = Response::new(Full::new(Bytes::from(vec![b'x'; self.body])));
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "public, max-age=600"),
            (header::ETAG, "\"0123456789abcdef\""),
            (header::SERVER, "bench/1.0"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body));
        ready(Ok(response))
    }
}

/// The floor: what a hit sends, prebuilt, and nothing else.
#[derive(Clone)]
pub struct Prebuilt(Arc<(HeaderMap, Bytes)>);

impl Prebuilt {
    pub fn new(headers: HeaderMap, body: Bytes) -> Self {
        Self(Arc::new((headers, body)))
    }
}

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

/// Asks once for each URI and reads the answers to their ends.
pub async fn fill<S, B>(service: &S, uris: &[Uri])
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    for uri in uris {
        let response = service.clone().oneshot(request(uri)).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
}

/// One call, which must be answered on the spot.
pub fn call<S: Service<Request<Full<Bytes>>>>(service: &mut S, uri: &Uri) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut future = std::pin::pin!(service.call(request(uri)));
    assert!(
        black_box(future.as_mut().poll(&mut cx)).is_ready(),
        "a hit does not wait"
    );
}

pub struct Case<'a> {
    name: &'a str,
    call: Box<dyn FnMut(&Uri) + 'a>,
    /// Of each round, per call.
    nanoseconds: Vec<f64>,
    allocations: f64,
}

impl<'a> Case<'a> {
    pub fn new(name: &'a str, call: impl FnMut(&Uri) + 'a) -> Self {
        Self {
            name,
            call: Box::new(call),
            nanoseconds: Vec::new(),
            allocations: 0.0,
        }
    }

    pub fn service<S: Service<Request<Full<Bytes>>>>(name: &'a str, service: &'a mut S) -> Self {
        Self::new(name, |uri| call(service, uri))
    }

    /// The median of the rounds' ratios.
    pub fn ratio(&self, other: &Self) -> f64 {
        let each = self.nanoseconds.iter().zip(&other.nanoseconds);
        median(each.map(|(one, other)| one / other).collect())
    }
}

/// Runs all cases in short slices, in turns, so that a neighbour on the machine slows all of a round
/// alike; prints a table.
pub fn compare(cases: &mut [Case<'_>], uris: &[Uri], rounds: usize) {
    // Not in the order in which they were stored: nobody asks in that one.
    let asked = || (0..uris.len()).map(|n| &uris[n * 7 % uris.len()]);
    for _ in 0..rounds {
        for case in cases.iter_mut() {
            // Untimed, until the processor has forgotten what the case before it has left there.
            (0..4).for_each(|_| asked().for_each(&mut case.call));
            let (before, start) = (ALLOCATIONS.load(Relaxed), Instant::now());
            asked().for_each(&mut case.call);
            let each = |sum: u64| sum as f64 / uris.len() as f64;
            case.nanoseconds
                .push(each(start.elapsed().as_nanos() as u64));
            case.allocations = each(ALLOCATIONS.load(Relaxed) - before);
        }
    }
    let keys = uris.len();
    println!("| {rounds} rounds of {keys} keys, in turns | median ns | allocations |");
    println!("| --- | ---: | ---: |");
    for case in cases {
        let nanoseconds = median(case.nanoseconds.clone());
        println!(
            "| {} | {nanoseconds:.0} | {:.2} |",
            case.name, case.allocations
        );
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
