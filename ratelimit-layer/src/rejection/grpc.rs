//! What a gRPC client is told: a response without a body, whose fields are its trailers.
//!
//! `RESOURCE_EXHAUSTED` whoever has used up what, since clients take HTTP's 503 for a server that is
//! not there. When to come back is said twice: in `grpc-retry-pushback-ms`, for the retries of gRPC
//! libraries (gRFC A6), and in `grpc-status-details-bin` as `RetryInfo`, beside a `QuotaFailure`, for
//! the callers. gRPC-Web has its trailers in the body and is answered as HTTP.

use super::problem::{Kind, Problem, details, names};
use crate::body::ResponseBody;
use crate::fields::number;
use arrayvec::ArrayVec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use prost::Message as _;
use std::time::Duration;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(super) const GRPC_STATUS_DETAILS: HeaderName =
    HeaderName::from_static("grpc-status-details-bin");
pub(super) const GRPC_RETRY_PUSHBACK: HeaderName =
    HeaderName::from_static("grpc-retry-pushback-ms");

const RESOURCE_EXHAUSTED: i32 = 8;

/// Ours and those of the policies.
const FIELDS: usize = 8;

/// Bytes that base64 turns into whole characters.
const GROUP: usize = 3;

/// Bytes of the longest [`RetryStatus`], with a span of [`MAX_SECONDS`] and some nanoseconds.
const RETRY_STATUS: usize = 61;

/// Longest span of google.protobuf.Duration: 10,000 years.
const MAX_SECONDS: u64 = 315_576_000_000;

/// All that does not depend on the wait.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    message: HeaderValue,
    /// google.rpc.Status without its `RetryInfo`, in base64 but for the bytes that do not fill a group.
    status: String,
    rest: ArrayVec<u8, 2>,
}

impl Default for Prepared {
    fn default() -> Self {
        Self {
            message: HeaderValue::from_static(""),
            status: String::new(),
            rest: ArrayVec::new(),
        }
    }
}

impl Prepared {
    pub(super) fn new(violated: &[&Problem]) -> Self {
        let message = format!(
            "{}: {} ({} {})",
            Kind::of(violated).title(),
            details(violated),
            if violated.len() == 1 {
                "policy"
            } else {
                "policies"
            },
            names(violated, ", "),
        );
        let violations = violated.iter().map(|problem| Violation {
            subject: format!("policy:{}", problem.policy.as_str()),
            description: problem.detail.to_string(),
        });
        let failure = QuotaFailure {
            violations: violations.collect(),
        };
        let encoded = percent_encoded(&message);
        let status = Status {
            code: RESOURCE_EXHAUSTED,
            message,
            details: vec![Any {
                type_url: "type.googleapis.com/google.rpc.QuotaFailure".into(),
                value: failure.encode_to_vec(),
            }],
        };
        let status = status.encode_to_vec();
        let (groups, rest) = status.split_at(status.len() / GROUP * GROUP);
        Self {
            message: HeaderValue::try_from(encoded)
                .expect("percent-encoding leaves printable ASCII"),
            status: STANDARD_NO_PAD.encode(groups),
            rest: rest.iter().copied().collect(),
        }
    }

    pub(super) fn details(&self, delay: Duration) -> HeaderValue {
        let delay = Span {
            seconds: delay.as_secs().min(MAX_SECONDS).cast_signed(),
            nanos: delay.subsec_nanos().cast_signed(),
        };
        let retry = RetryStatus {
            detail: Some(RetryDetail {
                type_url: Bytes::from_static(b"type.googleapis.com/google.rpc.RetryInfo"),
                value: Some(RetryInfo {
                    retry_delay: Some(delay),
                }),
            }),
        };
        // Two messages one after the other are one that has the details of both.
        let mut end = [0; 2 + RETRY_STATUS];
        end[..self.rest.len()].copy_from_slice(&self.rest);
        let mut free = &mut end[self.rest.len()..];
        retry.encode(&mut free).expect("the longest has room");
        let unused = free.len();
        let end = &end[..end.len() - unused];
        let mut status = String::with_capacity(self.status.len() + 2 * end.len());
        status.push_str(&self.status);
        // Without padding, as the specification of gRPC over HTTP/2 asks of senders.
        STANDARD_NO_PAD.encode_string(end, &mut status);
        HeaderValue::from_maybe_shared(Bytes::from(status)).expect("base64 is printable ASCII")
    }
}

pub(super) fn answer<B>(violated: &[&Problem], delay: Duration) -> Response<ResponseBody<B>> {
    let several;
    let prepared = match violated {
        [one] => &one.grpc,
        violated => {
            several = Prepared::new(violated);
            &several
        }
    };
    response(headers(prepared, delay))
}

pub(super) fn headers(prepared: &Prepared, delay: Duration) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(FIELDS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static("8"));
    headers.insert(GRPC_MESSAGE, prepared.message.clone());
    headers.insert(GRPC_STATUS_DETAILS, prepared.details(delay));
    headers.insert(GRPC_RETRY_PUSHBACK, pushback(delay));
    headers
}

pub(super) fn response<B>(headers: HeaderMap) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::made(Bytes::new()));
    *response.headers_mut() = headers;
    response
}

/// Milliseconds, rounded up. More than a signed 32-bit integer holds means to clients that they must
/// never come back.
pub(super) fn pushback(delay: Duration) -> HeaderValue {
    let millis = delay.as_nanos().div_ceil(1_000_000);
    number(u64::try_from(millis).map_or(i32::MAX as u64, |millis| millis.min(i32::MAX as u64)))
}

/// `application/grpc`, alone or with a message format or parameters behind it; not `grpc-web`.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
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

// --- Messages of google/rpc/status.proto and error_details.proto, as far as they are used --------

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// A [`Status`] that has nothing but one detail: on the wire a list of one is its item.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryStatus {
    #[prost(message, optional, tag = "3")]
    detail: Option<RetryDetail>,
}

/// An [`Any`] that is written in one go: on the wire strings and messages are bytes with a length.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryDetail {
    #[prost(bytes = "bytes", tag = "1")]
    type_url: Bytes,
    #[prost(message, optional, tag = "2")]
    value: Option<RetryInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Span>,
}

/// google.protobuf.Duration.
#[derive(Clone, PartialEq, prost::Message)]
struct Span {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct QuotaFailure {
    #[prost(message, repeated, tag = "1")]
    violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Violation {
    #[prost(string, tag = "1")]
    subject: String,
    #[prost(string, tag = "2")]
    description: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::PolicyName;
    use tonic::{Code, Status};
    use tonic_types::StatusExt as _;

    fn problem(name: &str, detail: &str) -> Problem {
        Problem::quota_exceeded(&PolicyName::try_new(name).unwrap(), detail)
    }

    /// As a tonic client reads it.
    fn told(violated: &[&Problem], delay: Duration) -> (Response<ResponseBody<String>>, Status) {
        let answer = answer(violated, delay);
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        (answer, status)
    }

    #[test]
    fn details_say_when_to_come_back_and_what_was_over() {
        let delay = Duration::from_millis(2_500);
        let (answer, status) = told(&[&problem("100%", "The quota is 1/m.")], delay);
        assert_eq!(answer.headers()["grpc-retry-pushback-ms"], "2500");
        let message = "Quota exceeded: The quota is 1/m. (policy \"100%\")";
        assert_eq!(status.message(), message);
        let details = status.get_error_details();
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(delay));
        let [violation] = &details.quota_failure().unwrap().violations[..] else {
            panic!("{details:?}");
        };
        assert_eq!(violation.subject, "policy:100%");
        assert_eq!(violation.description, "The quota is 1/m.");
        // The status in the details repeats code and message.
        let inner = super::Status::decode(status.details()).unwrap();
        assert_eq!((inner.code, inner.message.as_str()), (8, message));
    }

    #[test]
    fn several_policies_are_all_violated() {
        let (fast, slow) = (problem("fast", "One."), problem("slow", "Two."));
        let (_, status) = told(&[&fast, &slow], Duration::from_secs(1));
        assert_eq!(
            status.message(),
            "Quota exceeded: One. Two. (policies \"fast\", \"slow\")"
        );
        let details = status.get_error_details();
        let violations = &details.quota_failure().unwrap().violations;
        let subjects: Vec<_> = violations.iter().map(|one| one.subject.as_str()).collect();
        assert_eq!(subjects, ["policy:fast", "policy:slow"]);
    }

    #[test]
    fn details_have_no_padding() {
        // One of three lengths in a row needs none anyway.
        for name in ["a", "ab", "abc"] {
            let (answer, _) = told(&[&problem(name, "One.")], Duration::from_secs(1));
            let details = &answer.headers()[GRPC_STATUS_DETAILS];
            assert!(!details.to_str().unwrap().contains('='), "{details:?}");
        }
    }

    #[test]
    fn the_longest_delay_stays_in_range() {
        let (answer, status) = told(&[&problem("x", "One.")], Duration::MAX);
        assert_eq!(answer.headers()[GRPC_RETRY_PUSHBACK], "2147483647");
        let details = status.get_error_details();
        let delay = details.retry_info().unwrap().retry_delay.unwrap();
        assert_eq!(delay, Duration::new(MAX_SECONDS, 999_999_999));
        for (nanos, millis) in [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(pushback(Duration::from_nanos(nanos)), millis.to_string());
        }
    }

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
