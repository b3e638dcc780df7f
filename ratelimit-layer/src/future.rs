//! The response future of both services.

use crate::body::ResponseBody;
use http::Response;
use http_body::Body;
use pin_project::pin_project;
use std::fmt;
use std::future::Pending;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep, sleep_until};

const TWICE: &str = "polled after it was ready";

/// Future of the responses of this crate's services.
///
/// # Cancel safety
///
/// May be dropped at any time: a permit goes back at once, a place in line is given up; a unit of
/// the quota stays used.
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<F, B, T, W = Pending<Next<F, B, T>>> {
    #[pin]
    state: State<F, B, T, W>,
}

#[pin_project(project = StateProjection)]
enum State<F, B, T, W> {
    /// Boxed: who does not wait need not carry what waiting takes.
    Waiting(Pin<Box<W>>),
    Called {
        #[pin]
        future: F,
        finish: T,
    },
    /// `None` once the answer was taken.
    Refused(Option<Response<ResponseBody<B>>>),
}

/// What a wait comes to.
#[derive(Debug)]
pub enum Next<F, B, T> {
    /// The service below has been called.
    Called(F, T),
    /// It is not.
    Refused(Response<ResponseBody<B>>),
}

/// What is left to do when the response head is there; each service has its own.
pub trait Finish {
    /// Once, and also when there is none: the service below has failed.
    // In place: most of it is most often missing, and need not be moved.
    fn apply<B: Body, E>(
        &mut self,
        result: Result<Response<B>, E>,
    ) -> Result<Response<ResponseBody<B>>, E>;
}

impl<F, B, T, W> ResponseFuture<F, B, T, W> {
    #[inline]
    pub(crate) fn called(future: F, finish: T) -> Self {
        Self {
            state: State::Called { future, finish },
        }
    }

    pub(crate) fn refused(response: Response<ResponseBody<B>>) -> Self {
        Self {
            state: State::Refused(Some(response)),
        }
    }

    /// What `wait` comes to goes on in its place.
    pub(crate) fn waiting(wait: W) -> Self {
        Self {
            state: State::Waiting(Box::pin(wait)),
        }
    }
}

impl<F, B, T, W> From<Next<F, B, T>> for ResponseFuture<F, B, T, W> {
    fn from(next: Next<F, B, T>) -> Self {
        match next {
            Next::Called(future, finish) => Self::called(future, finish),
            Next::Refused(response) => Self::refused(response),
        }
    }
}

impl<F, B, T, W, E> Future for ResponseFuture<F, B, T, W>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    T: Finish,
    W: Future<Output = Next<F, B, T>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let StateProjection::Waiting(wait) = self.as_mut().project().state.project() {
            let next = ready!(wait.as_mut().poll(cx));
            self.set(next.into());
        }
        match self.project().state.project() {
            StateProjection::Called { future, finish } => {
                let result = ready!(future.poll(cx));
                Poll::Ready(finish.apply(result))
            }
            StateProjection::Refused(response) => Poll::Ready(Ok(response.take().expect(TWICE))),
            StateProjection::Waiting(_) => unreachable!("a wait goes on with a call or a refusal"),
        }
    }
}

impl<F, B, T, W> fmt::Debug for ResponseFuture<F, B, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// A request that was put by until its turn comes.
pub trait Held<Pass> {
    /// Of the service below.
    type Future;
    /// Of its response.
    type Body;
    /// What is left to do for it.
    type Finish;

    /// Its turn has come.
    fn call(self, pass: Pass) -> Next<Self::Future, Self::Body, Self::Finish>;

    /// It has not come in time.
    fn refuse(self) -> Next<Self::Future, Self::Body, Self::Finish>;
}

/// Waits for `turn`, but not beyond a deadline, and goes on with what was put by.
#[pin_project]
pub struct Waiting<T, H> {
    #[pin]
    turn: Option<T>,
    deadline: Instant,
    /// Set when the first look was in vain.
    #[pin]
    timer: Option<Sleep>,
    held: Option<H>,
}

impl<T, H> Waiting<T, H> {
    pub(crate) fn new(turn: T, deadline: Instant, held: H) -> Self {
        Self {
            turn: Some(turn),
            deadline,
            timer: None,
            held: Some(held),
        }
    }
}

impl<T, H> Future for Waiting<T, H>
where
    T: Future,
    H: Held<T::Output>,
{
    type Output = Next<H::Future, H::Body, H::Finish>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // The turn first: who has it by the deadline is in.
        if let Poll::Ready(pass) = this.turn.as_mut().as_pin_mut().expect(TWICE).poll(cx) {
            let held = this.held.take().expect(TWICE);
            return Poll::Ready(held.call(pass));
        }
        if this.timer.is_none() {
            this.timer.set(Some(sleep_until(*this.deadline)));
        }
        ready!(this.timer.as_pin_mut().expect("just set").poll(cx));
        // Out of the line before anything else.
        this.turn.set(None);
        Poll::Ready(this.held.take().expect(TWICE).refuse())
    }
}

impl<T, H> fmt::Debug for Waiting<T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}
