//! What an HTTP client is told: a problem document (RFC 9457).

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};

use super::{Asked, Overloaded, OverloadedKind, delay::whole_seconds};
use crate::ResponseBody;

const NO_ROOM: &str = concat!(
    r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","#,
    r#""title":"Temporary Reduced Capacity","status":503,"detail":"The server is short of memory."}"#,
);
const TOO_LARGE: &str = concat!(
    r#"{"type":"about:blank","title":"Content Too Large","status":413,"#,
    r#""detail":"The server can never hold content of this size in memory."}"#,
);

pub(super) fn answer<B>(asked: &Asked, why: &Overloaded) -> Response<ResponseBody<B>> {
    let (status, document) = match why.kind {
        OverloadedKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE),
        OverloadedKind::NoRoom | OverloadedKind::Shed => (StatusCode::SERVICE_UNAVAILABLE, NO_ROOM),
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
    if why.kind != OverloadedKind::TooLarge {
        headers.insert(RETRY_AFTER, whole_seconds(why.retry_after).into());
    }
    if asked.http1 && (asked.unread || why.kind == OverloadedKind::NoRoom) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
