//! [`ConcurrencyLimit`]: takes a permit, then calls the service below, or nobody.

use super::guest::{Guest, InHand};
use super::handle::{ADMITTED, EXEMPT, REFUSED, State, UNKEYED};
use super::in_flight::{InFlight, Keep};
use super::own_limit::OwnLimit;
use super::patience::{AtOnce, Patience};
use super::permits::{Full, Permit, Turn};
use crate::body::ResponseBody;
use crate::fields::{PolicyName, whole_seconds};
use crate::future::{ResponseFuture, Waiting};
use crate::head::Head;
use crate::key::ClientKey;
use crate::rejection::{self, Problem, Rejection};
use crate::rules::{Rules, Whom};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tower_service::Service;

/// Nobody knows when the next request ends: the least that `Retry-After` can say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was refused by [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer); also found
/// in the response's extensions.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimited {
    policy: PolicyName,
    limit: usize,
    scope: Scope,
    delay: Duration,
}

/// Whose limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// The client's own.
    Client,
    /// That of all clients together.
    Total,
    /// The request has no client key ([`Unkeyed::Refuse`](crate::Unkeyed::Refuse)).
    Unkeyed,
}

impl ConcurrencyLimited {
    /// The name of the policy that refused.
    #[must_use]
    pub fn policy(&self) -> &str {
        self.policy.as_str()
    }

    /// How many requests each client may have in flight.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whose limit was reached.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whole seconds, as in `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> u64 {
        whole_seconds(self.delay)
    }
}

/// What was over, and when to come back, in one line.
impl fmt::Display for ConcurrencyLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policy, limit, seconds) = (self.policy(), self.limit, self.retry_after());
        match self.scope {
            Scope::Client => {
                write!(
                    f,
                    "policy {policy} allows {limit} requests at once; retry after {seconds} s"
                )
            }
            Scope::Total => write!(
                f,
                "all clients of policy {policy} together are over their limit; retry after {seconds} s"
            ),
            Scope::Unkeyed => {
                write!(
                    f,
                    "no client key for policy {policy}; retry after {seconds} s"
                )
            }
        }
    }
}

impl std::error::Error for ConcurrencyLimited {}

/// What all clones of one service share.
pub(super) struct Shared<K, R> {
    rules: Rules<K, R>,
    pub(super) state: Arc<State>,
    keep: Keep,
    timeout: Duration,
    own: RwLock<Arc<OwnLimit>>,
    total: Problem,
    unkeyed: Problem,
}

impl<K, R> Shared<K, R> {
    pub(super) fn new(
        rules: Rules<K, R>,
        state: Arc<State>,
        keep: Keep,
        timeout: Duration,
    ) -> Arc<Self> {
        let name = &rules.name;
        let own = OwnLimit::new(name, state.permits.per_client());
        Arc::new(Self {
            own: RwLock::new(Arc::new(own)),
            total: Problem::reduced_capacity(name, "Too many requests of all clients at once."),
            unkeyed: Problem::quota_exceeded(
                name,
                "The request does not say which client it counts for.",
            ),
            rules,
            state,
            keep,
            timeout,
        })
    }
}

/// Why a request does not go on at once.
enum Obstacle {
    /// It has no key.
    Unkeyed,
    /// This client, or all together, have as many in flight as they may.
    Full(u64, Full),
}

impl<K, R> Shared<K, R> {
    /// The permit to hold, if one is needed, or why there is none; that is not counted yet.
    fn admit(&self, head: &Head<'_>) -> Result<Option<Permit>, Obstacle>
    where
        K: ClientKey,
    {
        let State {
            permits,
            seeds,
            counters,
            ..
        } = &*self.state;
        let client = match self.rules.whom(head, seeds) {
            Whom::Exempt => {
                counters.add(EXEMPT, 0);
                return Ok(None);
            }
            Whom::Anybody => {
                counters.add(UNKEYED, 0);
                return Ok(None);
            }
            Whom::Nobody => {
                counters.add(UNKEYED, 0);
                return Err(Obstacle::Unkeyed);
            }
            Whom::Shared(client) => {
                counters.add(UNKEYED, client);
                client
            }
            Whom::Client(client) => client,
        };
        match permits.acquire(client) {
            Ok(permit) => {
                counters.add(ADMITTED, client);
                Ok(Some(permit))
            }
            Err(full) => Err(Obstacle::Full(client, full)),
        }
    }

    /// What each client's limit is told by, as the limit is now.
    fn own_limit(&self) -> Arc<OwnLimit> {
        let limit = self.state.permits.per_client();
        let own = Arc::clone(&self.own.read().unwrap_or_else(PoisonError::into_inner));
        if own.limit == limit {
            return own;
        }
        let own = Arc::new(OwnLimit::new(&self.rules.name, limit));
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&own);
        own
    }

    /// The service is about to be called.
    pub(super) fn finish(&self, permit: Option<Permit>) -> InFlight {
        let flight = match (&self.state.meter, &permit) {
            (Some(meter), Some(permit)) => Some(meter.start(permit.client())),
            _ => None,
        };
        InFlight {
            flight,
            permit: permit.map(|permit| (permit, self.keep)),
        }
    }

    pub(super) fn refuse<B>(
        &self,
        head: &Head<'_>,
        client: u64,
        scope: Scope,
    ) -> Response<ResponseBody<B>>
    where
        R: Rejection<ConcurrencyLimited, B>,
    {
        self.state.counters.add(REFUSED, client);
        let own = self.own_limit();
        let why = ConcurrencyLimited {
            policy: self.rules.name.clone(),
            limit: own.limit,
            scope,
            delay: rejection::delayed(RETRY_AFTER, self.rules.retry_jitter),
        };
        let problem = match scope {
            Scope::Client => &own.problem,
            Scope::Total => &self.total,
            Scope::Unkeyed => &self.unkeyed,
        };
        let mut response = self.rules.rejection.answer(head, &why, || {
            rejection::answer(head, &[problem], why.delay)
        });
        if scope != Scope::Total {
            own.fields.append_policy(response.headers_mut());
        }
        response.extensions_mut().insert(why);
        response
    }
}

impl From<Full> for Scope {
    fn from(full: Full) -> Self {
        match full {
            Full::Client => Self::Client,
            Full::Total => Self::Total,
        }
    }
}

/// Service of [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer).
///
/// Readiness is that of the service below. The body type changes to [`ResponseBody`], which holds
/// the permit.
pub struct ConcurrencyLimit<S, K, R, W = AtOnce> {
    inner: S,
    shared: Arc<Shared<K, R>>,
    patience: PhantomData<W>,
}

impl<S, K, R, W> ConcurrencyLimit<S, K, R, W> {
    pub(super) fn new(inner: S, shared: Arc<Shared<K, R>>) -> Self {
        Self {
            inner,
            shared,
            patience: PhantomData,
        }
    }

    /// The service below.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service below, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service below, without the limit.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, K, R, W, ReqBody, ResBody> Service<Request<ReqBody>> for ConcurrencyLimit<S, K, R, W>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: ClientKey,
    R: Rejection<ConcurrencyLimited, ResBody>,
    W: Patience<S>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future =
        ResponseFuture<S::Future, ResBody, InFlight, Waiting<Turn, Guest<S, K, R, W, ReqBody>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let head = Head::from(&request);
        let shared = &self.shared;
        let (client, full) = match shared.admit(&head) {
            Ok(permit) => {
                let finish = shared.finish(permit);
                return ResponseFuture::called(self.inner.call(request), finish);
            }
            Err(Obstacle::Unkeyed) => {
                return ResponseFuture::refused(shared.refuse(&head, 0, Scope::Unkeyed));
            }
            Err(Obstacle::Full(client, full)) => (client, full),
        };
        let in_hand = InHand {
            shared: Arc::clone(shared),
            client,
            request,
        };
        let line_up =
            |in_hand: &InHand<K, R, ReqBody>| shared.state.permits.line_up(in_hand.client);
        match W::hold(&mut self.inner, full, in_hand, line_up) {
            Ok((turn, held)) => {
                let deadline = Instant::now() + shared.timeout;
                ResponseFuture::waiting(Waiting::new(turn, deadline, Guest(held)))
            }
            Err((full, in_hand)) => {
                let head = Head::from(&in_hand.request);
                ResponseFuture::refused(shared.refuse(&head, client, full.into()))
            }
        }
    }
}

impl<S: Clone, K, R, W> Clone for ConcurrencyLimit<S, K, R, W> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, K, R, W> fmt::Debug for ConcurrencyLimit<S, K, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
