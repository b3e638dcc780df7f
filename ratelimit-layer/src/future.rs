//! The response future of both services.

use crate::adaptive::{Flight, Outcome};
use crate::body::ResponseBody;
use crate::concurrency::{Hold, Permit, Place};
use crate::head::ResponseHead;
use crate::limiter::Decision;
use crate::rate::{Settlement, Told};
use http::Response;
use http_body::Body;
use pin_project::pin_project;
use std::fmt;
use std::future::Pending;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Future of the responses of this crate's services.
///
/// # Cancel safety
///
/// May be dropped at any time: a permit goes back at once, a place in line is given up; a unit of
/// the quota stays used.
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<F, B, W = Pending<Next<F, B>>> {
    #[pin]
    state: State<F, B, W>,
}

#[pin_project(project = StateProjection)]
enum State<F, B, W> {
    /// Boxed: who does not wait need not carry what waiting takes.
    Waiting(Pin<Box<W>>),
    Called {
        #[pin]
        future: F,
        finish: Finish,
    },
    /// `None` once the answer was taken.
    Refused(Option<Response<ResponseBody<B>>>),
}

/// What a wait comes to.
#[derive(Debug)]
pub enum Next<F, B> {
    /// The service below has been called.
    Called(F, Finish),
    /// It is not.
    Refused(Response<ResponseBody<B>>),
}

/// What is left to do when the response head is there.
#[derive(Debug, Default)]
pub struct Finish {
    pub(crate) told: Option<Told>,
    /// Put into the response's extensions.
    pub(crate) decision: Option<Decision>,
    /// Boxed: few policies settle anything.
    pub(crate) settlement: Option<Box<Settlement>>,
    /// Before the permit, so that one that is dropped counts itself in.
    pub(crate) flight: Option<Flight>,
    pub(crate) permit: Option<(Permit, Keep)>,
}

/// How long a permit is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keep {
    pub(crate) hold: Hold,
    /// Lent to others while the body's reader rests for longer.
    pub(crate) idle: Option<Duration>,
}

impl<F, B, W> ResponseFuture<F, B, W> {
    pub(crate) fn called(future: F, finish: Finish) -> Self {
        Next::Called(future, finish).into()
    }

    pub(crate) fn refused(response: Response<ResponseBody<B>>) -> Self {
        Next::Refused(response).into()
    }

    /// What `wait` comes to goes on in its place.
    pub(crate) fn waiting(wait: W) -> Self {
        Self {
            state: State::Waiting(Box::pin(wait)),
        }
    }
}

impl<F, B, W> From<Next<F, B>> for ResponseFuture<F, B, W> {
    fn from(next: Next<F, B>) -> Self {
        let state = match next {
            Next::Called(future, finish) => State::Called { future, finish },
            Next::Refused(response) => State::Refused(Some(response)),
        };
        Self { state }
    }
}

impl<F, B, W, E> Future for ResponseFuture<F, B, W>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    W: Future<Output = Next<F, B>>,
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
                // Taken in any case: an error ends the request, and with it the permit.
                Poll::Ready(std::mem::take(finish).apply(result))
            }
            StateProjection::Refused(response) => {
                Poll::Ready(Ok(response.take().expect("polled after it was ready")))
            }
            StateProjection::Waiting(_) => unreachable!("a wait goes on with a call or a refusal"),
        }
    }
}

impl Finish {
    fn apply<B: Body, E>(
        self,
        result: Result<Response<B>, E>,
    ) -> Result<Response<ResponseBody<B>>, E> {
        if let Some(flight) = self.flight {
            flight.end(&match &result {
                Ok(response) => Outcome::Answered(response.into()),
                Err(_) => Outcome::Failed,
            });
        }
        let mut response = result?;
        let head = ResponseHead::from(&response);
        let tally = self.settlement.and_then(|open| open.at_head(&head));
        if let Some(told) = self.told {
            told.append(response.headers_mut());
        }
        if let Some(decision) = self.decision {
            response.extensions_mut().insert(decision);
        }
        let place = match self.permit {
            Some((permit, keep))
                if keep.hold == Hold::BodyEnd && !response.body().is_end_stream() =>
            {
                Some(Place::new(permit, keep.idle))
            }
            _ => None,
        };
        Ok(response.map(|body| ResponseBody::inner(body, place, tally)))
    }
}

impl<F, B, W> fmt::Debug for ResponseFuture<F, B, W> {
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

    /// Its turn has come.
    fn call(self, pass: Pass) -> Next<Self::Future, Self::Body>;

    /// It has not come in time.
    fn refuse(self) -> Next<Self::Future, Self::Body>;
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
    type Output = Next<H::Future, H::Body>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const TWICE: &str = "polled after it was ready";
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
