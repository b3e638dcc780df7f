//! A request handed to its service at once.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project::pin_project;
use tower::util::Oneshot;
use tower::{Service, ServiceExt};

/// The answer of `service` to `request`, like that of a `oneshot`, but for when the work begins: now,
/// if the service is ready, and not at the first poll. hyper looks for more input between the two, and
/// reads it into the buffer it has only if nothing of the request's head is left there.
pub(crate) fn called<S: Service<R>, R>(mut service: S, request: R) -> Called<S, R> {
    // Nobody to wake: whoever polls what is not ready asks again.
    match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(())) => Called::Now(service.call(request)),
        Poll::Ready(Err(error)) => Called::Failed(Some(error)),
        Poll::Pending => Called::Later(Box::pin(service.oneshot(request))),
    }
}

/// The future of [`called`].
#[pin_project(project = Projected)]
pub(crate) enum Called<S: Service<R>, R> {
    Now(#[pin] S::Future),
    Failed(Option<S::Error>),
    // Boxed: a service that is seldom not ready must not make every future larger.
    Later(Pin<Box<Oneshot<S, R>>>),
}

impl<S: Service<R>, R> Future for Called<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Now(answer) => answer.poll(context),
            Projected::Failed(error) => {
                Poll::Ready(Err(error.take().expect("polled after completion")))
            }
            Projected::Later(answer) => answer.as_mut().poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
    use std::task::{Context, Poll};

    use tower::Service;

    use super::called;

    /// Adds one; is ready, or fails, when asked often enough.
    #[derive(Clone)]
    struct AddOne {
        pending: u8,
        becomes: Result<(), &'static str>,
        seen: Arc<AtomicU8>,
    }

    impl AddOne {
        fn new(pending: u8, becomes: Result<(), &'static str>) -> Self {
            let seen = Arc::default();
            Self {
                pending,
                becomes,
                seen,
            }
        }

        fn seen(&self) -> u8 {
            self.seen.load(Relaxed)
        }
    }

    impl Service<u8> for AddOne {
        type Response = u8;
        type Error = &'static str;
        type Future = Ready<Result<u8, &'static str>>;

        fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            if self.pending == 0 {
                return Poll::Ready(self.becomes);
            }
            self.pending -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }

        fn call(&mut self, request: u8) -> Self::Future {
            self.seen.store(request, Relaxed);
            ready(Ok(request + 1))
        }
    }

    #[tokio::test]
    async fn a_ready_service_is_called_before_anybody_polls() {
        let service = AddOne::new(0, Ok(()));
        let answer = called(service.clone(), 4);
        assert_eq!(service.seen(), 4);
        assert_eq!(answer.await, Ok(5));
    }

    #[tokio::test]
    async fn one_that_is_not_ready_is_called_once_it_is() {
        let service = AddOne::new(2, Ok(()));
        let answer = called(service.clone(), 4);
        assert_eq!(service.seen(), 0);
        assert_eq!(answer.await, Ok(5));
    }

    #[tokio::test]
    async fn one_that_fails_is_not_called() {
        for pending in [0, 2] {
            let service = AddOne::new(pending, Err("broken"));
            assert_eq!(called(service.clone(), 4).await, Err("broken"));
            assert_eq!(service.seen(), 0);
        }
    }
}
