//! A scripted origin behind a cache, and short words to ask it with.

use bytes::Bytes;
use cache_layer::{Cache, CacheHandle, CacheLayer, RequestBody, ResponseBody};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

pub(crate) type ClientBody = Empty<Bytes>;
pub(crate) type OriginRequest = Request<RequestBody<ClientBody>>;
pub(crate) type OriginResponse = Response<ScriptBody>;

/// A body whose frames are sent by the test.
pub(crate) struct ScriptBody {
    frames: mpsc::UnboundedReceiver<Result<Frame<Bytes>, BoxError>>,
    known: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Script(mpsc::UnboundedSender<Result<Frame<Bytes>, BoxError>>);

impl Script {
    pub(crate) fn new() -> (Self, ScriptBody) {
        let (sender, frames) = mpsc::unbounded_channel();
        (
            Self(sender),
            ScriptBody {
                frames,
                known: None,
            },
        )
    }

    pub(crate) fn data(&self, data: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(data.into()))).is_ok()
    }

    pub(crate) fn trailers(&self, trailers: HeaderMap) {
        let _ = self.0.send(Ok(Frame::trailers(trailers)));
    }

    pub(crate) fn fail(&self) {
        let _ = self.0.send(Err("origin died".into()));
    }

    /// Whether the body is gone on the other side.
    pub(crate) fn is_dropped(&self) -> bool {
        self.0.is_closed()
    }
}

impl ScriptBody {
    pub(crate) fn full(data: impl Into<Bytes>) -> Self {
        let (script, mut body) = Script::new();
        let data = data.into();
        body.known = Some(data.len() as u64);
        if !data.is_empty() {
            script.data(data);
        }
        body
    }
}

impl Body for ScriptBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.frames.poll_recv(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.known.is_some() && self.frames.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.known
            .map_or_else(Default::default, http_body::SizeHint::with_exact)
    }
}

pub(crate) fn answer(fields: &[(&str, &str)], body: impl Into<Bytes>) -> OriginResponse {
    head(fields, ScriptBody::full(body))
}

pub(crate) fn head(fields: &[(&str, &str)], body: ScriptBody) -> OriginResponse {
    let mut response = Response::new(body);
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}

pub(crate) const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// An origin that answers by a function and counts.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) calls: Arc<AtomicUsize>,
    answer: Arc<Answer>,
}

type Answer = dyn Fn(usize, &OriginRequest) -> OriginResponse + Send + Sync;

impl Origin {
    pub(crate) fn new(
        answer: impl Fn(usize, &OriginRequest) -> OriginResponse + Send + Sync + 'static,
    ) -> Self {
        Self {
            calls: Arc::default(),
            answer: Arc::new(answer),
        }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Service<OriginRequest> for Origin {
    type Response = OriginResponse;
    type Error = Infallible;
    type Future = std::future::Ready<Result<OriginResponse, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: OriginRequest) -> Self::Future {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok((self.answer)(call, &request)))
    }
}

pub(crate) fn layer() -> CacheLayer {
    CacheLayer::new(1 << 20)
}

pub(crate) fn cached(origin: &Origin) -> (Cache<Origin>, CacheHandle) {
    let layer = layer();
    (layer.layer(origin.clone()), layer.handle())
}

pub(crate) fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Request<ClientBody> {
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .body(Empty::new())
        .unwrap();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

pub(crate) fn get(uri: &str) -> Request<ClientBody> {
    request("GET", uri, &[])
}

/// What a client saw.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Result<Bytes, String>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Seen {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Our member of `Cache-Status`.
    pub(crate) fn cache(&self) -> &str {
        let last = self
            .headers
            .get_all("cache-status")
            .iter()
            .next_back()
            .expect("Cache-Status");
        last.to_str()
            .unwrap()
            .strip_prefix("cache-layer; ")
            .expect("our member is the last")
    }
}

pub(crate) async fn read<B>(response: Response<ResponseBody<B>>) -> Seen
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (parts, body) = response.into_parts();
    let (body, trailers) = match body.collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            (Ok(collected.to_bytes()), trailers)
        }
        Err(error) => (Err(error.to_string()), None),
    };
    Seen {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
        trailers,
    }
}

pub(crate) async fn ask(cache: &Cache<Origin>, request: Request<ClientBody>) -> Seen {
    let Ok(response) = cache.clone().oneshot(request).await;
    read(response).await
}

/// An origin whose answers the test gives one by one.
pub(crate) type Pending = (OriginRequest, oneshot::Sender<OriginResponse>);

pub(crate) fn manual() -> (
    mpsc::UnboundedReceiver<Pending>,
    impl Service<
        OriginRequest,
        Response = OriginResponse,
        Error = BoxError,
        Future = impl Future<Output = Result<OriginResponse, BoxError>> + Send + 'static,
    > + Clone
    + Send
    + 'static,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let service = service_fn(move |request| {
        let (answer, answered) = oneshot::channel();
        let sent = sender.send((request, answer));
        async move {
            sent.map_err(|_| "no test")?;
            answered.await.map_err(|_| BoxError::from("origin failed"))
        }
    });
    (receiver, service)
}

/// Answers the next request with these fields; the body is still to be sent.
pub(crate) async fn answered(
    origin: &mut mpsc::UnboundedReceiver<Pending>,
    fields: &[(&str, &str)],
) -> Script {
    let (_, respond) = origin.recv().await.unwrap();
    let (script, body) = Script::new();
    respond.send(head(fields, body)).ok().unwrap();
    script
}

/// Lets every task run as far as it can.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// What an entry leaves behind goes when no other thread is in the midst of a read: soon.
pub(crate) fn soon_holds_at_most(handle: &CacheHandle, bytes: u64) {
    for _ in 0..10_000 {
        if handle.stats().bytes <= bytes {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{} bytes held, more than {bytes}", handle.stats().bytes);
}
