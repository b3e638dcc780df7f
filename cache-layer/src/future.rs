//! The future of [`Cache`](crate::Cache).

use crate::body::ResponseBody;
use crate::cache_status::{Details, Outcome};
use crate::head::HeadSent;
use crate::shared::Shared;
use crate::write::Write;
use http::Response;
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The answer to a request, from the store or from the service.
///
/// # Cancel safety
///
/// Dropping it takes back a request that was only passed on. A request that fills the store goes on
/// without its client, for the store and for the others who wait for it.
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<F, R, E>(#[pin] Kind<F, R, E>);

#[pin_project(project = KindProjected)]
enum Kind<F, R, E> {
    Ready(Option<Response<ResponseBody<R>>>),
    Forward {
        #[pin]
        response: F,
        shared: Arc<Shared>,
        after: After,
    },
    // Hits do not take this way.
    Boxed(BoxedFuture<R, E>),
}

pub(crate) type BoxedFuture<R, E> =
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody<R>>, E>> + Send>>;

/// What remains to be done with an answer that was passed on.
pub(crate) struct After {
    pub(crate) outcome: Outcome,
    /// Boxed: its key must not make each hit's future larger.
    pub(crate) then: Option<Box<Then>>,
}

/// What an answer may change in the store.
pub(crate) enum Then {
    Invalidate(Write),
    Update(HeadSent),
}

impl After {
    pub(crate) fn nothing(outcome: Outcome) -> Self {
        Self {
            outcome,
            then: None,
        }
    }
}

impl<F, R, E> ResponseFuture<F, R, E> {
    pub(crate) fn ready(response: Response<ResponseBody<R>>) -> Self {
        Self(Kind::Ready(Some(response)))
    }

    pub(crate) fn forward(response: F, shared: Arc<Shared>, after: After) -> Self {
        Self(Kind::Forward {
            response,
            shared,
            after,
        })
    }

    pub(crate) fn boxed(answer: BoxedFuture<R, E>) -> Self {
        Self(Kind::Boxed(answer))
    }
}

impl<F, R, E> Future for ResponseFuture<F, R, E>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().0.project() {
            KindProjected::Ready(response) => {
                Poll::Ready(Ok(response.take().expect("polled after completion")))
            }
            KindProjected::Forward {
                response,
                shared,
                after,
            } => {
                let mut response = ready!(response.poll(cx))?;
                let status = response.status();
                match after.then.as_deref() {
                    // RFC 9111 section 4.4: a non-error answer to an unsafe method.
                    Some(Then::Invalidate(write))
                        if status.is_success() || status.is_redirection() =>
                    {
                        shared.written(write, response.headers());
                    }
                    Some(Then::Update(sent)) => {
                        sent.answered(shared, status, response.headers(), response.extensions());
                    }
                    _ => {}
                }
                let field = &shared.settings.status_field;
                field.append(response.headers_mut(), after.outcome, &Details::default());
                Poll::Ready(Ok(response.map(ResponseBody::own)))
            }
            KindProjected::Boxed(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl<F, R, E> fmt::Debug for ResponseFuture<F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
