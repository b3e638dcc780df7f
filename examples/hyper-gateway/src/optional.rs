//! A layer that may be left out, without a box: what is off costs one branch.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body_util::Either;
use pin_project::pin_project;
use tower::{Layer, Service};

/// `layer` around `inner`, or `inner` alone.
pub(crate) fn optional<L: Layer<S>, S>(layer: Option<L>, inner: S) -> Optional<L::Service, S> {
    match layer {
        Some(layer) => Optional::On(layer.layer(inner)),
        None => Optional::Off(inner),
    }
}

/// A service with its layer or without. Unlike tower's `option_layer` it lets the two have
/// different response bodies, as each layer wraps the body in a type of its own.
#[derive(Clone, Debug)]
pub(crate) enum Optional<A, B> {
    On(A),
    Off(B),
}

impl<A, B, T, X, Y> Service<Request<T>> for Optional<A, B>
where
    A: Service<Request<T>, Response = Response<X>>,
    B: Service<Request<T>, Response = Response<Y>, Error = A::Error>,
{
    type Response = Response<Either<X, Y>>;
    type Error = A::Error;
    type Future = OptionalFuture<A::Future, B::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), A::Error>> {
        match self {
            Self::On(service) => service.poll_ready(context),
            Self::Off(service) => service.poll_ready(context),
        }
    }

    fn call(&mut self, request: Request<T>) -> Self::Future {
        match self {
            Self::On(service) => OptionalFuture::On(service.call(request)),
            Self::Off(service) => OptionalFuture::Off(service.call(request)),
        }
    }
}

/// The future of [`Optional`].
#[derive(Debug)]
#[pin_project(project = Projected)]
pub(crate) enum OptionalFuture<A, B> {
    On(#[pin] A),
    Off(#[pin] B),
}

impl<A, B, X, Y, E> Future for OptionalFuture<A, B>
where
    A: Future<Output = Result<Response<X>, E>>,
    B: Future<Output = Result<Response<Y>, E>>,
{
    type Output = Result<Response<Either<X, Y>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project() {
            Projected::On(future) => ready!(future.poll(context))?.map(Either::Left),
            Projected::Off(future) => ready!(future.poll(context))?.map(Either::Right),
        }))
    }
}
