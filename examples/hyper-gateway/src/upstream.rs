//! The service below all layers: passes a request to the upstream and its answer back.

use std::error::Error;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cache_layer::CachePolicy;
use http::header::TRANSFER_ENCODING;
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri, Version, request};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{HttpConnector, HttpInfo};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};
use tower::Service;

use crate::body::{BoxError, IdleTimeout, Progress, Upload, Waiting};
use crate::failure::Failure;
use crate::fields;
use crate::server::Peer;

/// Beyond this a silent upstream host counts as unreachable, however patient `--upstream-timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Shorter than the keep-alive of common servers, so that they seldom close what we just took.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// A request that came through this many gateways of our name goes in a circle.
const MOST_PASSES: usize = 8;

/// One client for all requests, so one type of body. Only an upload is boxed, once: the layers
/// above wrap it in types that depend on which of them are on.
type Sent = Either<Empty<Bytes>, UnsyncBoxBody<Bytes, BoxError>>;

/// What comes back.
pub(crate) type Received = IdleTimeout<Incoming>;

/// Passes requests to one upstream; see [`Upstream::new`].
#[derive(Clone, Debug)]
pub(crate) struct Upstream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client<HttpConnector, Sent>,
    authority: Authority,
    timeout: Duration,
    counters: Counters,
}

/// How the upstream did, since the start.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    unreachable: AtomicU64,
    timed_out: AtomicU64,
    broken: AtomicU64,
}

impl Upstream {
    /// A client of the server at `authority` that waits `timeout` for each answer's head, and as
    /// long for each further piece.
    pub(crate) fn new(authority: Authority, timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT.min(timeout)));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .set_host(false)
            .build(connector);
        let counters = Counters::default();
        Self(Arc::new(Shared {
            client,
            authority,
            timeout,
            counters,
        }))
    }

    /// Counters for the admin listener.
    pub(crate) fn stats(&self) -> serde_json::Value {
        let counters = &self.0.counters;
        serde_json::json!({
            "requests": counters.requests.load(Relaxed),
            "unreachable": counters.unreachable.load(Relaxed),
            "timed_out": counters.timed_out.load(Relaxed),
            "broken": counters.broken.load(Relaxed),
        })
    }
}

impl<B> Service<Request<B>> for Upstream
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Received>;
    // A failure stays one: the cache above may have something to put in its place.
    type Error = Failure;
    // One box per request that really travels.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let answer = shared.forward(request).await;
            answer.inspect_err(|failure| shared.count(*failure))
        })
    }
}

impl Shared {
    async fn forward<B>(&self, mut request: Request<B>) -> Result<Response<Received>, Failure>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let peer = request.extensions_mut().remove::<Peer>();
        let address = peer.as_ref().map(|peer| peer.address);
        if let Some(exchange) = peer.and_then(|peer| peer.exchange) {
            exchange.follow(&mut request);
        }
        let (mut parts, body) = request.into_parts();
        if fields::passes(&parts.headers) >= MOST_PASSES {
            return Err(Failure::Circle);
        }
        fields::append_via(&mut parts.headers, parts.version);
        // The cache asks on behalf of nobody in particular, but about the same target.
        if let Some(address) = address {
            fields::describe_client(&mut parts.headers, address);
        }
        fields::describe_target(&mut parts.headers);
        fields::prepare_connection(&mut parts.headers);
        parts.version = Version::HTTP_11;
        parts.uri = self.target(&parts.uri);

        self.counters.requests.fetch_add(1, Relaxed);
        let progress = Progress::new(Instant::now());
        let answer = if body.is_end_stream() {
            self.send_twice(parts, &progress).await
        } else {
            let upload = Upload::new(body, progress.clone())
                .map_err(Into::into)
                .boxed_unsync();
            self.send(Request::from_parts(parts, Either::Right(upload)), &progress)
                .await
        };
        let (mut parts, body) = answer?.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody asked for it, and nobody could follow.
            return Err(Failure::Broken);
        }
        if body.size_hint().exact().is_none() && !parts.headers.contains_key(TRANSFER_ENCODING) {
            // It ends with its connection, as if it had broken off (RFC 9112 section 6.3).
            parts.extensions.insert(CachePolicy::new().no_store());
        }
        fields::strip_hop_by_hop(&mut parts.headers);
        fields::append_via(&mut parts.headers, parts.version);
        parts.version = Version::HTTP_11;
        parts.extensions.remove::<HttpInfo>();
        Ok(Response::from_parts(
            parts,
            IdleTimeout::new(body, self.timeout),
        ))
    }

    /// The same path at the upstream.
    fn target(&self, uri: &Uri) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = uri.path_and_query().cloned().or_else(|| "/".parse().ok());
        Uri::from_parts(parts).expect("scheme, authority and path make a URI")
    }

    /// Sends a request without a body, and once more if the connection it took was just being
    /// closed by the upstream (RFC 9110 section 9.2.2 allows that for idempotent methods).
    async fn send_twice(
        &self,
        parts: request::Parts,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Failure> {
        let empty = |parts| Request::from_parts(parts, Either::Left(Empty::new()));
        let spare = parts.method.is_idempotent().then(|| parts.clone());
        match (self.send(empty(parts), progress).await, spare) {
            (Err(Failure::Lost), Some(spare)) => self.send(empty(spare), progress).await,
            (answer, _) => answer,
        }
    }

    async fn send(
        &self,
        request: Request<Sent>,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Failure> {
        let mut answer = pin!(self.client.request(request));
        // The clock starts anew with every piece of an upload: a long one is not a slow upstream.
        let mut deadline = progress.latest() + self.timeout;
        loop {
            if let Ok(answer) = timeout_at(deadline, &mut answer).await {
                return answer.map_err(|error| failure(&error, progress.waiting()));
            }
            let moved = progress.latest() + self.timeout;
            if moved <= deadline {
                return Err(match progress.waiting() {
                    Waiting::ForClient => Failure::ClientStalled,
                    _ => Failure::TimedOut,
                });
            }
            deadline = moved;
        }
    }

    fn count(&self, failure: Failure) {
        let counter = match failure {
            Failure::Unreachable => &self.counters.unreachable,
            Failure::TimedOut => &self.counters.timed_out,
            Failure::Lost | Failure::Broken => &self.counters.broken,
            Failure::Circle | Failure::ClientStalled | Failure::ClientBroke => return,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// Sorts the client's error by what it means for the answer.
fn failure(error: &legacy::Error, waiting: Waiting) -> Failure {
    if waiting == Waiting::Broken {
        return Failure::ClientBroke;
    }
    let causes = || std::iter::successors(error.source(), |cause| (*cause).source());
    let system = causes().find_map(|cause| cause.downcast_ref::<io::Error>());
    if error.is_connect() {
        let timed_out = system.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut);
        return if timed_out {
            Failure::TimedOut
        } else {
            Failure::Unreachable
        };
    }
    let ended = causes()
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(|cause| cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed());
    if ended || system.is_some() {
        Failure::Lost
    } else {
        Failure::Broken
    }
}
