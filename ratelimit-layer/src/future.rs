//! The response future of both services.

use crate::body::ResponseBody;
use crate::concurrency::{Hold, Permit};
use crate::fields::Fields;
use crate::limiter::Decision;
use http::Response;
use http_body::Body;
use pin_project::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Future of the responses of this crate's services.
///
/// # Cancel safety
///
/// May be dropped at any time: a permit goes back at once; a unit of the quota stays used.
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<F, B> {
    #[pin]
    state: State<F, B>,
}

#[pin_project(project = StateProjection)]
enum State<F, B> {
    Called {
        #[pin]
        future: F,
        finish: Finish,
    },
    /// `None` once the answer was taken.
    Refused(Option<Response<ResponseBody<B>>>),
}

/// What is left to do when the response head is there.
#[derive(Debug, Default)]
pub(crate) struct Finish {
    pub(crate) fields: Option<(Arc<Fields>, Decision)>,
    pub(crate) permit: Option<(Permit, Hold)>,
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn called(future: F, finish: Finish) -> Self {
        Self {
            state: State::Called { future, finish },
        }
    }

    pub(crate) fn refused(response: Response<ResponseBody<B>>) -> Self {
        Self {
            state: State::Refused(Some(response)),
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Called { future, finish } => {
                let result = ready!(future.poll(cx));
                // Taken in any case: an error ends the request, and with it the permit.
                let Finish { fields, permit } = std::mem::take(finish);
                let mut response = result?;
                if let Some((fields, decision)) = fields {
                    fields.append(
                        response.headers_mut(),
                        decision.remaining(),
                        decision.full_in(),
                    );
                }
                let permit = match permit {
                    Some((permit, Hold::BodyEnd)) if !response.body().is_end_stream() => {
                        Some(permit)
                    }
                    _ => None,
                };
                Poll::Ready(Ok(response.map(|body| ResponseBody::inner(body, permit))))
            }
            StateProjection::Refused(response) => {
                Poll::Ready(Ok(response.take().expect("polled after it was ready")))
            }
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
