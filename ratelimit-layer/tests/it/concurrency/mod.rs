//! `ConcurrencyLimitLayer`: permits go out one by one and all come back, however a request ends.

mod answers;
mod held;
mod idle;
mod schedules;
mod waiting;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use ratelimit_layer::ConcurrencyHandle;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::sync::{mpsc, oneshot};
use tower::{Service, service_fn};

type Body = BoxBody<Bytes, &'static str>;

/// Answers one request: what the test keeps in hand.
type Answer = oneshot::Sender<Result<Response<Body>, &'static str>>;

/// A service whose requests are answered by the test.
fn by_hand() -> (
    impl Service<Request<()>, Response = Response<Body>, Error = &'static str, Future: Send> + Clone,
    mpsc::UnboundedReceiver<Answer>,
) {
    let (requests, answers) = mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<()>| {
        let (answer, answered) = oneshot::channel();
        requests.send(answer).unwrap();
        async move { answered.await.unwrap() }
    });
    (service, answers)
}

fn streaming() -> (Sender<Bytes, &'static str>, Response<Body>) {
    let (sender, body) = Channel::new(4);
    (sender, Response::new(body.boxed()))
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn in_flight(handle: &ConcurrencyHandle) -> (u64, u64) {
    (handle.stats().in_flight, handle.stats().clients)
}
