//! How a refusal is said: in HTTP, in gRPC, or as the service's owner wants it.

mod overloaded;

pub use overloaded::{Overloaded, OverloadedKind};

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Version,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};

use crate::ResponseBody;

const NO_ROOM: &str = concat!(
    r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","#,
    r#""title":"Temporary Reduced Capacity","status":503,"detail":"The server is short of memory."}"#,
);
const TOO_LARGE: &str = concat!(
    r#"{"type":"about:blank","title":"Content Too Large","status":413,"#,
    r#""detail":"The server can never hold content of this size in memory."}"#,
);

/// Answers a refused request: [`ProblemDetails`], or a closure given to
/// [`with_rejection`](crate::MemGuardLayer::with_rejection).
pub trait Rejection<B>: private::Respond<B> {}

impl<B, R: private::Respond<B>> Rejection<B> for R {}

/// The default answer.
///
/// HTTP: 503 with Retry-After and a problem document `temporary-reduced-capacity` (RFC 9457), or 413 if the body can
/// never fit; `cache-control: no-store`, and on HTTP/1 `connection: close` if the body was not read. gRPC (by the
/// request's content-type): status `RESOURCE_EXHAUSTED` in a response without a body.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemDetails;

/// What is remembered of a request until it is known whether it is refused.
#[derive(Debug)]
pub struct Asked {
    grpc: bool,
    head: bool,
    close: bool,
    parts: Option<Box<Parts>>,
}

impl Asked {
    /// `unread`: the request has a body that may not be read to its end.
    pub(crate) fn by(parts: &Parts, unread: bool, keep_parts: bool) -> Self {
        Self {
            grpc: is_grpc(&parts.headers),
            head: parts.method == Method::HEAD,
            close: unread && parts.version <= Version::HTTP_11,
            parts: keep_parts.then(|| Box::new(parts.clone())),
        }
    }
}

pub(crate) mod private {
    use super::{Asked, Overloaded, Response, ResponseBody};

    /// Sealed: outside this crate only `Rejection` is named.
    pub trait Respond<B> {
        /// Whether the answer needs the whole head of the request.
        const KEEPS_PARTS: bool;

        fn respond(&self, asked: &Asked, why: &Overloaded) -> Response<ResponseBody<B>>;
    }
}

impl<B> private::Respond<B> for ProblemDetails {
    const KEEPS_PARTS: bool = false;

    fn respond(&self, asked: &Asked, why: &Overloaded) -> Response<ResponseBody<B>> {
        let mut response = if asked.grpc {
            grpc()
        } else {
            problem(asked, why)
        };
        response.extensions_mut().insert(why.clone());
        response
    }
}

impl<B, F: Fn(&Parts, &Overloaded) -> Response<B>> private::Respond<B> for F {
    const KEEPS_PARTS: bool = true;

    fn respond(&self, asked: &Asked, why: &Overloaded) -> Response<ResponseBody<B>> {
        let parts = asked
            .parts
            .as_deref()
            .expect("kept, since this answer needs it");
        let mut response = self(parts, why).map(ResponseBody::passed);
        response.extensions_mut().insert(why.clone());
        response
    }
}

fn problem<B>(asked: &Asked, why: &Overloaded) -> Response<ResponseBody<B>> {
    let (status, document) = match why.kind {
        OverloadedKind::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, NO_ROOM),
        OverloadedKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE),
    };
    // A HEAD response says the length that the GET response would have (RFC 9110 section 8.6).
    let body = if asked.head { "" } else { document };
    let mut response = Response::new(ResponseBody::own(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CONTENT_LENGTH, document.len().into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if why.kind == OverloadedKind::NoRoom {
        headers.insert(RETRY_AFTER, whole_seconds(why.retry_after).into());
    }
    if asked.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Trailers-only: the status stands in the header section and the body ends at once.
fn grpc<B>() -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::own(Bytes::new()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("8"));
    // No character of it needs percent-encoding.
    headers.insert(
        "grpc-message",
        HeaderValue::from_static("the server is short of memory"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// At least one, rounded up.
fn whole_seconds(delay: Duration) -> u64 {
    delay
        .as_secs()
        .saturating_add(u64::from(delay.subsec_nanos() > 0))
        .max(1)
}

/// `application/grpc`, alone or with a message format or parameters behind it; not `grpc-web`. Media types have no case.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().split_at_checked(b"application/grpc".len()))
        .is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(b"application/grpc")
                && matches!(rest.first(), None | Some(b'+' | b';'))
        })
}
