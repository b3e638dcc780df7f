//! Requests, an origin, and what is measured about them: what the benches here share with the ones that
//! compare with other crates.
#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod compare;
pub mod cpu;
pub mod heap;
pub mod trace;

use bytes::Bytes;
use compare::Case;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use tower::{Service, ServiceExt};

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

/// The same, with a `Cache-Control` such as `only-if-cached`.
pub fn request_with(uri: &Uri, cache_control: &'static str) -> Request<Full<Bytes>> {
    let mut request = request(uri);
    let value = HeaderValue::from_static(cache_control);
    request.headers_mut().insert(header::CACHE_CONTROL, value);
    request
}

/// An answer that lives as long as it says, and that nobody can ask about again.
pub fn answer(body: Bytes, cache_control: HeaderValue) -> Response<Full<Bytes>> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, cache_control);
    headers.insert(header::SERVER, HeaderValue::from_static("bench/1.0"));
    headers.insert(header::CONTENT_LENGTH, length);
    response
}

/// What a cache is asked to spare: builds each answer anew, and counts them.
#[derive(Clone)]
pub struct Origin {
    answer: Arc<Answer>,
    pub answers: Arc<AtomicU64>,
}

type Answer = dyn Fn(&Uri) -> Response<Full<Bytes>> + Send + Sync;

impl Origin {
    /// Answers with bodies of one size, for ten minutes, with a validator.
    pub fn new(body: usize) -> Self {
        Self::by(move |_| {
            let cache_control = HeaderValue::from_static("public, max-age=600");
            let mut response = answer(vec![b'x'; body].into(), cache_control);
            let tag = HeaderValue::from_static("\"0123456789abcdef\"");
            response.headers_mut().insert(header::ETAG, tag);
            response
        })
    }

    pub fn by(answer: impl Fn(&Uri) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            answers: Arc::default(),
        }
    }
}

impl<B> Service<Request<B>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.answers.fetch_add(1, Relaxed);
        ready(Ok((self.answer)(request.uri())))
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

/// Asks and reads the answer to its end; whether cache-layer had it.
pub async fn ask<S, B>(service: &S, request: Request<Full<Bytes>>) -> bool
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Debug> + Clone,
    B: http_body::Body<Error: Debug>,
{
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.headers().get("cache-status");
    let hit = status.is_some_and(|status| status.as_bytes().starts_with(b"cache-layer; hit"));
    response.into_body().collect().await.unwrap();
    hit
}

/// Asks once for each URI and reads the answers to their ends.
pub async fn fill<S, B>(service: &S, uris: &[Uri])
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Debug> + Clone,
    B: http_body::Body<Error: Debug>,
{
    for uri in uris {
        ask(service, request(uri)).await;
    }
}

/// A service as a case, asked for each URI.
pub fn service<'a, S>(name: &'a str, service: &'a mut S) -> Case<'a, Uri>
where
    S: Service<Request<Full<Bytes>>>,
{
    Case::new(name, |uri| call(service, uri))
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
