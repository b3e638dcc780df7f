//! What an answer says about the service's load.

use crate::head::ResponseHead;
use http::StatusCode;

/// What became of a request, for [`Adaptive::judge_by`](crate::Adaptive::judge_by).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// The service has answered.
    Answered(ResponseHead<'a>),
    /// It has returned an error.
    Failed,
}

/// What an outcome says about the service's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Its round trip counts.
    Sample,
    /// The service has too much to do. The round trip does not count: refusals are quick.
    Overload,
    /// Nothing, like an answer from a cache.
    Ignore,
}

impl Verdict {
    /// Errors, 503 and 504 are overload, and so are `UNAVAILABLE` and `DEADLINE_EXCEEDED` from a gRPC
    /// service that answers with trailers only; everything else is a sample.
    pub(super) fn standard(outcome: &Outcome<'_>) -> Self {
        match outcome {
            Outcome::Failed => Self::Overload,
            Outcome::Answered(head) => match head.status {
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Self::Overload,
                StatusCode::OK => match head
                    .headers
                    .get("grpc-status")
                    .map(|value| value.as_bytes())
                {
                    Some(b"4" | b"14") => Self::Overload,
                    _ => Self::Sample,
                },
                _ => Self::Sample,
            },
        }
    }
}
