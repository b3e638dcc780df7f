//! Problem details of RFC 9457, with the types of draft-ietf-httpapi-ratelimit-headers-11, section 5.

use super::grpc;
use crate::body::ResponseBody;
use crate::fields::{PolicyName, number, whole_seconds};
use crate::head::Head;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use http::{Method, Response, StatusCode};
use std::time::Duration;

/// Ours, the field or two of the policies, and one to spare: the map grows from 6 to 12.
const FIELDS: usize = 6;

/// Type of a problem; of several, the last here is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// All clients together have used up what there is.
    ReducedCapacity,
    /// One client has used up what it may.
    QuotaExceeded,
    /// One client has been told so too often.
    AbnormalUsage,
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::ReducedCapacity => StatusCode::SERVICE_UNAVAILABLE,
            Self::QuotaExceeded | Self::AbnormalUsage => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ReducedCapacity => "temporary-reduced-capacity",
            Self::QuotaExceeded => "quota-exceeded",
            Self::AbnormalUsage => "abnormal-usage-detected",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::ReducedCapacity => "Reduced capacity",
            Self::QuotaExceeded => "Quota exceeded",
            Self::AbnormalUsage => "Abnormal usage detected",
        }
    }

    pub(super) fn of(violated: &[&Problem]) -> Self {
        let kinds = violated.iter().map(|problem| problem.kind);
        kinds.max().unwrap_or(Self::QuotaExceeded)
    }
}

/// What a refusal for one policy says, with all that does not change prepared: it copies no text.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    pub(super) policy: PolicyName,
    pub(super) detail: Box<str>,
    json: Bytes,
    pub(super) grpc: grpc::Prepared,
}

impl Problem {
    /// One client has used up what it may.
    pub(crate) fn quota_exceeded(policy: &PolicyName, detail: &str) -> Self {
        Self::new(Kind::QuotaExceeded, policy, detail)
    }

    /// All clients together have.
    pub(crate) fn reduced_capacity(policy: &PolicyName, detail: &str) -> Self {
        Self::new(Kind::ReducedCapacity, policy, detail)
    }

    /// One client did not stop asking, and is refused for a while whatever it has left.
    pub(crate) fn abnormal_usage(policy: &PolicyName, detail: &str) -> Self {
        Self::new(Kind::AbnormalUsage, policy, detail)
    }

    /// `detail` must be plain ASCII text without quotes.
    fn new(kind: Kind, policy: &PolicyName, detail: &str) -> Self {
        let mut problem = Self {
            kind,
            policy: policy.clone(),
            detail: detail.into(),
            json: Bytes::new(),
            grpc: grpc::Prepared::default(),
        };
        problem.json = document(&[&problem]).into();
        problem.grpc = grpc::Prepared::new(&[&problem]);
        problem
    }
}

/// The details of several policies follow each other.
pub(super) fn details(violated: &[&Problem]) -> String {
    let details: Vec<_> = violated.iter().map(|problem| &*problem.detail).collect();
    details.join(" ")
}

/// The names of several policies, in quotes.
pub(super) fn names(violated: &[&Problem], separator: &str) -> String {
    let names: Vec<_> = violated
        .iter()
        .map(|problem| problem.policy.quoted())
        .collect();
    names.join(separator)
}

fn document(violated: &[&Problem]) -> String {
    let kind = Kind::of(violated);
    format!(
        "{{\"type\":\"https://iana.org/assignments/http-problem-types#{}\",\"title\":\"{}\",\
         \"status\":{},\"detail\":\"{}\",\"violated-policies\":[{}]}}",
        kind.name(),
        kind.title(),
        kind.status().as_u16(),
        details(violated),
        names(violated, ","),
    )
}

pub(super) fn answer<B>(
    head: &Head<'_>,
    violated: &[&Problem],
    delay: Duration,
) -> Response<ResponseBody<B>> {
    response(head, violated, headers(delay))
}

pub(super) fn headers(delay: Duration) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(FIELDS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(RETRY_AFTER, retry_after(delay));
    headers
}

pub(super) fn retry_after(delay: Duration) -> HeaderValue {
    number(whole_seconds(delay).max(1))
}

pub(super) fn response<B>(
    head: &Head<'_>,
    violated: &[&Problem],
    mut headers: HeaderMap,
) -> Response<ResponseBody<B>> {
    let json = match violated {
        [one] => one.json.clone(),
        several => document(several).into(),
    };
    let body = if head.method == Method::HEAD {
        // The length that the answer to a GET has (RFC 9110, section 8.6).
        headers.insert(CONTENT_LENGTH, number(json.len() as u64));
        Bytes::new()
    } else {
        json
    };
    let mut response = Response::new(ResponseBody::made(body));
    *response.status_mut() = Kind::of(violated).status();
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use serde_json::{Value, json};

    fn ask(violated: &[&Problem], delay: Duration) -> (Response<ResponseBody<String>>, Value) {
        let request = Request::new(());
        let head = Head::from(&request);
        let document = serde_json::from_str(&document(violated)).unwrap();
        (answer(&head, violated, delay), document)
    }

    fn name(name: &str) -> PolicyName {
        PolicyName::try_new(name).unwrap()
    }

    #[test]
    fn each_kind_has_its_status_and_type() {
        let name = name(r#"a "b" \c"#);
        for (problem, status, kind, title) in [
            (
                Problem::quota_exceeded(&name, "One."),
                429,
                "quota-exceeded",
                "Quota exceeded",
            ),
            (
                Problem::abnormal_usage(&name, "One."),
                429,
                "abnormal-usage-detected",
                "Abnormal usage detected",
            ),
            (
                Problem::reduced_capacity(&name, "One."),
                503,
                "temporary-reduced-capacity",
                "Reduced capacity",
            ),
        ] {
            let (answer, document) = ask(&[&problem], Duration::ZERO);
            assert_eq!(answer.status().as_u16(), status);
            let kind = format!("https://iana.org/assignments/http-problem-types#{kind}");
            assert_eq!(
                document,
                json!({
                    "type": kind,
                    "title": title,
                    "status": status,
                    "detail": "One.",
                    "violated-policies": [r#"a "b" \c"#],
                })
            );
        }
    }

    #[test]
    fn several_policies_are_all_named() {
        let fast = Problem::quota_exceeded(&name("10/s"), "The quota is 10/s.");
        let slow = Problem::quota_exceeded(&name("99/h"), "The quota is 99/h.");
        let all = Problem::reduced_capacity(&name("all"), "Too many.");
        let (answer, document) = ask(&[&all, &fast, &slow], Duration::from_millis(2_001));
        // What the client itself may is the reason that it can do something about.
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "3");
        assert_eq!(
            document["detail"],
            "Too many. The quota is 10/s. The quota is 99/h."
        );
        assert_eq!(
            document["violated-policies"],
            json!(["all", "10/s", "99/h"])
        );
    }

    #[test]
    fn retry_after_is_rounded_up_and_at_least_one() {
        let problem = Problem::quota_exceeded(&name("x"), "One.");
        for (millis, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let (answer, _) = ask(&[&problem], Duration::from_millis(millis));
            assert_eq!(answer.headers()["retry-after"], seconds);
            assert_eq!(answer.headers()["cache-control"], "no-store");
        }
        let (answer, _) = ask(&[&problem], Duration::MAX);
        assert_eq!(answer.headers()["retry-after"], "999999999999999");
    }
}
