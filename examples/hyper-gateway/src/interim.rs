//! Interim responses (RFC 9110 section 15.2), such as a 103 with the links of a page that is still
//! being made: from the upstream to the client whose request travels there, and to nobody else.
//!
//! hyper's client tells of them, its server has no call to send one. So they go past the server,
//! through a wrapper around its connection, and the one question is where: between two messages,
//! never inside of one. The answer lies in how hyper's HTTP/1 server works:
//!
//! - It calls the service for an exchange once the response of the exchange before is encoded to
//!   its end, though perhaps not written.
//! - It flushes the connection only after it has handed over all that is encoded
//!   (`pipeline_flush`, off by default, would change that), and does so after each poll of the
//!   service's future.
//!
//! So a flush between the call of the service and the end of its future falls between two
//! messages: what was handed over belongs to earlier exchanges, or is a `100 Continue` of this one.
//! At such a flush [`Connection`] takes what is queued, and writes all of it before it accepts
//! another octet from hyper. [`Held`] ends the future, and with it the exchange, only when nothing
//! is queued any more; what the upstream says later comes too late.
//!
//! HTTP/1.0 has no interim responses, and a server must not send it any (section 15.2). On HTTP/2
//! connections there is no way past the server; they get none either.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HeaderMap};
use http::{Request, StatusCode};
use hyper::ext::on_informational;
use hyper::rt::{Read, ReadBufCursor, Write};
use pin_project::pin_project;

use crate::fields;

/// Interim responses per exchange; further ones are dropped. Section 15.2 would have all passed on,
/// but for a client that does not read they pile up here, outside of any budget.
const MOST: usize = 16;

/// The same in octets.
const MOST_BYTES: usize = 16 << 10;

/// Between a connection, its exchanges, and the upstream requests made for them.
#[derive(Debug, Default)]
struct Shared {
    /// Whose turn it is: twice the number of exchanges that ended, one more once the exchange
    /// that is under way may queue something. It becomes odd without the lock, and even from odd
    /// only with it.
    turn: AtomicU64,
    queue: Mutex<Queue>,
}

/// What an exchange has queued so far.
#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    /// All there were, taken or not.
    count: usize,
    size: usize,
    /// The connection's task, while it waits for the answer.
    task: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Bytes> {
        if self.turn.load(Ordering::Relaxed).is_multiple_of(2) {
            return None;
        }
        let bytes = std::mem::take(&mut self.lock().bytes);
        (!bytes.is_empty()).then(|| bytes.into())
    }
}

/// Where the exchanges of one connection come from.
#[derive(Debug)]
pub(crate) struct Exchanges(Arc<Shared>);

impl Exchanges {
    /// The next one; the one before has ended.
    pub(crate) fn next(&self) -> Exchange {
        let shared = self.0.clone();
        let turn = shared.turn.load(Ordering::Relaxed);
        Exchange { shared, turn }
    }
}

/// One request and its answer on an HTTP/1.1 connection. Costs a reference to what its connection
/// has anyway: most exchanges have nothing to do with interim responses.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    turn: u64,
}

impl Exchange {
    /// Lets the client of this exchange see the interim responses to `request`.
    pub(crate) fn follow<B>(self, request: &mut Request<B>) {
        let (before, after) = (self.turn, self.turn + 1);
        let turn =
            self.shared
                .turn
                .compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed);
        // Not if it ended meanwhile; a second request for the same exchange finds it done.
        if turn.is_ok() || turn == Err(after) {
            on_informational(request, move |response| {
                self.send(response.status(), response.headers());
            });
        }
    }

    fn send(&self, status: StatusCode, headers: &HeaderMap) {
        // hyper's server answers the client's `Expect` by itself; a switch is no interim response.
        if matches!(
            status,
            StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS
        ) {
            return;
        }
        let bytes = encode(status, headers);
        let mut queue = self.shared.lock();
        let ended = self.shared.turn.load(Ordering::Relaxed) != self.turn + 1;
        if ended || queue.count == MOST || queue.size + bytes.len() > MOST_BYTES {
            return;
        }
        queue.count += 1;
        queue.size += bytes.len();
        queue.bytes.extend_from_slice(&bytes);
        let task = queue.task.take();
        drop(queue);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Ends the exchange once nothing is queued.
    fn poll_end(&self) -> Poll<()> {
        let (turn, next) = (&self.shared.turn, self.turn + 2);
        // The common case without the lock: nothing was ever sent upstream for it.
        let silent = turn.compare_exchange(self.turn, next, Ordering::AcqRel, Ordering::Relaxed);
        if silent.is_err() {
            let mut queue = self.shared.lock();
            if !queue.bytes.is_empty() {
                // The flush that follows this poll takes them, and polls again.
                return Poll::Pending;
            }
            *queue = Queue::default();
            turn.store(next, Ordering::Release);
        }
        Poll::Ready(())
    }
}

/// RFC 9112 sections 4 and 5.
fn encode(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut headers = headers.clone();
    fields::strip_hop_by_hop(&mut headers);
    // RFC 9110 section 8.6 forbids it here: a client that believes it waits for a body.
    headers.remove(CONTENT_LENGTH);
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in &headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// An answer, held back until the interim responses before it are on their way.
#[derive(Debug)]
#[pin_project]
pub(crate) struct Held<F: Future> {
    #[pin]
    answer: F,
    /// Here while it is held back. Boxed: it is seldom here, and hyper moves this about.
    held: Option<Box<F::Output>>,
    exchange: Option<Exchange>,
}

impl<F: Future> Held<F> {
    /// `answer` as the end of `exchange`; there is none where there are no interim responses.
    pub(crate) fn new(answer: F, exchange: Option<Exchange>) -> Self {
        Self {
            answer,
            held: None,
            exchange,
        }
    }
}

impl<F: Future> Future for Held<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(exchange) = this.exchange else {
            return this.answer.poll(context);
        };
        let answer = match this.held.take() {
            Some(answer) => *answer,
            None => match this.answer.poll(context) {
                Poll::Ready(answer) => answer,
                Poll::Pending => {
                    exchange.shared.lock().task = Some(context.waker().clone());
                    return Poll::Pending;
                }
            },
        };
        if exchange.poll_end().is_pending() {
            *this.held = Some(Box::new(answer));
            return Poll::Pending;
        }
        Poll::Ready(answer)
    }
}

/// A connection on which interim responses get in between what hyper's HTTP/1 server writes.
#[derive(Debug)]
pub(crate) struct Connection<T> {
    io: T,
    shared: Arc<Shared>,
    /// Taken and not yet written.
    taken: Bytes,
}

impl<T> Connection<T> {
    pub(crate) fn new(io: T) -> (Self, Exchanges) {
        let shared = Arc::<Shared>::default();
        let exchanges = Exchanges(shared.clone());
        let taken = Bytes::new();
        (Self { io, shared, taken }, exchanges)
    }
}

impl<T: Write + Unpin> Connection<T> {
    fn poll_write_taken(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken.has_remaining() {
            match ready!(Pin::new(&mut self.io).poll_write(context, &self.taken))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.taken.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Read + Unpin> Read for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for Connection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_taken(context))?;
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_taken(context))?;
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_write_taken(context))?;
            let Some(bytes) = self.shared.take() else {
                return Pin::new(&mut self.io).poll_flush(context);
            };
            self.taken = bytes;
            // The answer may have waited for this; its future is polled in the same task.
            context.waker().wake_by_ref();
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_taken(context))?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
