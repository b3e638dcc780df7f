//! What the service tests share: a heap to turn by hand, bodies fed frame by frame, the smallest services.

#![allow(dead_code, reason = "each test binary uses its part")]

#[cfg(target_os = "linux")]
pub(crate) mod delay;
pub(crate) mod purge;
pub(crate) mod random;

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use memguard_layer::{MemGuardLayer, RequestBody};
use tokio::sync::mpsc;
use tower::{Service, service_fn};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A heap whose size the test sets.
#[derive(Clone, Default)]
pub(crate) struct Knob(Arc<AtomicU64>);

impl Knob {
    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, SeqCst);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }

    /// Frees up to `bytes`, down to `floor`, and says how many.
    pub(crate) fn free(&self, bytes: u64, floor: u64) -> u64 {
        let freed = bytes.min(self.get().saturating_sub(floor));
        self.set(self.get() - freed);
        freed
    }
}

/// A guard over a knob.
pub(crate) fn guard(budget: u64) -> (MemGuardLayer, Knob) {
    let knob = Knob::default();
    let source = knob.clone();
    (
        MemGuardLayer::new(budget).source(move || source.get()),
        knob,
    )
}

/// A request body that the test feeds.
pub(crate) struct Upload {
    frames: mpsc::UnboundedReceiver<Result<Frame<Bytes>, BoxError>>,
    left: Option<u64>,
}

pub(crate) struct Feed(mpsc::UnboundedSender<Result<Frame<Bytes>, BoxError>>);

pub(crate) fn upload(length: Option<u64>) -> (Feed, Upload) {
    let (sender, frames) = mpsc::unbounded_channel();
    (
        Feed(sender),
        Upload {
            frames,
            left: length,
        },
    )
}

impl Feed {
    /// Sends a frame of `length` bytes, if there is still somebody to take it.
    pub(crate) fn data(&self, length: usize) {
        let _ = self
            .0
            .send(Ok(Frame::data(Bytes::from(vec![b'x'; length]))));
    }

    pub(crate) fn fail(&self) {
        let _ = self.0.send(Err("the client is gone".into()));
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.frames.poll_recv(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&frame, &mut self.left) {
            *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

pub(crate) fn request<B>(body: B) -> Request<B> {
    Request::post("/upload").body(body).unwrap()
}

/// A request without a body.
pub(crate) fn get() -> Request<Upload> {
    Request::get("/").body(upload(Some(0)).1).unwrap()
}

/// Hands the metered body out as the body of its response.
pub(crate) fn echo<B>() -> impl Service<
    Request<RequestBody<B>>,
    Response = Response<RequestBody<B>>,
    Error = Infallible,
    Future: Send,
> + Clone
where
    B: Body<Data = Bytes> + Send + 'static,
{
    service_fn(|request: Request<RequestBody<B>>| async {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    })
}

/// Takes the whole body and answers 200 with its length, or 400 with the error of the body.
pub(crate) fn collect<B>()
-> impl Service<Request<RequestBody<B>>, Response = Response<String>, Error = Infallible, Future: Send>
+ Clone
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    service_fn(|request: Request<RequestBody<B>>| async {
        Ok::<_, Infallible>(match request.into_body().collect().await {
            Ok(body) => Response::new(body.to_bytes().len().to_string()),
            Err(error) => Response::builder()
                .status(400)
                .body(error.to_string())
                .unwrap(),
        })
    })
}

/// Polls once, without anybody to wake.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What a future answers that must not have to wait.
#[track_caller]
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match poll_once(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits"),
    }
}
