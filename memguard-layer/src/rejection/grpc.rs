//! What a gRPC client is told: a response without a body, whose fields are its trailers.
//!
//! `RESOURCE_EXHAUSTED`, since clients take HTTP's 503 for a server that is not there, and when to come back in
//! `grpc-retry-pushback-ms` (gRFC A6). gRPC-Web has its trailers in the body and is answered as HTTP.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

use super::{Overloaded, OverloadedKind, delay::pushback_millis};
use crate::ResponseBody;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

const RESOURCE_EXHAUSTED: HeaderValue = HeaderValue::from_static("8");

pub(super) fn answer<B>(why: &Overloaded) -> Response<ResponseBody<B>> {
    // No character of the messages needs percent-encoding; below zero means not to come back.
    let (message, pushback) = match why.kind {
        OverloadedKind::TooLarge => (
            "the server can never hold a message of this size in memory",
            HeaderValue::from_static("-1"),
        ),
        OverloadedKind::NoRoom | OverloadedKind::Shed => (
            "the server is short of memory",
            pushback_millis(why.retry_after).into(),
        ),
    };
    let mut response = Response::new(ResponseBody::own(Bytes::new()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, RESOURCE_EXHAUSTED);
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    headers.insert(GRPC_RETRY_PUSHBACK, pushback);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `application/grpc`, alone or with a message format or parameters behind it; not `grpc-web`. Media types have no case.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().split_at_checked(b"application/grpc".len()))
        .is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(b"application/grpc")
                && matches!(rest.first(), None | Some(b'+' | b';'))
        })
}
