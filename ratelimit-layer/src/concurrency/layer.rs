//! [`ConcurrencyLimitLayer`] and its settings.

use super::handle::{ConcurrencyHandle, State};
use super::service::{ConcurrencyLimit, ConcurrencyLimited, Shared};
use crate::fields::PolicyName;
use crate::key::{ClientIp, ClientKey, KeyFn};
use crate::rejection::Standard;
use crate::rules::{Rules, Unkeyed, rule_setters};
use http::Response;
use http::request::Parts;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use tower_layer::Layer;

/// How long a request holds its permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Hold {
    /// Until the response body has ended, failed or been dropped. The default: a slow download is
    /// a request in flight.
    #[default]
    BodyEnd,
    /// Until the response head is there.
    Head,
}

/// Lets each client have so many requests in flight and refuses what goes beyond.
///
/// A request is in flight from the call until its response *body* has ended or is dropped
/// ([`hold_until`](Self::hold_until) changes that), or until its future is dropped, fails or panics.
/// Nothing waits: a request beyond the limit is refused at once, with a 429 and problem+json or
/// `RESOURCE_EXHAUSTED` to gRPC, and holds nothing. All services made by one layer and by its clones
/// share the counts, which take memory for requests in flight only. An upgrade (WebSocket) is over
/// with its head, whose body is empty: what follows is not limited here.
///
/// # Examples
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use ratelimit_layer::ConcurrencyLimitLayer;
/// use std::convert::Infallible;
/// use std::net::SocketAddr;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Infallible> {
/// let limit = ConcurrencyLimitLayer::new(1).max_total(1_000);
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
/// let second = service.ready().await?.call(request()).await?;
/// assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
///
/// // The first is in flight until its body is read or dropped.
/// assert_eq!(handle.stats().in_flight, 1);
/// drop(first);
/// assert_eq!(handle.stats().in_flight, 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "layers do nothing until they are applied to a service"]
pub struct ConcurrencyLimitLayer<K = ClientIp, R = Standard> {
    rules: Rules<K, R>,
    state: Arc<State>,
    hold: Hold,
}

impl ConcurrencyLimitLayer {
    /// Each client may have `n` requests in flight, told apart by the peer's address.
    ///
    /// # Panics
    ///
    /// When `n` is 0.
    #[track_caller]
    pub fn new(n: usize) -> Self {
        assert!(
            n > 0,
            "a concurrency limit of 0 cannot be used: allowed is 1 and more"
        );
        Self {
            rules: Rules::default(),
            state: State::new(n, usize::MAX),
            hold: Hold::default(),
        }
    }
}

rule_setters!(ConcurrencyLimitLayer, ConcurrencyLimited, [state, hold]);

impl<K, R> ConcurrencyLimitLayer<K, R> {
    /// Lets all clients together have `n` requests in flight; what goes beyond is refused with 503.
    /// The default is no such limit.
    ///
    /// Set it before taking a [`handle`](Self::handle).
    ///
    /// # Panics
    ///
    /// When `n` is 0.
    #[track_caller]
    pub fn max_total(mut self, n: usize) -> Self {
        assert!(
            n > 0,
            "a total concurrency limit of 0 cannot be used: allowed is 1 and more"
        );
        self.state = State::new(self.state.permits.per_client(), n);
        self
    }

    /// When a permit goes back; the default is [`Hold::BodyEnd`].
    pub fn hold_until(mut self, hold: Hold) -> Self {
        self.hold = hold;
        self
    }

    /// A way to the layer's numbers from outside the request path.
    ///
    /// Take it after the last setter: [`max_total`](Self::max_total) begins new counts, of which an
    /// older handle knows nothing.
    #[must_use]
    pub fn handle(&self) -> ConcurrencyHandle {
        ConcurrencyHandle {
            state: Arc::clone(&self.state),
        }
    }
}

impl<S, K, R> Layer<S> for ConcurrencyLimitLayer<K, R> {
    type Service = ConcurrencyLimit<S, K, R>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit::new(
            inner,
            Shared::new(self.rules.clone(), Arc::clone(&self.state), self.hold),
        )
    }
}

impl<K, R> Clone for ConcurrencyLimitLayer<K, R> {
    fn clone(&self) -> Self {
        Self {
            rules: self.rules.clone(),
            state: Arc::clone(&self.state),
            hold: self.hold,
        }
    }
}

impl<K: fmt::Debug, R> fmt::Debug for ConcurrencyLimitLayer<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimitLayer")
            .field("limit", &self.state.permits.per_client())
            .field("hold", &self.hold)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
