//! The response body: the service's own, or the answer to a refusal.

use crate::concurrency::Place;
use crate::rate::Tally;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Body of the responses of this crate's services.
///
/// Around the body of the service below it holds the request's permit, if there is one, until that
/// body ends, fails or is dropped, or lends it to others while nobody reads
/// ([`max_idle`](crate::ConcurrencyLimitLayer::max_idle)). It counts the bytes of policies that
/// [`count_bytes`](crate::Policy::count_bytes).
#[pin_project]
pub struct ResponseBody<B> {
    #[pin]
    kind: Kind<B>,
}

#[pin_project(project = KindProjection)]
enum Kind<B> {
    Inner {
        #[pin]
        body: B,
        place: Option<Place>,
        tally: Option<Tally>,
    },
    Made(Bytes),
}

impl<B> ResponseBody<B> {
    pub(crate) fn inner(body: B, place: Option<Place>, tally: Option<Tally>) -> Self {
        Self {
            kind: Kind::Inner { body, place, tally },
        }
    }

    pub(crate) fn made(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Made(bytes),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner {
                mut body,
                place,
                tally,
            } => {
                if let Some(place) = place {
                    ready!(place.poll_take(cx));
                }
                let frame = ready!(body.as_mut().poll_frame(cx));
                if let (Some(tally), Some(Ok(frame))) = (tally.as_mut(), &frame) {
                    tally.add(frame.data_ref().map_or(0, Bytes::len));
                }
                // A server need not ask again once the body has said that this was all.
                if !matches!(frame, Some(Ok(_))) || body.is_end_stream() {
                    *place = None;
                    *tally = None;
                }
                if let Some(place) = place {
                    place.rest();
                }
                Poll::Ready(frame)
            }
            KindProjection::Made(bytes) if bytes.is_empty() => Poll::Ready(None),
            KindProjection::Made(bytes) => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body, .. } => body.is_end_stream(),
            Kind::Made(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Made(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

/// Empty, as frameworks want it where they make a body themselves.
impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::inner(B::default(), None, None)
    }
}

impl<B: fmt::Debug> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Inner { body, .. } => f.debug_tuple("ResponseBody").field(body).finish(),
            Kind::Made(bytes) => f.debug_tuple("ResponseBody").field(bytes).finish(),
        }
    }
}
