//! The answer to a request that is refused: a response, never an error.

use crate::body::ResponseBody;
use crate::fields::PolicyName;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Response, StatusCode};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const RESOURCE_EXHAUSTED: HeaderValue = HeaderValue::from_static("8");

/// Answers a refused request; the default is the crate's own answer, a closure replaces it.
pub trait Rejection<Why, B> {
    /// `standard` makes the crate's own answer.
    fn answer(
        &self,
        parts: &Parts,
        why: &Why,
        standard: impl FnOnce() -> Response<ResponseBody<B>>,
    ) -> Response<ResponseBody<B>>;
}

/// The crate's own answer: problem+json, or trailers-only to gRPC.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standard;

impl<Why, B> Rejection<Why, B> for Standard {
    fn answer(
        &self,
        _: &Parts,
        _: &Why,
        standard: impl FnOnce() -> Response<ResponseBody<B>>,
    ) -> Response<ResponseBody<B>> {
        standard()
    }
}

impl<F, Why, B> Rejection<Why, B> for F
where
    F: Fn(&Parts, &Why) -> Response<B>,
{
    fn answer(
        &self,
        parts: &Parts,
        why: &Why,
        _: impl FnOnce() -> Response<ResponseBody<B>>,
    ) -> Response<ResponseBody<B>> {
        self(parts, why).map(|body| ResponseBody::inner(body, None))
    }
}

/// A problem of RFC 9457 with all that does not change prepared: an answer copies no text.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    json: Bytes,
    grpc_message: HeaderValue,
}

impl Problem {
    /// One client has used up what it may.
    pub(crate) fn quota_exceeded(policy: &PolicyName, detail: &str) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "quota-exceeded",
            "Quota exceeded",
            policy,
            detail,
        )
    }

    /// All clients together have.
    pub(crate) fn reduced_capacity(policy: &PolicyName, detail: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporary-reduced-capacity",
            "Reduced capacity",
            policy,
            detail,
        )
    }

    /// `name` and `detail` must be plain ASCII text without quotes.
    fn new(status: StatusCode, name: &str, title: &str, policy: &PolicyName, detail: &str) -> Self {
        let json = format!(
            "{{\"type\":\"https://iana.org/assignments/http-problem-types#{name}\",\"title\":\"{title}\",\
             \"status\":{},\"detail\":\"{detail}\",\"violated-policies\":[{}]}}",
            status.as_u16(),
            policy.quoted(),
        );
        let grpc_message =
            percent_encoded(&format!("{title}: {detail} (policy {})", policy.quoted()));
        Self {
            status,
            json: Bytes::from(json),
            grpc_message: HeaderValue::try_from(grpc_message)
                .expect("percent-encoding leaves printable ASCII"),
        }
    }

    pub(crate) fn answer<B>(&self, parts: &Parts, retry_after: u64) -> Response<ResponseBody<B>> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let grpc = is_grpc(&parts.headers);
        let body = if grpc {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(GRPC_STATUS, RESOURCE_EXHAUSTED);
            headers.insert(GRPC_MESSAGE, self.grpc_message.clone());
            Bytes::new()
        } else {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/problem+json"),
            );
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.max(1)));
            if parts.method == Method::HEAD {
                Bytes::new()
            } else {
                self.json.clone()
            }
        };
        let mut response = Response::new(ResponseBody::made(body));
        *response.status_mut() = if grpc { StatusCode::OK } else { self.status };
        *response.headers_mut() = headers;
        response
    }
}

/// `application/grpc`, alone or with a message format or parameters behind it; not `grpc-web`.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().split_at_checked(b"application/grpc".len()))
        .is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(b"application/grpc")
                && matches!(rest.first(), None | Some(b'+' | b';'))
        })
}

/// As `grpc-message` asks: printable ASCII stays, but for the percent sign.
fn percent_encoded(message: &str) -> String {
    message
        .bytes()
        .fold(String::with_capacity(message.len()), |mut encoded, byte| {
            match byte {
                b'%' | ..=0x1f | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
                byte => encoded.push(char::from(byte)),
            }
            encoded
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_by_its_content_type() {
        let is = |value: &'static str| {
            is_grpc(&HeaderMap::from_iter([(
                CONTENT_TYPE,
                HeaderValue::from_static(value),
            )]))
        };
        for grpc in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;x=y",
            "Application/GRPC",
        ] {
            assert!(is(grpc), "{grpc}");
        }
        for other in [
            "application/grpc-web",
            "application/grpcx",
            "application/json",
            "application",
            "",
        ] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("100% of \"q\"\n"), "100%25 of \"q\"%0A");
        assert_eq!(percent_encoded("é~"), "%C3%A9~");
    }
}
