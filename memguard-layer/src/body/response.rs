//! The body of a response that passed the guard, or of the guard's own.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

/// The service's body, or the guard's few bytes when it refused.
#[pin_project]
#[derive(Debug)]
pub struct ResponseBody<B> {
    #[pin]
    kind: Kind<B>,
}

#[pin_project(project = KindProj)]
#[derive(Debug)]
enum Kind<B> {
    Passed(#[pin] B),
    Own(Bytes),
}

impl<B> ResponseBody<B> {
    pub(crate) const fn passed(body: B) -> Self {
        Self {
            kind: Kind::Passed(body),
        }
    }

    pub(crate) const fn own(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Own(bytes),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Passed(body) => ready!(body.poll_frame(cx)),
            KindProj::Own(bytes) if bytes.is_empty() => None,
            KindProj::Own(bytes) => Some(Ok(Frame::data(mem::take(bytes)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passed(body) => body.is_end_stream(),
            Kind::Own(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Passed(body) => body.size_hint(),
            Kind::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
