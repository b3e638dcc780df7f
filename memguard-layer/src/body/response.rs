//! The body of a response that passed the guard, or of the guard's own.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::{Reservation, admission::READ_AHEAD};

/// The service's body, or the guard's few bytes when it refused.
///
/// A body whose bytes are all there, as most are, is in the heap and counted by it, until its client has read the last of
/// them; to promise it room as well would count it twice. A body that says that it has to wait is being made: what it
/// waits for is not in the heap yet, and up to 64 KiB of it, or what is left by its size hint, are promised until it has
/// come. Such a promise always holds, since there is nobody left to refuse: it leaves less room to those who come after.
///
/// # Cancel safety
///
/// Dropping the body at any moment gives back what is promised for it.
#[pin_project]
#[derive(Debug)]
pub struct ResponseBody<B> {
    #[pin]
    kind: Kind<B>,
}

#[pin_project(project = KindProj)]
#[derive(Debug)]
enum Kind<B> {
    Passed {
        #[pin]
        body: B,
        /// For what the body waits for; `None` for a response that is not metered.
        promise: Option<Reservation>,
    },
    Own(Bytes),
}

impl<B> ResponseBody<B> {
    pub(crate) const fn passed(body: B, promise: Option<Reservation>) -> Self {
        Self {
            kind: Kind::Passed { body, promise },
        }
    }

    pub(crate) const fn own(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Own(bytes),
        }
    }
}

/// What may come of `body` before the heap shows it.
fn ahead(body: &impl Body) -> u64 {
    if body.is_end_stream() {
        return 0;
    }
    body.size_hint()
        .upper()
        .map_or(READ_AHEAD, |left| left.min(READ_AHEAD))
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let (mut body, promise) = match self.project().kind.project() {
            KindProj::Passed { body, promise } => (body, promise),
            KindProj::Own(bytes) if bytes.is_empty() => return Poll::Ready(None),
            KindProj::Own(bytes) => {
                return Poll::Ready(Some(Ok(Frame::data(mem::take(bytes)))));
            }
        };
        let frame = body.as_mut().poll_frame(cx);
        if let Some(promise) = promise {
            match &frame {
                Poll::Pending => promise.hold(ahead(&*body)),
                Poll::Ready(Some(Ok(_))) if promise.bytes() == 0 => {}
                Poll::Ready(Some(Ok(_))) => promise.hold(promise.bytes().min(ahead(&*body))),
                Poll::Ready(_) => promise.hold(0),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passed { body, .. } => body.is_end_stream(),
            Kind::Own(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Passed { body, .. } => body.size_hint(),
            Kind::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
