//! A request body whose frames carry the memory they were promised.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::{Meter, meter::Wait};
use crate::BoxError;

/// The request body as the guarded service sees it.
///
/// Frames pass unchanged; each holds its part of the reservation until it is dropped. A frame that does not fit the
/// budget waits for room, as long as the [`Policy`](crate::Policy) says, and is then replaced by an error (an
/// [`Overloaded`](crate::Overloaded) in the box), after which the body has ended.
///
/// # Cancel safety
///
/// Dropping the body at any moment gives back what was reserved for the frames it has not handed over.
#[pin_project]
pub struct RequestBody<B> {
    #[pin]
    inner: B,
    meter: Option<Meter>,
    /// A frame that waits for room; boxed, since it is rare and requests are moved about.
    held: Option<Box<Held>>,
    ended: bool,
}

struct Held {
    data: Bytes,
    room: Wait,
}

impl<B> RequestBody<B> {
    pub(crate) const fn unmetered(inner: B) -> Self {
        Self {
            inner,
            meter: None,
            held: None,
            ended: false,
        }
    }

    pub(crate) const fn metered(inner: B, meter: Meter) -> Self {
        Self {
            inner,
            meter: Some(meter),
            held: None,
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
        let Some(meter) = this.meter else {
            return this.inner.poll_frame(cx).map_err(Into::into);
        };
        let frame = loop {
            if let Some(why) = meter.account().ended() {
                break Err(why.clone());
            }
            let data = if let Some(held) = this.held {
                match held.room.as_mut().poll(cx) {
                    // The guard may end a body that waits for room, and end it from within that very call.
                    Poll::Pending if meter.account().sleep(cx.waker()) => return Poll::Pending,
                    Poll::Pending => continue,
                    Poll::Ready(Ok(())) => this.held.take().expect("just polled").data,
                    Poll::Ready(Err(why)) => break Err(meter.account().end(why)),
                }
            } else {
                let frame = match this.inner.as_mut().poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => frame,
                    Poll::Ready(last) => {
                        *this.meter = None;
                        return Poll::Ready(last.map(|error| error.map_err(Into::into)));
                    }
                    Poll::Pending if meter.listed() && !meter.account().sleep(cx.waker()) => {
                        continue;
                    }
                    Poll::Pending => return Poll::Pending,
                };
                let data = match frame.into_data() {
                    Ok(data) => data,
                    Err(trailers) => break Ok(trailers),
                };
                let length = data.len() as u64;
                if !meter.covers(length) {
                    match meter.wait(length) {
                        Ok(room) => *this.held = Some(Box::new(Held { data, room })),
                        Err(why) => break Err(meter.account().end(why)),
                    }
                    continue;
                }
                data
            };
            break Ok(Frame::data(meter.carry(data)));
        };
        Poll::Ready(Some(match frame {
            Ok(frame) => {
                // Whoever reads to the end need not ask once more to learn that it was the end.
                if this.inner.is_end_stream() {
                    *this.meter = None;
                }
                Ok(frame)
            }
            Err(why) => {
                *this.held = None;
                *this.meter = None;
                *this.ended = true;
                Err(why.into())
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.ended {
            return SizeHint::with_exact(0);
        }
        let mut hint = self.inner.size_hint();
        if let Some(held) = &self.held {
            let length = held.data.len() as u64;
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper.saturating_add(length));
            }
            hint.set_lower(hint.lower().saturating_add(length));
        }
        hint
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
