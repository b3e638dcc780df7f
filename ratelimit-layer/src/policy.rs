//! What a client may use: a named [`Quota`], how it is counted, and for which requests.

use crate::algorithm::Window;
use crate::error::ConfigError;
use crate::fields::{PolicyName, Unit};
use crate::head::{Head, ResponseHead};
use crate::quota::Quota;
use std::fmt;
use std::sync::Arc;

/// Most units of a sliding window log: each is kept, eight bytes a client.
const MOST_LOGGED: u32 = 128;

/// How units are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Algorithm {
    /// Units come back one by one, and a client that has been quiet may use a burst at once; the
    /// default. It is GCRA (ITU-T I.371, annex A): exact, 16 bytes a client.
    #[default]
    TokenBucket,
    /// At most the quota's units in any stretch of its period, exactly, for quotas of up to 128
    /// units. Takes 16 bytes and 8 for each unit a client, and a lock.
    SlidingWindowLog,
    /// At most the quota's units in each period of the limiter's clock, and in any other stretch
    /// about as many: the period before counts by the share of it that the stretch still covers, as
    /// if it had been used evenly. 16 bytes a client; up to 65,535 units, over a second or longer.
    SlidingWindowCounter,
}

impl Algorithm {
    /// # Errors
    ///
    /// When the quota cannot be counted this way.
    pub(crate) fn fits(self, quota: Quota) -> Result<(), ConfigError> {
        let (most, shortest) = match self {
            Self::TokenBucket => return Ok(()),
            Self::SlidingWindowLog => (MOST_LOGGED, 1),
            Self::SlidingWindowCounter => (Window::MOST_UNITS, Window::SHORTEST),
        };
        match quota.window() {
            Some((units, period)) if units <= most && period >= shortest => Ok(()),
            _ => Err(ConfigError::new(format!(
                "a quota of {quota} cannot be counted by {self:?}: allowed are up to {most} units \
                 over {:?} or longer, without a burst of their own",
                std::time::Duration::from_nanos(shortest)
            ))),
        }
    }

    /// The two numbers that a check needs of a quota that fits.
    pub(crate) fn terms(self, quota: Quota) -> (u64, u64) {
        match (self, quota.window()) {
            (Self::TokenBucket, _) | (_, None) => quota.gcra().terms(),
            (_, Some((units, period))) => (units.into(), period),
        }
    }
}

/// A closure over a request.
type OfHead<T> = Arc<dyn Fn(&Head<'_>) -> T + Send + Sync>;

/// What is asked of requests, by closures.
#[derive(Clone, Default)]
pub(crate) struct Requests {
    pub(crate) only: Option<OfHead<bool>>,
    pub(crate) cost: Option<OfHead<u32>>,
    pub(crate) quota: Option<OfHead<Option<Quota>>>,
    pub(crate) settle: Settle,
}

/// How the cost of a request is settled once the response is known.
#[derive(Clone, Default)]
pub(crate) enum Settle {
    /// It stays.
    #[default]
    Not,
    /// By the head.
    Head(Arc<dyn Fn(&ResponseHead<'_>) -> u32 + Send + Sync>),
    /// By the bytes of content.
    Bytes,
}

/// A named [`Quota`], how it is counted, and for which requests.
///
/// A layer or limiter has one by default and takes more; a request goes on if all of them have room
/// for it, and is charged to none if one has not.
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use ratelimit_layer::{Policy, Quota, RateLimitLayer};
///
/// let layer = RateLimitLayer::new(Quota::per_second(10))
///     .policy(Policy::new("hourly", Quota::per_hour(1_000)))
///     .policy(
///         // Five wrong passwords an hour; right ones are given back.
///         Policy::new("logins", Quota::per_hour(5))
///             .only(|head| head.uri.path() == "/login")
///             .settle(|response| u32::from(response.status == StatusCode::UNAUTHORIZED)),
///     );
/// ```
#[derive(Clone)]
pub struct Policy {
    pub(crate) name: PolicyName,
    pub(crate) quota: Quota,
    pub(crate) algorithm: Algorithm,
    pub(crate) dry_run: bool,
    pub(crate) requests: Requests,
}

impl Policy {
    /// Each client gets `quota`; answers call it `name`.
    ///
    /// # Panics
    ///
    /// When the name is not 1 to 64 printable ASCII characters; [`try_new`](Self::try_new) returns
    /// an error instead.
    #[must_use]
    #[track_caller]
    pub fn new(name: &str, quota: Quota) -> Self {
        match Self::try_new(name, quota) {
            Ok(policy) => policy,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`new`](Self::new) for names that come from configuration.
    ///
    /// # Errors
    ///
    /// When the name is not 1 to 64 printable ASCII characters.
    pub fn try_new(name: &str, quota: Quota) -> Result<Self, ConfigError> {
        Ok(Self::named(PolicyName::try_new(name)?, quota))
    }

    pub(crate) fn named(name: PolicyName, quota: Quota) -> Self {
        Self {
            name,
            quota,
            algorithm: Algorithm::default(),
            dry_run: false,
            requests: Requests::default(),
        }
    }

    /// How units are counted; the default is [`Algorithm::TokenBucket`].
    ///
    /// # Panics
    ///
    /// When the quota does not fit the algorithm: windows have no burst of their own, and bounds on
    /// their units; [`try_algorithm`](Self::try_algorithm) returns an error instead.
    #[must_use]
    #[track_caller]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        match self.try_algorithm(algorithm) {
            Ok(policy) => policy,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`algorithm`](Self::algorithm) for quotas that come from configuration.
    ///
    /// # Errors
    ///
    /// When the quota does not fit the algorithm.
    pub fn try_algorithm(self, algorithm: Algorithm) -> Result<Self, ConfigError> {
        algorithm.fits(self.quota)?;
        Ok(Self { algorithm, ..self })
    }

    /// Counts and marks what would be refused, and refuses nothing; the default is `false`.
    ///
    /// What would be refused is in [`PolicyStats::would_refuse`](crate::PolicyStats::would_refuse)
    /// and in [`Decision::would_refuse`](crate::Decision::would_refuse).
    #[must_use]
    pub fn dry_run(mut self, on: bool) -> Self {
        self.dry_run = on;
        self
    }

    /// Holds only for requests for which the closure says `true`; the default is all.
    #[must_use]
    pub fn only(mut self, only: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.requests.only = Some(Arc::new(only));
        self
    }

    /// A request costs as many units as the closure says, by default one. What costs none is always
    /// let through; what costs more than a burst never is.
    #[must_use]
    pub fn cost(mut self, cost: impl Fn(&Head<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.requests.cost = Some(Arc::new(cost));
        self
    }

    /// Another quota where the closure names one, by tier or route. A client has a bucket of its own
    /// for each quota it gets; all live in the one table.
    ///
    /// A quota that the policy's algorithm cannot count is passed over for the policy's own, as
    /// `None` is.
    #[must_use]
    pub fn quota_by(
        mut self,
        quota: impl Fn(&Head<'_>) -> Option<Quota> + Send + Sync + 'static,
    ) -> Self {
        self.requests.quota = Some(Arc::new(quota));
        self
    }

    /// Settles the cost once the head of the response is there: what the closure says takes the
    /// place of what was charged. The difference is given back, or charged even if that is more than
    /// there is; then the client waits until it has paid.
    ///
    /// A request whose service fails, or that is dropped before there is a head, keeps what it was
    /// charged.
    #[must_use]
    pub fn settle(
        mut self,
        settle: impl Fn(&ResponseHead<'_>) -> u32 + Send + Sync + 'static,
    ) -> Self {
        self.requests.settle = Settle::Head(Arc::new(settle));
        self
    }

    /// Counts bytes of response content in place of requests: a request takes one, and when the body
    /// has ended or is dropped the client is charged what was sent, up to 4 GiB, even if that is more
    /// than there is; then it waits until it has paid.
    #[must_use]
    pub fn count_bytes(mut self) -> Self {
        self.requests.settle = Settle::Bytes;
        self
    }

    pub(crate) fn unit(&self) -> Unit {
        match self.requests.settle {
            Settle::Bytes => Unit::ContentBytes,
            Settle::Not | Settle::Head(_) => Unit::Requests,
        }
    }
}

impl Requests {
    /// Whether nothing is asked: such a policy needs no request.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            only,
            cost,
            quota,
            settle,
        } = self;
        only.is_none() && cost.is_none() && quota.is_none() && matches!(settle, Settle::Not)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name.as_str())
            .field("quota", &self.quota)
            .field("algorithm", &self.algorithm)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
