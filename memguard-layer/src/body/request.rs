//! A request body whose frames carry the memory they were promised.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::{
    BoxError, Overloaded, OverloadedKind, Reservation,
    admission::{Demand, Need},
};

/// What a body, its frames and the future of its response know of each other.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// Why the guard ended the body.
    pub(crate) ended: OnceLock<Overloaded>,
    /// Bytes of frames that carry a promise and are alive.
    alive: AtomicU64,
}

/// The request body as the guarded service sees it.
///
/// Frames pass unchanged; each holds its part of the reservation until it is dropped. A frame that does not fit the
/// budget becomes an error (an [`Overloaded`] in the box), after which the body has ended.
///
/// # Cancel safety
///
/// Dropping the body at any moment gives back what was reserved for the frames it has not handed over.
#[pin_project]
pub struct RequestBody<B> {
    #[pin]
    inner: B,
    meter: Option<Meter>,
    ended: bool,
}

impl<B> RequestBody<B> {
    pub(crate) const fn unmetered(inner: B) -> Self {
        Self {
            inner,
            meter: None,
            ended: false,
        }
    }

    pub(crate) const fn metered(inner: B, meter: Meter) -> Self {
        Self {
            inner,
            meter: Some(meter),
            ended: false,
        }
    }
}

impl<B: Body<Data = Bytes>> Body for RequestBody<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(this.inner.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            last => {
                *this.meter = None;
                return Poll::Ready(last.map(|error| error.map_err(Into::into)));
            }
        };
        let Some(meter) = this.meter else {
            return Poll::Ready(Some(Ok(frame)));
        };
        let frame = match frame.into_data() {
            Ok(data) => match meter.carry(data) {
                Ok(data) => Frame::data(data),
                Err(why) => {
                    *this.meter = None;
                    *this.ended = true;
                    return Poll::Ready(Some(Err(why.into())));
                }
            },
            Err(trailers) => trailers,
        };
        // Whoever reads to the end need not ask once more to learn that it was the end.
        if this.inner.is_end_stream() {
            *this.meter = None;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.ended {
            SizeHint::with_exact(0)
        } else {
            self.inner.size_hint()
        }
    }
}

impl<B> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("meter", &self.meter)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The promise of one body: what its coming frames will cost.
#[derive(Debug)]
pub(crate) struct Meter {
    /// For all frames to come, or, if their number is unknown, for what the connection may read ahead.
    ahead: Reservation,
    /// Whether the reservation is for the body's whole length; otherwise frames add their own.
    whole: bool,
    factor: u64,
    fate: Arc<Fate>,
}

impl Meter {
    pub(crate) fn new(ahead: Reservation, demand: &Demand, fate: Arc<Fate>) -> Self {
        Self {
            ahead,
            whole: matches!(demand.need, Need::Whole(_)),
            factor: demand.factor.into(),
            fate,
        }
    }

    /// Moves a frame, which is in the heap by now, from promised to counted, and ties the promise for its copies to it.
    fn carry(&mut self, data: Bytes) -> Result<Bytes, Overloaded> {
        let length = data.len() as u64;
        let copies = length.saturating_mul(self.factor.saturating_sub(1));
        let promised = if self.whole {
            self.ahead.bytes().min(copies)
        } else {
            0
        };
        let missing = copies - promised;
        let fits = match missing {
            0 => self.heap_is_within_budget(),
            missing => self.ahead.grow(missing),
        };
        if !fits {
            return Err(self.end(length));
        }
        let share = self.ahead.split(copies);
        if self.whole {
            self.ahead.release(length);
        }
        if share.bytes() == 0 {
            return Ok(data);
        }
        self.fate.alive.fetch_add(length, Relaxed);
        Ok(Bytes::from_owner(Carried {
            data,
            _share: share,
            fate: Arc::clone(&self.fate),
        }))
    }

    /// A promise covers the body's bytes, not what a handler or the frames' bookkeeping makes of them.
    fn heap_is_within_budget(&self) -> bool {
        let guard = self.ahead.guard();
        guard.heap() <= guard.budget().bytes()
    }

    #[cold]
    fn end(&self, length: u64) -> Overloaded {
        let guard = self.ahead.guard();
        // A body that is held frame by frame and fills the budget alone will not fit next time either.
        let alone = self
            .fate
            .alive
            .load(Relaxed)
            .saturating_add(length)
            .saturating_mul(self.factor);
        let kind = if alone > guard.budget().bytes() {
            OverloadedKind::TooLarge
        } else {
            OverloadedKind::NoRoom
        };
        let why = guard.overloaded(kind, guard.look().1, length.saturating_mul(self.factor));
        guard.count_ended();
        self.fate.ended.get_or_init(|| why).clone()
    }
}

/// A frame's bytes with the promise for their copies.
struct Carried {
    // Dropped first: the heap falls before the promise does.
    data: Bytes,
    _share: Reservation,
    fate: Arc<Fate>,
}

impl AsRef<[u8]> for Carried {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.fate.alive.fetch_sub(self.data.len() as u64, Relaxed);
    }
}
