//! Filling the cache before anybody asks.

use crate::fill::Lifetimes;
use crate::handle::CacheHandle;
use crate::policy::LONGEST;
use crate::shared::Shared;
use http::{Method, Request, Response};
use http_body::Body;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tower::ServiceExt;
use tower_service::Service;

/// In the extensions of a request that the cache sends on its own behalf: there is no client behind it.
///
/// A handler may want to know, so as not to count it as a visit. Requests of clients have no such
/// extension, and none tells who else asks for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fetch {
    /// To have anew what was served stale.
    Refresh,
    /// To have it before somebody asks: [`CacheHandle::warm`](crate::CacheHandle::warm).
    Warm,
}

/// How [`CacheHandle::warm`](crate::CacheHandle::warm) fills the cache.
#[derive(Debug, Clone)]
#[must_use]
pub struct Warm {
    ttl: Duration,
    at_once: NonZeroUsize,
}

impl Default for Warm {
    fn default() -> Self {
        Self::new()
    }
}

impl Warm {
    /// Eight requests at once, and the lifetimes that the answers state.
    pub fn new() -> Self {
        Self {
            ttl: Duration::ZERO,
            at_once: const { NonZeroUsize::new(8).unwrap() },
        }
    }

    /// Answers are fresh for so long at least, whatever shorter time they state, and up to
    /// [`ttl_jitter`](crate::CacheLayer::ttl_jitter) longer; errors, answers that must not be stored, or
    /// say `no-cache`, stay as they are. More than 68 years count as 68.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.min(LONGEST);
        self
    }

    /// How many requests are under way at once.
    pub fn at_once(mut self, most: NonZeroUsize) -> Self {
        self.at_once = most;
        self
    }
}

/// What came of warming.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed {
    /// Answers that are in the store now, as far as there was room.
    pub stored: u64,
    /// Answers that may not be stored, or came from elsewhere than the cache.
    pub not_stored: u64,
    /// Requests that failed, or whose answers broke off.
    pub failed: u64,
}

impl Warmed {
    fn count(&mut self, outcome: Option<bool>) {
        match outcome {
            Some(true) => self.stored += 1,
            Some(false) => self.not_stored += 1,
            None => self.failed += 1,
        }
    }
}

/// Marks a request that warms the cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Warming {
    ttl: Duration,
}

impl Warming {
    pub(crate) fn lifetimes(&self) -> Lifetimes {
        if self.ttl.is_zero() {
            Lifetimes::Usual
        } else {
            Lifetimes::AtLeast(self.ttl)
        }
    }
}

/// Marks a response that went into the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WasStored;

impl CacheHandle {
    /// Sends requests through a service that has this cache in it, so that their answers are there
    /// before somebody asks; says what came of them.
    ///
    /// They become GET requests, and what is stored already is asked for anew. The bodies are read
    /// and thrown away.
    ///
    /// ```
    /// use axum::{Router, body::Body, http::{Request, header}, routing::get};
    /// use cache_layer::{CacheLayer, Warm};
    /// use std::time::Duration;
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// let cache = CacheLayer::new(1 << 20);
    /// let handle = cache.handle();
    /// let app: Router = Router::new()
    ///     .route("/", get(|| async { ([(header::CACHE_CONTROL, "max-age=5")], "hello") }))
    ///     .layer(cache);
    ///
    /// let hot = ["http://a.example/"].map(|uri| Request::get(uri).body(Body::empty()).unwrap());
    /// let warmed = handle.warm(app, hot, &Warm::new().ttl(Duration::from_secs(60))).await;
    /// assert_eq!(warmed.stored, 1);
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the requests that are under way; what has been stored stays.
    pub async fn warm<S, B, R>(
        &self,
        service: S,
        requests: impl IntoIterator<Item = Request<B>>,
        how: &Warm,
    ) -> Warmed
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        R: Body + Send + 'static,
        R::Data: Send,
        R::Error: Send,
    {
        let _under_way = UnderWay::new(Arc::clone(&self.shared));
        let (mut warmed, mut running) = (Warmed::default(), JoinSet::new());
        for mut request in requests {
            if running.len() >= how.at_once.get()
                && let Some(ended) = running.join_next().await
            {
                warmed.count(ended.ok().flatten());
            }
            *request.method_mut() = Method::GET;
            request.extensions_mut().insert(Warming { ttl: how.ttl });
            request.extensions_mut().insert(Fetch::Warm);
            let answer = service.clone().oneshot(request);
            running.spawn(async move { drain(answer.await.ok()?).await });
        }
        while let Some(ended) = running.join_next().await {
            warmed.count(ended.ok().flatten());
        }
        warmed
    }
}

/// Whether the answer was stored; none if it broke off.
async fn drain<R: Body>(response: Response<R>) -> Option<bool> {
    let stored = response.extensions().get::<WasStored>().is_some();
    let mut body = pin!(response.into_body());
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        frame.ok()?;
    }
    Some(stored)
}

struct UnderWay(Arc<Shared>);

impl UnderWay {
    fn new(shared: Arc<Shared>) -> Self {
        shared.warming.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.warming.fetch_sub(1, Ordering::Relaxed);
    }
}
