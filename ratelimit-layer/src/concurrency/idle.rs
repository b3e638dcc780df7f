//! The place of a response body, lent to others while nobody reads.

use super::permits::{Permit, Permits, Turn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// What a response body holds until it ends.
pub(crate) enum Place {
    Held {
        _permit: Permit,
    },
    /// Boxed: only bodies with an idle limit pay for the timer.
    Watched(Box<Watched>),
}

impl Place {
    /// With an `idle` limit, the time runs from now.
    pub(crate) fn new(permit: Permit, idle: Option<Duration>) -> Self {
        match idle {
            None => Self::Held { _permit: permit },
            Some(idle) => Self::Watched(Box::new(Watched::new(permit, idle))),
        }
    }

    /// The reader asks: ready when the body has a place to go on.
    #[inline]
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Held { .. } => Poll::Ready(()),
            Self::Watched(watched) => watched.poll_take(cx),
        }
    }

    /// The reader has been given something; now it is up to it.
    #[inline]
    pub(crate) fn rest(&mut self) {
        if let Self::Watched(watched) = self {
            watched.rest();
        }
    }
}

/// A place that is lent to others while the reader rests for too long.
///
/// A body that nobody reads is not polled, so it cannot look at a clock. Its timer's waker is what
/// gives the place back: no task is needed.
pub(crate) struct Watched {
    idle: Duration,
    /// Before `rest`, so that what the timer drops under its lock is never the last of it.
    timer: Pin<Box<Sleep>>,
    rest: Arc<Rest>,
    waker: Waker,
    state: State,
}

enum State {
    /// The service is to produce the next frame, however long that takes.
    Working(Permit),
    Resting,
    /// The place was lent; back in line.
    Returning(Turn),
}

/// What the timer's waker gets at.
struct Rest {
    permits: Arc<Permits>,
    client: u64,
    /// The permit and when it goes, while the reader rests.
    permit: Mutex<Option<(Permit, Instant)>>,
}

impl Rest {
    fn take(&self, due: impl FnOnce(Instant) -> bool) -> Option<Permit> {
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit
            .take_if(|(_, end)| due(*end))
            .map(|(permit, _)| permit)
    }
}

impl Wake for Rest {
    fn wake(self: Arc<Self>) {
        // An earlier rest's timer may come late.
        if let Some(permit) = self.take(|end| end <= Instant::now()) {
            self.permits.count_lent();
            drop(permit);
        }
    }
}

impl Watched {
    fn new(permit: Permit, idle: Duration) -> Self {
        let rest = Arc::new(Rest {
            permits: Arc::clone(permit.permits()),
            client: permit.client(),
            permit: Mutex::default(),
        });
        let mut watched = Self {
            idle,
            timer: Box::pin(sleep_until(Instant::now() + idle)),
            waker: Waker::from(Arc::clone(&rest)),
            rest,
            state: State::Working(permit),
        };
        watched.rest();
        watched
    }

    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let permit = loop {
            match &mut self.state {
                State::Working(_) => return Poll::Ready(()),
                State::Returning(turn) => break ready!(Pin::new(turn).poll(cx)),
                State::Resting => match self.rest.take(|_| true) {
                    Some(permit) => break permit,
                    None => {
                        let turn = self.rest.permits.line_up_again(self.rest.client);
                        self.state = State::Returning(turn);
                    }
                },
            }
        };
        self.state = State::Working(permit);
        Poll::Ready(())
    }

    fn rest(&mut self) {
        let State::Working(permit) = std::mem::replace(&mut self.state, State::Resting) else {
            return;
        };
        let end = Instant::now() + self.idle;
        *self
            .rest
            .permit
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((permit, end));
        self.timer.as_mut().reset(end);
        // A task that has used up its budget would not get its waker registered.
        let timer = unconstrained(self.timer.as_mut());
        let _ = std::pin::pin!(timer).poll(&mut Context::from_waker(&self.waker));
    }
}
