//! HTTP clients over real sockets.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{
    BoxError,
    body::{self, Body},
    wait::soon,
};

/// A pooling client of one protocol version.
#[derive(Clone, Debug)]
pub struct Client(legacy::Client<HttpConnector, Body>);

/// A response with its whole body.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// Speaks HTTP/1.1.
    #[must_use]
    pub fn http1() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
    }

    /// Speaks HTTP/2 with prior knowledge.
    #[must_use]
    pub fn http2() -> Self {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        Self(builder.http2_only(true).build(HttpConnector::new()))
    }

    /// Speaks HTTP/1.1 from the given local address.
    #[must_use]
    pub fn http1_from(local: impl Into<IpAddr>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(local.into()));
        Self(legacy::Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Sends a request; its response's body is still to be read.
    ///
    /// # Errors
    ///
    /// When no response comes.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, BoxError> {
        Ok(soon("a response", self.0.request(request)).await?)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// When no response comes, or its body breaks off.
    pub async fn fetch(&self, request: Request<Body>) -> Result<Answer, BoxError> {
        let (parts, body) = self.send(request).await?.into_parts();
        let body = soon("its body", body.collect()).await?.to_bytes();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    /// Gets a URL and reads the whole answer.
    ///
    /// # Panics
    ///
    /// When no whole answer comes.
    pub async fn get(&self, url: &str) -> Answer {
        self.fetch(request(Method::GET, url))
            .await
            .expect("a whole answer")
    }
}

impl Answer {
    /// A field's first value as text.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body")
    }
}

/// A request without a body.
///
/// # Panics
///
/// When the URL is none.
#[must_use]
pub fn request(method: Method, url: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(url)
        .body(body::empty())
        .expect("a valid request")
}

/// A GET with one more field.
///
/// # Panics
///
/// When the URL or the field is none.
#[must_use]
pub fn get_with(url: &str, name: &'static str, value: &str) -> Request<Body> {
    let mut request = request(Method::GET, url);
    request
        .headers_mut()
        .append(name, value.parse().expect("a valid field value"));
    request
}
