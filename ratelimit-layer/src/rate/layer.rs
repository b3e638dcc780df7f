//! [`RateLimitLayer`] and its settings.

use super::handle::{RateLimitHandle, State};
use super::service::{RateLimit, RateLimited, Shared};
use crate::fields::{FieldStyle, Partitions, PolicyName};
use crate::head::Head;
use crate::key::{ClientIp, ClientKey, KeyFn};
use crate::limiter::RateLimiter;
use crate::quota::Quota;
use crate::rejection::Standard;
use crate::rules::{Rules, Unkeyed, rule_setters};
use http::Response;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use tower_layer::Layer;

/// Gives each client a [`Quota`] of requests and refuses what goes beyond.
///
/// Clients are told apart by the address of the peer, see [`ClientIp`]; a refusal is a 429 with
/// `Retry-After` and problem+json, or `RESOURCE_EXHAUSTED` to gRPC. Every answer carries `RateLimit`
/// and `RateLimit-Policy`. All services made by one layer and by its clones share one table, whose
/// memory is fixed when the layer is built: [`max_clients`](Self::max_clients).
///
/// # Examples
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use ratelimit_layer::{Quota, RateLimitLayer};
/// use std::convert::Infallible;
/// use std::net::SocketAddr;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Infallible> {
/// let limit = RateLimitLayer::new(Quota::per_minute(1)).exempt(|head| head.uri.path() == "/healthz");
/// let handle = limit.handle();
/// let mut service = ServiceBuilder::new().layer(limit).service(service_fn(async |_: Request<()>| {
///     Ok::<_, Infallible>(Response::new(Full::from("hello")))
/// }));
///
/// let request = || {
///     // Servers put the peer's address here.
///     Request::builder().extension(SocketAddr::from(([192, 0, 2, 1], 4711))).body(()).unwrap()
/// };
/// let first = service.ready().await?.call(request()).await?;
/// assert_eq!(first.status(), StatusCode::OK);
/// assert_eq!(first.headers()["ratelimit-policy"], r#""default";q=1;w=60"#);
/// assert_eq!(first.headers()["ratelimit"], r#""default";r=0;t=60"#);
///
/// let second = service.ready().await?.call(request()).await?;
/// assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
/// assert_eq!(second.headers()["retry-after"], "60");
/// assert_eq!(handle.stats().refused, 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "layers do nothing until they are applied to a service"]
pub struct RateLimitLayer<K = ClientIp, R = Standard> {
    rules: Rules<K, R>,
    state: Arc<State>,
    fields: FieldStyle,
    partitions: Option<Partitions>,
}

impl RateLimitLayer {
    /// Each client gets `quota`, told apart by the peer's address, in a table of 65,536 (1 MiB).
    ///
    /// A layer that is built while tokio's clock is paused follows that clock; see
    /// [`RateLimiter::new`].
    pub fn new(quota: Quota) -> Self {
        Self {
            rules: Rules::default(),
            state: State::new(RateLimiter::new(quota)),
            fields: FieldStyle::default(),
            partitions: None,
        }
    }
}

rule_setters!(RateLimitLayer, RateLimited, [state, fields, partitions]);

impl<K, R> RateLimitLayer<K, R> {
    /// Tells at least `clients` clients apart, 1 to 2³²; the default is 65,536.
    ///
    /// Each takes 16 bytes, taken now, and the number is rounded up to 8 times a power of two: the
    /// default is 1 MiB, a million clients 16 MiB. When more clients than that are in debt at once,
    /// the one nearest to a full bucket is forgotten and starts fresh; a client whose bucket is
    /// full is forgotten without loss.
    ///
    /// # Panics
    ///
    /// When `clients` is outside that range.
    #[track_caller]
    pub fn max_clients(mut self, clients: usize) -> Self {
        self.state = State::new(RateLimiter::new(self.state.limiter.quota()).max_clients(clients));
        self
    }

    /// Which fields answers carry; the default is [`FieldStyle::Draft`]: `RateLimit` and
    /// `RateLimit-Policy`. `false` is none.
    ///
    /// Items are appended to those of the service below.
    pub fn fields(mut self, style: impl Into<FieldStyle>) -> Self {
        self.fields = style.into();
        self
    }

    /// Whether `RateLimit` says whose share it tells of (`pk`), for clients that have several keys;
    /// the default is `false`.
    ///
    /// The key is never told: it is a hash under a secret that each layer draws anew, so it differs
    /// from one process to the next.
    pub fn partition_key(mut self, on: bool) -> Self {
        self.partitions = on.then(Partitions::default);
        self
    }

    /// A way to the layer's numbers from outside the request path.
    ///
    /// Take it after the last setter: [`max_clients`](Self::max_clients) begins a new table, of
    /// which an older handle knows nothing.
    #[must_use]
    pub fn handle(&self) -> RateLimitHandle {
        RateLimitHandle {
            state: Arc::clone(&self.state),
        }
    }
}

impl<S, K, R> Layer<S> for RateLimitLayer<K, R> {
    type Service = RateLimit<S, K, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit::new(
            inner,
            Shared::new(
                self.rules.clone(),
                Arc::clone(&self.state),
                self.fields,
                self.partitions.clone(),
            ),
        )
    }
}

impl<K, R> Clone for RateLimitLayer<K, R> {
    fn clone(&self) -> Self {
        Self {
            rules: self.rules.clone(),
            state: Arc::clone(&self.state),
            fields: self.fields,
            partitions: self.partitions.clone(),
        }
    }
}

impl<K: fmt::Debug, R> fmt::Debug for RateLimitLayer<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("quota", &self.state.limiter.quota())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
