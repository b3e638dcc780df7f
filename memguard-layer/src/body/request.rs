//! A request body whose frames carry the memory they were promised.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::Account;
use crate::{
    BoxError, Overloaded,
    admission::{Demand, Need},
};

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
    account: Arc<Account>,
    /// For all frames to come, or, if their number is unknown, for what the connection may read ahead.
    ahead: u64,
    /// Whether `ahead` is for the body's whole length; otherwise frames add their own.
    whole: bool,
    factor: u64,
}

impl Meter {
    /// For a body that `demand` was made for, and that is alone in its account.
    pub(crate) fn new(account: Arc<Account>, demand: &Demand) -> Self {
        Self {
            ahead: account.promised(),
            account,
            whole: matches!(demand.need, Need::Whole(_)),
            factor: demand.factor.into(),
        }
    }

    /// Moves a frame, which is in the heap by now, from promised to counted, and ties the promise for its copies to it.
    fn carry(&mut self, data: Bytes) -> Result<Bytes, Overloaded> {
        let length = data.len() as u64;
        let copies = length.saturating_mul(self.factor.saturating_sub(1));
        let promised = if self.whole {
            self.ahead.min(copies)
        } else {
            0
        };
        let fits = match copies - promised {
            0 => self.account.heap_is_within_budget(),
            missing => self.account.grow(missing),
        };
        if !fits {
            return Err(self.account.end_for(length, self.factor));
        }
        self.ahead -= promised;
        let data = self.account.carry(data, copies);
        if self.whole {
            let arrived = length.min(self.ahead);
            self.ahead -= arrived;
            self.account.release(arrived);
        }
        Ok(data)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.account.release(self.ahead);
    }
}
