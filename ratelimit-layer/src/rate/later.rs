//! Requests that wait for their units: a leaky bucket as a queue.
//!
//! Units are taken at once, ahead of time, and the request goes when they would have come back. So
//! each client's requests go in the order in which they came, and the queue takes no memory but the
//! requests'. Who leaves from the end gives back its units; who leaves from the middle does not, as
//! those behind have their times already.

use super::charged::Charged;
use super::handle::State;
use crate::algorithm::Act;
use crate::concurrency::Patience;
use crate::future::Next;
use crate::limiter::{Ruled, Rulings};
use http::{Request, Response};
use pin_project::pin_project;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

/// Units taken ahead of time: given back if this is dropped before it is used.
#[derive(Debug)]
pub(super) struct Ticket {
    state: Arc<State>,
    /// When the request goes, by the limiter's clock: units were taken as of then.
    taken_at: u64,
    charged: Box<[Ruled]>,
    used: bool,
}

impl Ticket {
    /// `None` if too many requests wait already; then the units are back.
    pub(super) fn new(state: &Arc<State>, taken_at: u64, rulings: &Rulings) -> Option<Self> {
        let waiting = state.waiting.fetch_add(1, Relaxed);
        let mut ticket = Self {
            state: Arc::clone(state),
            taken_at,
            charged: rulings[..].into(),
            used: false,
        };
        if waiting >= state.max_waiting {
            ticket.give_back();
            ticket.used = true;
            return None;
        }
        Some(ticket)
    }

    fn give_back(&self) {
        let limiter = &self.state.limiter;
        let share = limiter.signal.share(self.taken_at);
        for ruled in self
            .charged
            .iter()
            .filter(|ruled| ruled.ruling.verdict.allowed)
        {
            let then = self.taken_at.saturating_add(ruled.ruling.verdict.full_in);
            let act = Act::Undo(ruled.demand.cost, then);
            let _ = limiter.ask(ruled, self.taken_at, share, act);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.state.waiting.fetch_sub(1, Relaxed);
        if !self.used {
            self.give_back();
        }
    }
}

/// A request and what is left to do for it.
#[derive(Debug)]
pub(super) struct InHand<B> {
    pub(super) request: Request<B>,
    pub(super) charged: Charged,
}

/// A request that goes when its units are there.
#[pin_project]
pub struct Later<S, W: Patience<S>, B, ResBody> {
    #[pin]
    sleep: Sleep,
    ticket: Ticket,
    held: Option<W::Held<InHand<B>>>,
    body: PhantomData<fn() -> ResBody>,
}

impl<S, W: Patience<S>, B, ResBody> Later<S, W, B, ResBody> {
    pub(super) fn new(wait: Duration, ticket: Ticket, held: W::Held<InHand<B>>) -> Self {
        Self {
            sleep: sleep_until(Instant::now() + wait),
            ticket,
            held: Some(held),
            body: PhantomData,
        }
    }
}

impl<S, W, B, ResBody> Future for Later<S, W, B, ResBody>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    W: Patience<S>,
{
    type Output = Next<S::Future, ResBody, Charged>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        ready!(this.sleep.poll(cx));
        this.ticket.used = true;
        let held = this.held.take().expect("polled after it was ready");
        let (mut service, InHand { request, charged }) = W::open(held);
        Poll::Ready(Next::Called(service.call(request), charged))
    }
}

impl<S, W: Patience<S>, B, ResBody> fmt::Debug for Later<S, W, B, ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Later").finish_non_exhaustive()
    }
}
