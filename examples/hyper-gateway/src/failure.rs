//! Why there is no answer from the upstream, and what its client is told.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use pin_project::pin_project;

use crate::answer::problem;

/// Why there is no answer from the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Unreachable,
    TimedOut,
    /// The connection ended before the answer began.
    Lost,
    /// What came is no answer.
    Broken,
    Circle,
    ClientStalled,
    ClientBroke,
}

impl Failure {
    fn explain(self) -> Response<Full<Bytes>> {
        let (status, detail) = match self {
            Self::Unreachable => (
                StatusCode::BAD_GATEWAY,
                "The upstream server cannot be reached.",
            ),
            Self::TimedOut => (
                StatusCode::GATEWAY_TIMEOUT,
                "The upstream server did not answer in time.",
            ),
            Self::Lost | Self::Broken => (
                StatusCode::BAD_GATEWAY,
                "The upstream server gave no valid answer.",
            ),
            Self::Circle => (
                StatusCode::LOOP_DETECTED,
                "The request came back to this gateway.",
            ),
            Self::ClientStalled => (
                StatusCode::REQUEST_TIMEOUT,
                "The request's body stopped arriving.",
            ),
            Self::ClientBroke => (
                StatusCode::BAD_REQUEST,
                "The request's body ended before its length.",
            ),
        };
        problem(status, detail)
    }
}

/// The stack's future, in which failures become answers: outside of all layers, so that none takes
/// the gateway's word for the upstream's.
#[derive(Debug)]
#[pin_project]
pub(crate) struct Explained<F>(#[pin] pub(crate) F);

impl<F, B> Future for Explained<F>
where
    F: Future<Output = Result<Response<B>, Failure>>,
{
    type Output = Result<Response<Either<B, Full<Bytes>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match ready!(self.project().0.poll(context)) {
            Ok(answer) => answer.map(Either::Left),
            Err(failure) => failure.explain().map(Either::Right),
        }))
    }
}
