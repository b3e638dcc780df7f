//! The two bodies a forwarded exchange has, each with an eye on the clock.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep};

/// Any error of a body.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What an upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Waiting {
    /// The upstream: it takes no more bytes, or has them all and has not answered.
    ForUpstream,
    /// The client: the next bytes of its body are not there yet.
    ForClient,
    /// Nothing: the client's body broke off.
    Broken,
}

/// How far an upload is, for the one who waits for its answer.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    /// Milliseconds from `start` to the latest piece of the body.
    latest: AtomicU64,
    waiting: AtomicU8,
}

impl Progress {
    pub(crate) fn new(start: Instant) -> Arc<Self> {
        let waiting = AtomicU8::new(Waiting::ForUpstream as u8);
        Arc::new(Self {
            start,
            latest: AtomicU64::new(0),
            waiting,
        })
    }

    /// When the latest piece of the body came, the start before there was any.
    pub(crate) fn latest(&self) -> Instant {
        self.start + Duration::from_millis(self.latest.load(Relaxed))
    }

    pub(crate) fn waiting(&self) -> Waiting {
        match self.waiting.load(Relaxed) {
            waiting if waiting == Waiting::ForClient as u8 => Waiting::ForClient,
            waiting if waiting == Waiting::Broken as u8 => Waiting::Broken,
            _ => Waiting::ForUpstream,
        }
    }

    fn now_waits(&self, waiting: Waiting) {
        if waiting == Waiting::ForUpstream {
            let since = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.latest.store(since, Relaxed);
        }
        self.waiting.store(waiting as u8, Relaxed);
    }
}

/// A request body that reports its progress.
#[derive(Debug)]
#[pin_project]
pub(crate) struct Upload<B> {
    #[pin]
    inner: B,
    progress: Arc<Progress>,
}

impl<B> Upload<B> {
    pub(crate) fn new(inner: B, progress: Arc<Progress>) -> Self {
        Self { inner, progress }
    }
}

impl<B> Body for Upload<B>
where
    B: Body,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(context);
        this.progress.now_waits(match &polled {
            Poll::Pending => Waiting::ForClient,
            Poll::Ready(Some(Err(_))) => Waiting::Broken,
            Poll::Ready(_) => Waiting::ForUpstream,
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response body that breaks off when the upstream is silent for too long.
#[derive(Debug)]
#[pin_project]
pub(crate) struct IdleTimeout<B> {
    #[pin]
    inner: B,
    timeout: Duration,
    /// Made at the first wait: most bodies never wait.
    sleep: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl<B> IdleTimeout<B> {
    pub(crate) fn new(inner: B, timeout: Duration) -> Self {
        Self {
            inner,
            timeout,
            sleep: None,
            is_waiting: false,
        }
    }
}

impl<B> Body for IdleTimeout<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(context) {
            *this.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timer = this
            .sleep
            .get_or_insert_with(|| Box::pin(sleep(*this.timeout)));
        if !*this.is_waiting {
            *this.is_waiting = true;
            timer.as_mut().reset(Instant::now() + *this.timeout);
        }
        timer
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(Silent(*this.timeout).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The upstream sent nothing for this long in the middle of a body.
#[derive(Debug)]
struct Silent(Duration);

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the upstream sent nothing for {:?}", self.0)
    }
}

impl Error for Silent {}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use bytes::Bytes;
    use http_body::{Body, Frame};
    use http_body_util::BodyExt;
    use tokio::time::{Instant, Sleep, sleep};

    use super::{IdleTimeout, Progress, Upload, Waiting};

    /// Sends a byte after each pause, then ends.
    struct Paced {
        pauses: Vec<Duration>,
        timer: Option<Pin<Box<Sleep>>>,
    }

    impl Paced {
        fn seconds(pauses: &[u64]) -> Self {
            let pauses = pauses
                .iter()
                .rev()
                .copied()
                .map(Duration::from_secs)
                .collect();
            Self {
                pauses,
                timer: None,
            }
        }
    }

    impl Body for Paced {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some(&pause) = self.pauses.last() else {
                return Poll::Ready(None);
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(pause)));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            self.pauses.pop();
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_passes_and_a_silent_one_breaks_off() {
        let timeout = Duration::from_secs(10);
        let slow = IdleTimeout::new(Paced::seconds(&[9, 9, 9, 0, 9]), timeout);
        assert_eq!(slow.collect().await.unwrap().to_bytes().len(), 5);

        let start = Instant::now();
        let mut silent = IdleTimeout::new(Paced::seconds(&[9, 11]), timeout);
        assert!(silent.frame().await.unwrap().is_ok());
        let why = silent.frame().await.unwrap().unwrap_err();
        assert_eq!(why.to_string(), "the upstream sent nothing for 10s");
        assert_eq!(start.elapsed().as_secs(), 19);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_tells_whom_it_waits_for() {
        let start = Instant::now();
        let progress = Progress::new(start);
        let mut upload = Upload::new(Paced::seconds(&[3]), progress.clone());
        assert_eq!(progress.waiting(), Waiting::ForUpstream);

        let mut frame = std::pin::pin!(upload.frame());
        assert!(futures_poll(frame.as_mut()).await.is_pending());
        assert_eq!(
            (progress.waiting(), progress.latest()),
            (Waiting::ForClient, start)
        );
        frame.await.unwrap().unwrap();
        assert_eq!(progress.waiting(), Waiting::ForUpstream);
        assert_eq!((progress.latest() - start).as_secs(), 3);
    }

    /// Polls once.
    async fn futures_poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    }
}
