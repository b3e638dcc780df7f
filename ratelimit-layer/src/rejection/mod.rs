//! The answer to a request that is refused: a response, never an error.

mod delay;
mod grpc;
mod problem;
mod template;

pub(crate) use delay::delayed;
pub(crate) use problem::Problem;
pub(crate) use template::Template;

use crate::body::ResponseBody;
use crate::head::Head;
use http::Response;
use std::time::Duration;

/// Answers a refused request; the default is the crate's own answer, a closure replaces it.
pub trait Rejection<Why, B> {
    /// `standard` makes the crate's own answer.
    fn answer(
        &self,
        head: &Head<'_>,
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
        _: &Head<'_>,
        _: &Why,
        standard: impl FnOnce() -> Response<ResponseBody<B>>,
    ) -> Response<ResponseBody<B>> {
        standard()
    }
}

impl<F, Why, B> Rejection<Why, B> for F
where
    F: Fn(&Head<'_>, &Why) -> Response<B>,
{
    fn answer(
        &self,
        head: &Head<'_>,
        why: &Why,
        _: impl FnOnce() -> Response<ResponseBody<B>>,
    ) -> Response<ResponseBody<B>> {
        self(head, why).map(|body| ResponseBody::inner(body, None, None))
    }
}

/// The crate's own answer to a request that violates these policies, at least one; the client may
/// come back after `delay`.
pub(crate) fn answer<B>(
    head: &Head<'_>,
    violated: &[&Problem],
    delay: Duration,
) -> Response<ResponseBody<B>> {
    if grpc::is_grpc(head.headers) {
        grpc::answer(violated, delay)
    } else {
        problem::answer(head, violated, delay)
    }
}
