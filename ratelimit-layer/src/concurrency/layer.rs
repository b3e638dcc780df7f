//! [`ConcurrencyLimitLayer`] and its settings.

use super::handle::{ConcurrencyHandle, State};
use super::in_flight::Keep;
use super::patience::{AtOnce, InLine};
use super::permits::Limits;
use super::service::{ConcurrencyLimit, ConcurrencyLimited, Shared};
use crate::adaptive::Adaptive;
use crate::head::Head;
use crate::key::{ClientIp, ClientKey, KeyFn};
use crate::rejection::Standard;
use crate::rules::{Rules, Unkeyed, rule_setters};
use http::Response;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
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
/// A request beyond the limit is refused at once, with a 429 and problem+json or
/// `RESOURCE_EXHAUSTED` to gRPC, and holds nothing; or it waits in line first, if
/// [`wait`](Self::wait) says so. All services made by one layer and by its clones
/// share the counts, which take memory for requests in flight and in line only. An upgrade (WebSocket) is over
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
pub struct ConcurrencyLimitLayer<K = ClientIp, R = Standard, W = AtOnce> {
    rules: Rules<K, R>,
    state: Arc<State>,
    limits: Limits,
    adaptive: Option<Adaptive>,
    keep: Keep,
    timeout: Duration,
    patience: PhantomData<W>,
}

/// Requests that all clients together may have in line, unless that is set.
const MAX_WAITING_TOTAL: usize = 1_024;

/// The longest wait: a day.
const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

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
        let limits = Limits {
            per_client: n,
            total: usize::MAX,
            waiting: 0,
            waiting_total: MAX_WAITING_TOTAL,
        };
        Self {
            rules: Rules::default(),
            state: State::new(limits, None),
            limits,
            adaptive: None,
            keep: Keep::default(),
            timeout: Duration::ZERO,
            patience: PhantomData,
        }
    }
}

rule_setters!(
    ConcurrencyLimitLayer,
    ConcurrencyLimited,
    [state, limits, adaptive, keep, timeout, patience],
    W
);

impl<K, R, W> ConcurrencyLimitLayer<K, R, W> {
    /// Names the policy in the fields and in refusals; the default is `default`.
    ///
    /// # Panics
    ///
    /// When the name is not 1 to 64 printable ASCII characters.
    #[track_caller]
    pub fn policy_name(mut self, name: &str) -> Self {
        self.rules.rename(name);
        self
    }

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
        self.limits.total = n;
        self.limited()
    }

    /// Lets all clients together have as many requests in flight as the service below can bear, by
    /// its own measure; what goes beyond is refused with 503, or waits. [`Adaptive`] says how. The
    /// default is no such limit.
    ///
    /// With [`max_total`](Self::max_total) the limit is never above that either. The time is the
    /// processor's, or tokio's if that is paused when this is called.
    ///
    /// Set it before taking a [`handle`](Self::handle), whose
    /// [`adaptive_limit`](crate::ConcurrencyStats::adaptive_limit) tells where it stands.
    ///
    /// # Examples
    ///
    /// ```
    /// use ratelimit_layer::{Adaptive, ConcurrencyLimitLayer};
    ///
    /// let layer = ConcurrencyLimitLayer::new(10).adaptive(Adaptive::gradient2().between(5, 500));
    /// ```
    pub fn adaptive(mut self, adaptive: Adaptive) -> Self {
        self.adaptive = Some(adaptive);
        self.limited()
    }

    /// New counts under the limits as they are now.
    fn limited(mut self) -> Self {
        self.state = State::new(self.limits, self.adaptive.as_ref());
        self
    }

    /// Lets requests wait instead of refusing them at once: up to `max_waiting` of each client in a
    /// line of its own, each for up to `timeout`. Both may be 0, which is nobody waits, the default;
    /// the time is a day at most.
    ///
    /// A request waits for its client's limit or for the total, in the order of arrival. It is
    /// refused as it would have been without waiting when its line is full or its time is up. When
    /// it is the total that holds requests back, the places that come free go round over the
    /// clients in line: a client with a thousand waiting gets no more of them than one with a
    /// single request. A request that is dropped leaves the line, and a place it had just been
    /// given goes to the next.
    ///
    /// A request in line is held in memory, with its body as far as the server has read it; up to
    /// [`max_waiting_total`](Self::max_waiting_total) are. What waits is called later, so the service
    /// below must be `Clone`; the *ready* one is kept for the call, with whatever it has reserved by
    /// saying so. The time is tokio's: a request that waits needs a runtime with a timer.
    ///
    /// Set it before taking a [`handle`](Self::handle).
    ///
    /// # Panics
    ///
    /// When `timeout` is longer than a day.
    ///
    /// # Examples
    ///
    /// ```
    /// use ratelimit_layer::ConcurrencyLimitLayer;
    /// use std::time::Duration;
    ///
    /// // Four of each client at once, sixteen more in line for up to two seconds.
    /// let layer = ConcurrencyLimitLayer::new(4).wait(16, Duration::from_secs(2)).max_total(1_000);
    /// ```
    #[track_caller]
    pub fn wait(
        self,
        max_waiting: usize,
        timeout: Duration,
    ) -> ConcurrencyLimitLayer<K, R, InLine> {
        assert!(
            timeout <= MAX_TIMEOUT,
            "the time to wait is {timeout:?}, but must be 86400 s or less"
        );
        let Self {
            rules,
            state,
            mut limits,
            adaptive,
            keep,
            ..
        } = self;
        // Without time there is no line.
        limits.waiting = if timeout.is_zero() { 0 } else { max_waiting };
        ConcurrencyLimitLayer {
            rules,
            state,
            limits,
            adaptive,
            keep,
            timeout,
            patience: PhantomData,
        }
        .limited()
    }

    /// How many requests of all clients together may [`wait`](Self::wait), 0 and more; the default
    /// is 1,024.
    ///
    /// Set it before taking a [`handle`](Self::handle).
    pub fn max_waiting_total(mut self, n: usize) -> Self {
        self.limits.waiting_total = n;
        self.limited()
    }

    /// Lends the place of a response body to others when its reader, having got a piece of it (or the
    /// head), does not ask for the next for longer than `idle`; 1 ms to a day. The default is to
    /// hold it however long the client takes.
    ///
    /// A client that never reads so holds a place for that long and no longer. The body is not
    /// broken off, since to many clients that would look like its end: when the client reads again,
    /// the body takes its turn in the client's line, whatever bounds [`wait`](Self::wait) sets, and
    /// goes on when there is a place. Time that the *service* takes for the next piece does not
    /// count. What has been sent and not been read is the server's to bound, and so is the number of
    /// such connections. The time is tokio's: the body needs a runtime with a timer.
    ///
    /// # Panics
    ///
    /// When `idle` is outside that range.
    #[track_caller]
    pub fn max_idle(mut self, idle: Duration) -> Self {
        assert!(
            (Duration::from_millis(1)..=MAX_TIMEOUT).contains(&idle),
            "the idle limit is {idle:?}, but must be 1 ms to 86400 s"
        );
        self.keep.idle = Some(idle);
        self
    }

    /// When a permit goes back; the default is [`Hold::BodyEnd`].
    pub fn hold_until(mut self, hold: Hold) -> Self {
        self.keep.hold = hold;
        self
    }

    /// A way to the layer's numbers from outside the request path.
    ///
    /// Take it after the last setter: [`max_total`](Self::max_total), [`adaptive`](Self::adaptive) and
    /// [`wait`](Self::wait) begin new counts, of which an older handle knows nothing.
    #[must_use]
    pub fn handle(&self) -> ConcurrencyHandle {
        ConcurrencyHandle {
            state: Arc::clone(&self.state),
        }
    }
}

impl<S, K, R, W> Layer<S> for ConcurrencyLimitLayer<K, R, W> {
    type Service = ConcurrencyLimit<S, K, R, W>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit::new(
            inner,
            Shared::new(
                self.rules.clone(),
                Arc::clone(&self.state),
                self.keep,
                self.timeout,
            ),
        )
    }
}

impl<K, R, W> Clone for ConcurrencyLimitLayer<K, R, W> {
    fn clone(&self) -> Self {
        Self {
            rules: self.rules.clone(),
            state: Arc::clone(&self.state),
            limits: self.limits,
            adaptive: self.adaptive.clone(),
            keep: self.keep,
            timeout: self.timeout,
            patience: PhantomData,
        }
    }
}

impl<K: fmt::Debug, R, W> fmt::Debug for ConcurrencyLimitLayer<K, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimitLayer")
            .field("limits", &self.limits)
            .field("adaptive", &self.adaptive)
            .field("timeout", &self.timeout)
            .field("keep", &self.keep)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
