//! A counting service behind a cache, and its client.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use cache_layer::{CacheHandle, CacheLayer};
use http::{HeaderMap, Method};

use crate::{
    client::{Answer, Client, get_with, request},
    serve::Server,
};

/// An answer that is fresh for a minute.
pub const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// A service behind a cache; the body of its answers is their number, from 0.
#[derive(Debug)]
pub struct Cached {
    /// Where it is served, by axum.
    pub server: Server,
    /// The cache.
    pub handle: CacheHandle,
    reached: Arc<AtomicUsize>,
    client: Client,
}

impl Cached {
    /// Every answer carries these fields.
    pub async fn new(list: &[(&str, &str)]) -> Self {
        let fields = fields(list);
        Self::with(move |_| fields.clone()).await
    }

    /// The fields of each answer depend on its request.
    pub async fn with(
        fields: impl Fn(&Request) -> HeaderMap + Clone + Send + Sync + 'static,
    ) -> Self {
        let reached = Arc::new(AtomicUsize::new(0));
        let counter = reached.clone();
        let layer = CacheLayer::new(8 << 20);
        let handle = layer.handle();
        let answer = move |request: Request| {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let answer: Response = (fields(&request), number.to_string()).into_response();
            async move { answer }
        };
        Self {
            server: Server::axum(Router::new().fallback(answer).layer(layer)).await,
            handle,
            reached,
            client: Client::http1(),
        }
    }

    /// How many requests the service has answered.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }

    /// Gets a path.
    pub async fn get(&self, path: &str) -> Answer {
        self.client.get(&self.server.url(path)).await
    }

    /// Gets a path with one more field.
    ///
    /// # Panics
    ///
    /// When no whole answer comes.
    pub async fn get_with(&self, path: &str, name: &'static str, value: &str) -> Answer {
        let request = get_with(&self.server.url(path), name, value);
        self.client.fetch(request).await.expect("an answer")
    }

    /// Sends a request without a body.
    ///
    /// # Panics
    ///
    /// When no whole answer comes.
    pub async fn send(&self, method: Method, path: &str) -> Answer {
        let request = request(method, &self.server.url(path));
        self.client.fetch(request).await.expect("an answer")
    }
}

/// A header section of these lines.
///
/// # Panics
///
/// When one is invalid.
#[must_use]
pub fn fields(list: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        let name: http::HeaderName = name.parse().expect("a valid field name");
        (name, value.parse().expect("a valid field value"))
    };
    let mut fields = HeaderMap::new();
    for (name, value) in list.iter().map(line) {
        fields.append(name, value);
    }
    fields
}
