//! [`ConcurrencyLimit`]: takes a permit, then calls the service below, or nobody.

use super::handle::{ADMITTED, EXEMPT, REFUSED, State, UNKEYED};
use super::layer::Hold;
use super::permits::{Full, Permit};
use crate::body::ResponseBody;
use crate::fields::{Fields, PolicyName};
use crate::future::{Finish, ResponseFuture};
use crate::key::ClientKey;
use crate::rejection::{Problem, Rejection};
use crate::rules::{Rules, Whom};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// Nobody knows when the next request ends: the least that `Retry-After` can say.
const RETRY_AFTER: u64 = 1;

/// Why a request was refused by [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer); also found
/// in the response's extensions.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimited {
    policy: PolicyName,
    limit: usize,
    scope: Scope,
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
        RETRY_AFTER
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
    state: Arc<State>,
    hold: Hold,
    fields: Fields,
    client: Problem,
    total: Problem,
    unkeyed: Problem,
}

impl<K, R> Shared<K, R> {
    pub(super) fn new(rules: Rules<K, R>, state: Arc<State>, hold: Hold) -> Arc<Self> {
        let limit = state.permits.per_client();
        let (name, client) = (
            &rules.name,
            format!("Too many requests at once: the limit is {limit}."),
        );
        Arc::new(Self {
            fields: Fields::of_concurrency(name, limit),
            client: Problem::quota_exceeded(name, &client),
            total: Problem::reduced_capacity(name, "Too many requests of all clients at once."),
            unkeyed: Problem::quota_exceeded(
                name,
                "The request does not say which client it counts for.",
            ),
            rules,
            state,
            hold,
        })
    }
}

impl<K: ClientKey, R> Shared<K, R> {
    /// The permit to hold, if one is needed, or why there is none.
    fn admit(&self, parts: &Parts) -> Result<Option<Permit>, Scope> {
        let State {
            permits,
            seeds,
            counters,
        } = &*self.state;
        let client = match self.rules.whom(parts, seeds) {
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
                counters.add(REFUSED, 0);
                return Err(Scope::Unkeyed);
            }
            Whom::Shared(client) => {
                counters.add(UNKEYED, client);
                client
            }
            Whom::Client(client) => client,
        };
        let permit = permits.acquire(client);
        counters.add(if permit.is_ok() { ADMITTED } else { REFUSED }, client);
        permit.map(Some).map_err(|full| match full {
            Full::Client => Scope::Client,
            Full::Total => Scope::Total,
        })
    }

    fn refuse<B>(&self, parts: &Parts, scope: Scope) -> Response<ResponseBody<B>>
    where
        R: Rejection<ConcurrencyLimited, B>,
    {
        let why = ConcurrencyLimited {
            policy: self.rules.name.clone(),
            limit: self.state.permits.per_client(),
            scope,
        };
        let problem = match scope {
            Scope::Client => &self.client,
            Scope::Total => &self.total,
            Scope::Unkeyed => &self.unkeyed,
        };
        let mut response = self
            .rules
            .rejection
            .answer(parts, &why, || problem.answer(parts, why.retry_after()));
        if scope != Scope::Total {
            self.fields.append_policy(response.headers_mut());
        }
        response.extensions_mut().insert(why);
        response
    }
}

/// Service of [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer).
///
/// Readiness is that of the service below. The body type changes to [`ResponseBody`], which holds
/// the permit.
pub struct ConcurrencyLimit<S, K, R> {
    inner: S,
    shared: Arc<Shared<K, R>>,
}

impl<S, K, R> ConcurrencyLimit<S, K, R> {
    pub(super) fn new(inner: S, shared: Arc<Shared<K, R>>) -> Self {
        Self { inner, shared }
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

impl<S, K, R, ReqBody, ResBody> Service<Request<ReqBody>> for ConcurrencyLimit<S, K, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: ClientKey,
    R: Rejection<ConcurrencyLimited, ResBody>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match self.shared.admit(&parts) {
            Ok(permit) => {
                let hold = self.shared.hold;
                let future = self.inner.call(Request::from_parts(parts, body));
                let permit = permit.map(|permit| (permit, hold));
                ResponseFuture::called(
                    future,
                    Finish {
                        fields: None,
                        permit,
                    },
                )
            }
            Err(scope) => ResponseFuture::refused(self.shared.refuse(&parts, scope)),
        }
    }
}

impl<S: Clone, K, R> Clone for ConcurrencyLimit<S, K, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: fmt::Debug, K, R> fmt::Debug for ConcurrencyLimit<S, K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
