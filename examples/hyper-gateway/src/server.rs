//! Connections: accepting, the limits that keep slow clients from holding them, the way out.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_io_timeout::TimeoutWriter;

use crate::head_timer::HeadTimer;
use crate::interim::{Connection, Exchange, Held};
use crate::listen::Listeners;

/// A request's head must be complete within this; it is also how long a kept-alive connection may
/// idle. A client that dribbles header bytes holds a connection no longer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What a connection may buffer before its request counts anywhere; larger heads are 431. A target
/// of 64 KiB must fit, so that it can be refused as what it is.
const MOST_HEAD_BYTES: usize = 128 << 10;

/// A client that takes nothing of its answer for this long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// HTTP/2 connections prove by an answered ping at this interval that somebody is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Open connections per call of [`serve`]; more wait in the system's backlog.
const MOST_CONNECTIONS: usize = 8192;

/// Pause after a failed accept, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a request comes from.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The way for interim responses; `None` where there is none.
    pub(crate) exchange: Option<Exchange>,
    /// Whether what it says of others is believed; nobody is, as far as this module knows.
    pub(crate) trusted: bool,
}

/// Serves every connection of `listeners` until dropped; connections live on and are known to
/// `graceful`. `answer` is called with each request and its peer.
pub(crate) async fn serve<F, A, B>(
    mut listeners: Listeners,
    graceful: &GracefulShutdown,
    answer: F,
) -> Infallible
where
    F: Fn(Request<Incoming>, Peer) -> A + Clone + Send + 'static,
    A: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MOST_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL);
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let slot = slots.clone().acquire_owned().await.expect("never closed");
        let (stream, address) = accept(&mut listeners).await;
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(WRITE_TIMEOUT));
        let (stream, exchanges) = Connection::new(TokioIo::new(Box::pin(stream)));
        let (mut builder, answer) = (builder.clone(), answer.clone());
        builder.http1().timer(HeadTimer::default());
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _slot = slot;
            let spoke = Arc::new(AtomicBool::new(false));
            let service = service_fn({
                let spoke = spoke.clone();
                move |request: Request<Incoming>| {
                    spoke.store(true, Relaxed);
                    let exchange =
                        (request.version() == Version::HTTP_11).then(|| exchanges.next());
                    let peer = Peer {
                        address,
                        exchange: exchange.clone(),
                        trusted: false,
                    };
                    Held::new(answer(request, peer), exchange)
                }
            });
            let connection = builder.serve_connection(stream, service).into_owned();
            let mut connection = pin!(watcher.watch(connection));
            // hyper's own timer starts only once the protocol version is known.
            let mut silence = pin!(Some(sleep(HEAD_TIMEOUT)));
            poll_fn(|context| {
                if let Some(silent) = silence.as_mut().as_pin_mut() {
                    if spoke.load(Relaxed) {
                        silence.set(None);
                    } else if silent.poll(context).is_ready() {
                        return Poll::Ready(());
                    }
                }
                // An error is the client's: it left, or spoke no HTTP. It has its answer by then.
                connection.as_mut().poll(context).map(drop)
            })
            .await;
        });
    }
}

async fn accept(listeners: &mut Listeners) -> (TcpStream, SocketAddr) {
    loop {
        match listeners.accept().await {
            Ok((stream, peer)) => {
                // Only costs latency if it fails.
                let _ = stream.set_nodelay(true);
                // One spelling of an IPv4 client, whichever socket it came in by.
                return (
                    stream,
                    SocketAddr::new(peer.ip().to_canonical(), peer.port()),
                );
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}
