//! [`RateLimitLayer`] and its settings.

use super::admission::Shared;
use super::handle::{RateLimitHandle, State};
use super::limited::RateLimited;
use super::service::RateLimit;
use crate::concurrency::{AtOnce, InLine};
use crate::fields::{FieldStyle, Partitions};
use crate::head::Head;
use crate::key::{ClientIp, ClientKey, KeyFn};
use crate::limiter::{RateLimiter, Settings};
use crate::policy::{Algorithm, Policy};
use crate::quota::Quota;
use crate::rejection::Standard;
use crate::rules::{Rules, Unkeyed, rule_setters};
use http::Response;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tower_layer::Layer;

/// Gives each client a [`Quota`] of requests and refuses what goes beyond.
///
/// Clients are told apart by the address of the peer, see [`ClientIp`]; a refusal is a 429 with
/// `Retry-After` and problem+json, or `RESOURCE_EXHAUSTED` to gRPC. Every answer carries `RateLimit`
/// and `RateLimit-Policy`. A [`Policy`] more for each [`policy`](Self::policy); one of another
/// algorithm, for some requests, of another cost or in a dry run. All services made by one layer and by its clones share one table, whose
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
pub struct RateLimitLayer<K = ClientIp, R = Standard, W = AtOnce> {
    rules: Rules<K, R>,
    state: Arc<State>,
    fields: FieldStyle,
    partitions: Option<Partitions>,
    extensions: bool,
    patience: Duration,
    waits: PhantomData<fn() -> W>,
}

/// Longest [`wait_up_to`](RateLimitLayer::wait_up_to).
const MAX_PATIENCE: Duration = Duration::from_secs(3_600);
/// How many requests may wait if nobody says.
const MAX_WAITING: usize = 1_024;

impl RateLimitLayer {
    /// Each client gets `quota`, told apart by the peer's address, in a table of 65,536 (1 MiB). The
    /// policy is called `default`.
    ///
    /// A layer that is built while tokio's clock is paused follows that clock; see
    /// [`RateLimiter::new`].
    pub fn new(quota: Quota) -> Self {
        Self::of(Settings::new(quota))
    }

    /// A layer of one [`Policy`], which may count in another way, or hold for some requests only.
    pub fn of_policy(policy: Policy) -> Self {
        let mut settings = Settings::new(policy.quota);
        settings.first(policy);
        Self::of(settings)
    }

    fn of(settings: Settings) -> Self {
        Self {
            rules: Rules::default(),
            state: State::new(RateLimiter::of(settings), MAX_WAITING),
            fields: FieldStyle::default(),
            partitions: None,
            extensions: false,
            patience: Duration::ZERO,
            waits: PhantomData,
        }
    }
}

rule_setters!(
    RateLimitLayer,
    RateLimited,
    [state, fields, partitions, extensions, patience, waits],
    W
);

impl<K, R, W> RateLimitLayer<K, R, W> {
    /// Begins a new state, under settings that `change`.
    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.state.limiter.settings().clone();
        change(&mut settings);
        self.state = State::new(RateLimiter::of(settings), self.state.max_waiting);
        self
    }

    /// Holds clients to another policy too, of up to 8 in all. A request goes on if all have room
    /// for it, and is charged to none if one has not; then `violated-policies` and `Retry-After` are
    /// those of all that have not.
    ///
    /// # Panics
    ///
    /// When there are 8 already or one of that name, or when requests wait
    /// ([`wait_up_to`](Self::wait_up_to)) and the policy is no token bucket.
    #[track_caller]
    pub fn policy(self, policy: Policy) -> Self {
        let layer = self.with(|settings| settings.push(policy));
        layer.assert_waitable();
        layer
    }

    /// Names the first policy in the fields and in refusals; the default is `default`.
    ///
    /// # Panics
    ///
    /// When the name is not 1 to 64 printable ASCII characters, or another policy has it.
    #[track_caller]
    pub fn policy_name(self, name: &str) -> Self {
        self.with(|settings| settings.name_first(name))
    }

    /// Tells at least `clients` clients apart, 1 to 2³²; the default is 65,536.
    ///
    /// Each takes 16 bytes and policy, taken now, and the number is rounded up to 8 times a power of
    /// two: the default is 1 MiB, a million clients 16 MiB. When more clients than that are in debt
    /// at once, the one nearest to a full bucket is forgotten and starts fresh; a client whose
    /// bucket is full is forgotten without loss.
    ///
    /// # Panics
    ///
    /// When `clients` is outside that range.
    #[track_caller]
    pub fn max_clients(self, clients: usize) -> Self {
        self.with(|settings| settings.max_clients(clients))
    }

    /// Bans a client for `duration` once it has been refused `refusals` times within `within`, even
    /// if it slows down; the default is never. Refusals are counted as a token bucket counts, from 1;
    /// both times are 1 ms to 365 days. A banned client is refused with the problem
    /// `abnormal-usage-detected`.
    ///
    /// # Panics
    ///
    /// When a number is outside its range.
    #[track_caller]
    pub fn ban_after(self, refusals: u32, within: Duration, duration: Duration) -> Self {
        self.with(|settings| settings.ban_after(refusals, within, duration))
    }

    /// Scales all quotas by what the closure says, such as 0.5 under load, kept within `bounds`; it
    /// is asked at most every 100 ms. Burst and rate shrink alike. The default is 1, always. What the
    /// fields say of the quota is the whole one; what is left, and when to come back, is as scaled.
    ///
    /// # Panics
    ///
    /// When the bounds are not within 0.001 and 1000, the smaller one first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ratelimit_layer::{Quota, RateLimitLayer};
    /// # fn load_average() -> f64 { 0.3 }
    /// let layer = RateLimitLayer::new(Quota::per_second(100))
    ///     // All of it up to a load of 0.5, then less; a tenth at least.
    ///     .scale_with(|| 1.5 - load_average(), 0.1..=1.0);
    /// ```
    #[track_caller]
    pub fn scale_with(
        self,
        share: impl Fn() -> f64 + Send + Sync + 'static,
        bounds: RangeInclusive<f64>,
    ) -> Self {
        self.with(|settings| settings.scale_with(share, bounds))
    }

    /// Lets a request wait for its units up to `longest`, in place of refusing it: a leaky bucket as
    /// a queue. A client's requests go in the order in which they came. The default is not to wait;
    /// the range is 1 ms to an hour. Asks for a service below that is `Clone`.
    ///
    /// Up to 1,024 requests wait at once, see [`max_waiting`](Self::max_waiting); a request that is
    /// dropped while it waits gives its units back if it is the client's last.
    ///
    /// # Panics
    ///
    /// When `longest` is outside that range, or a policy is no token bucket.
    #[track_caller]
    pub fn wait_up_to(self, longest: Duration) -> RateLimitLayer<K, R, InLine> {
        assert!(
            (Duration::from_millis(1)..=MAX_PATIENCE).contains(&longest),
            "a wait of up to {longest:?} cannot be used: allowed are 1 ms to an hour"
        );
        let Self {
            rules,
            state,
            fields,
            partitions,
            extensions,
            ..
        } = self;
        let layer = RateLimitLayer {
            rules,
            state,
            fields,
            partitions,
            extensions,
            patience: longest,
            waits: PhantomData,
        };
        layer.assert_waitable();
        layer
    }

    #[track_caller]
    fn assert_waitable(&self) {
        let policies = self.state.limiter.meters.iter().map(|meter| &meter.policy);
        for policy in policies {
            assert!(
                self.patience.is_zero() || policy.algorithm == Algorithm::TokenBucket,
                "requests cannot wait for policy {:?}: allowed is that for token buckets only",
                policy.name.as_str()
            );
        }
    }

    /// How many requests of all clients may wait at once, from 1; the default is 1,024. It means
    /// nothing without [`wait_up_to`](Self::wait_up_to).
    ///
    /// # Panics
    ///
    /// When `requests` is 0.
    #[track_caller]
    pub fn max_waiting(mut self, requests: usize) -> Self {
        assert!(
            requests > 0,
            "0 waiting requests cannot be used: allowed is 1 or more"
        );
        let settings = self.state.limiter.settings().clone();
        self.state = State::new(RateLimiter::of(settings), requests);
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

    /// Whether the [`Decision`](crate::Decision) is put into the extensions of the request, for the
    /// service below, and of the response, for the layers above; the default is `false`. A refusal
    /// carries [`RateLimited`] either way.
    pub fn extensions(mut self, on: bool) -> Self {
        self.extensions = on;
        self
    }
}

impl<K: ClientKey + Send + Sync + 'static, R, W> RateLimitLayer<K, R, W> {
    /// A way to the layer's numbers and clients from outside the request path.
    ///
    /// Take it after the last setter: those of policies, clients and bans begin a new state, of
    /// which an older handle knows nothing.
    #[must_use]
    pub fn handle(&self) -> RateLimitHandle {
        let (state, key) = (Arc::clone(&self.state), Arc::clone(&self.rules.key));
        RateLimitHandle {
            state: Arc::clone(&self.state),
            client_of: Arc::new(move |head| {
                let key = key.key(head)?;
                Some(state.limiter.seeds().client(&key))
            }),
        }
    }
}

impl<S, K, R, W> Layer<S> for RateLimitLayer<K, R, W> {
    type Service = RateLimit<S, K, R, W>;

    fn layer(&self, inner: S) -> Self::Service {
        let mut meters = self.state.limiter.meters.iter();
        let plain = meters.all(|meter| meter.policy.requests.is_empty());
        let is_silent = plain && self.fields == FieldStyle::None && !self.extensions;
        let shared = Shared {
            rules: self.rules.clone(),
            state: Arc::clone(&self.state),
            style: self.fields,
            partitions: self.partitions.clone(),
            extensions: self.extensions,
            patience: u64::try_from(self.patience.as_nanos()).unwrap_or(u64::MAX),
            plain,
            is_silent,
            is_simple: is_silent && self.patience.is_zero() && self.rules.exempt.is_none(),
        };
        RateLimit::new(inner, Arc::new(shared))
    }
}

impl<K, R, W> Clone for RateLimitLayer<K, R, W> {
    fn clone(&self) -> Self {
        Self {
            rules: self.rules.clone(),
            state: Arc::clone(&self.state),
            fields: self.fields,
            partitions: self.partitions.clone(),
            extensions: self.extensions,
            patience: self.patience,
            waits: PhantomData,
        }
    }
}

impl<K: fmt::Debug, R, W> fmt::Debug for RateLimitLayer<K, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("settings", self.state.limiter.settings())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
