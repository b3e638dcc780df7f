//! The bodies that pass through the layer.

use crate::fill::{Broken, Seat};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{error::Error, fmt};
use tower::BoxError;

/// The request body that the service below sees: the client's, or one of the cache's making where it
/// asks on its own behalf.
#[pin_project]
pub struct RequestBody<B>(#[pin] RequestKind<B>);

#[pin_project(project = RequestKindProjected)]
enum RequestKind<B> {
    Original(#[pin] B),
    Bytes(Bytes),
    /// Some of it was read already.
    Resumed {
        read: VecDeque<Frame<Bytes>>,
        then: Option<BoxError>,
        /// In a box, as it has been polled before it came here.
        rest: Pin<Box<B>>,
    },
}

impl<B> RequestBody<B> {
    pub(crate) fn original(body: B) -> Self {
        Self(RequestKind::Original(body))
    }

    pub(crate) fn bytes(content: Bytes) -> Self {
        Self(RequestKind::Bytes(content))
    }

    /// A body of which some was read already, to an error perhaps.
    pub(crate) fn resumed(
        read: VecDeque<Frame<Bytes>>,
        then: Option<BoxError>,
        rest: Pin<Box<B>>,
    ) -> Self {
        Self(RequestKind::Resumed { read, then, rest })
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = match self.project().0.project() {
            RequestKindProjected::Original(body) => body,
            RequestKindProjected::Bytes(content) if content.is_empty() => return Poll::Ready(None),
            RequestKindProjected::Bytes(content) => {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(content)))));
            }
            RequestKindProjected::Resumed { read, then, rest } => {
                if let Some(frame) = read.pop_front() {
                    return Poll::Ready(Some(Ok(frame)));
                }
                if let Some(error) = then.take() {
                    return Poll::Ready(Some(Err(error)));
                }
                rest.as_mut()
            }
        };
        let frame = ready!(body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map(as_bytes).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            RequestKind::Original(body) => body.is_end_stream(),
            RequestKind::Bytes(content) => content.is_empty(),
            RequestKind::Resumed { read, then, rest } => {
                read.is_empty() && then.is_none() && rest.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            RequestKind::Original(body) => body.size_hint(),
            RequestKind::Bytes(content) => SizeHint::with_exact(content.len() as u64),
            RequestKind::Resumed { read, rest, .. } => {
                let read = read.iter().filter_map(Frame::data_ref).map(Bytes::len);
                let read = read.sum::<usize>() as u64;
                let mut hint = rest.size_hint();
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper.saturating_add(read));
                }
                hint.set_lower(hint.lower().saturating_add(read));
                hint
            }
        }
    }
}

/// Nothing is copied of what is `Bytes` already.
pub(crate) fn as_bytes<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

impl<B> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

/// The response body: the service's own, one from the store, or one that is being filled.
///
/// # Cancel safety
///
/// Dropping it early leaves a fill to its other readers and to the store.
#[pin_project]
pub struct ResponseBody<B>(#[pin] Kind<B>);

#[pin_project(project = KindProjected)]
enum Kind<B> {
    Own(#[pin] B),
    Whole {
        data: Bytes,
        /// Boxed: hits move this about, and seldom have any.
        trailers: Option<Box<HeaderMap>>,
    },
    Shared {
        seat: Seat,
        left: Option<u64>,
    },
}

impl<B> ResponseBody<B> {
    pub(crate) fn own(body: B) -> Self {
        Self(Kind::Own(body))
    }

    pub(crate) fn whole(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        let trailers = trailers.map(Box::new);
        Self(Kind::Whole { data, trailers })
    }

    pub(crate) fn empty() -> Self {
        Self::whole(Bytes::new(), None)
    }

    pub(crate) fn shared(seat: Seat, length: Option<u64>) -> Self {
        Self(Kind::Shared { seat, left: length })
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().0.project() {
            KindProjected::Own(body) => body.poll_frame(cx).map_err(Into::into),
            KindProjected::Whole { data, trailers } => Poll::Ready(if data.is_empty() {
                trailers
                    .take()
                    .map(|trailers| Ok(Frame::trailers(*trailers)))
            } else {
                Some(Ok(Frame::data(std::mem::take(data))))
            }),
            KindProjected::Shared { seat, left } => {
                let frame = ready!(seat.poll_frame(cx));
                if let (Some(left), Some(Ok(frame))) = (left, &frame) {
                    let read = frame.data_ref().map_or(0, |data| data.len() as u64);
                    *left = left.saturating_sub(read);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|broken| BodyError(broken).into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Own(body) => body.is_end_stream(),
            Kind::Whole { data, trailers } => data.is_empty() && trailers.is_none(),
            Kind::Shared { seat, .. } => seat.is_finished(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Own(body) => body.size_hint(),
            Kind::Whole { data, .. } => SizeHint::with_exact(data.len() as u64),
            Kind::Shared { left, .. } => left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl<B> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

/// A body that was shared between clients ended early.
#[derive(Debug)]
struct BodyError(Broken);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Broken::Origin => "the service's response body ended early",
            Broken::TooSlow => "this client read too slowly of a body that it shared with others",
        })
    }
}

impl Error for BodyError {}
