//! [`RateLimit`]: asks the limiter, then the service below or nobody.

use super::handle::{ALLOWED, EXEMPT, REFUSED, State, UNKEYED};
use crate::body::ResponseBody;
use crate::fields::{
    self, FieldStyle, Fields, Partition, Partitions, PolicyName, Standing, Unit, whole_seconds,
};
use crate::future::{Finish, ResponseFuture};
use crate::head::Head;
use crate::key::ClientKey;
use crate::limiter::Decision;
use crate::quota::Quota;
use crate::rejection::{self, Problem, Rejection};
use crate::rules::{Rules, Whom};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// Why a request was refused by [`RateLimitLayer`](crate::RateLimitLayer); also found in the
/// response's extensions.
#[derive(Debug, Clone)]
pub struct RateLimited {
    policy: PolicyName,
    quota: Quota,
    wait: Duration,
    delay: Duration,
    unkeyed: bool,
}

impl RateLimited {
    /// The name of the policy that refused.
    #[must_use]
    pub fn policy(&self) -> &str {
        self.policy.as_str()
    }

    /// The quota that each client has.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// How long until the next unit is there. For a request refused for want of a client key, which
    /// has no quota, the time in which a client's whole burst comes back.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// What the client is told to wait, in whole seconds, rounded up, at least 1: `Retry-After`. It
    /// is the wait and what [`retry_jitter`](crate::RateLimitLayer::retry_jitter) adds.
    #[must_use]
    pub fn retry_after(&self) -> u64 {
        whole_seconds(self.delay).max(1)
    }

    /// Whether the request was refused because it has no client key
    /// ([`Unkeyed::Refuse`](crate::Unkeyed::Refuse)).
    #[must_use]
    pub fn is_unkeyed(&self) -> bool {
        self.unkeyed
    }
}

/// What was over, and when to come back, in one line.
impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policy, quota, seconds) = (self.policy(), self.quota, self.retry_after());
        if self.unkeyed {
            write!(
                f,
                "no client key for policy {policy}; retry after {seconds} s"
            )
        } else {
            write!(f, "policy {policy} allows {quota}; retry after {seconds} s")
        }
    }
}

impl std::error::Error for RateLimited {}

/// What all clones of one service share.
pub(super) struct Shared<K, R> {
    rules: Rules<K, R>,
    state: Arc<State>,
    style: FieldStyle,
    fields: Arc<Fields>,
    partitions: Option<Partitions>,
    exceeded: Problem,
    unkeyed: Problem,
}

impl<K, R> Shared<K, R> {
    pub(super) fn new(
        rules: Rules<K, R>,
        state: Arc<State>,
        style: FieldStyle,
        partitions: Option<Partitions>,
    ) -> Arc<Self> {
        let quota = state.limiter.quota();
        Arc::new(Self {
            style,
            fields: Arc::new(Fields::of_quota(&rules.name, quota, Unit::Requests)),
            partitions,
            exceeded: Problem::quota_exceeded(
                &rules.name,
                &format!("Too many requests: the quota is {quota}."),
            ),
            unkeyed: Problem::quota_exceeded(
                &rules.name,
                "The request does not say which client it counts for.",
            ),
            rules,
            state,
        })
    }
}

/// Whether a request goes on.
enum Admission {
    /// With the decision to tell the client, if there was one.
    Pass(Option<(Decision, Option<Partition>)>),
    Refuse(Decision, Option<Partition>),
    RefuseUnkeyed,
}

impl<K: ClientKey, R> Shared<K, R> {
    fn admit(&self, head: &Head<'_>) -> Admission {
        let State { limiter, counters } = &*self.state;
        let client = match self.rules.whom(head, limiter.seeds()) {
            Whom::Exempt => {
                counters.add(EXEMPT, 0);
                return Admission::Pass(None);
            }
            Whom::Anybody => {
                counters.add(UNKEYED, 0);
                return Admission::Pass(None);
            }
            Whom::Nobody => {
                counters.add(UNKEYED, 0);
                counters.add(REFUSED, 0);
                return Admission::RefuseUnkeyed;
            }
            Whom::Shared(client) => {
                counters.add(UNKEYED, client);
                client
            }
            Whom::Client(client) => client,
        };
        let decision = limiter.check_hash(client);
        let partition = self.partitions.as_ref().map(|all| all.of(client));
        if decision.is_allowed() {
            counters.add(ALLOWED, client);
            Admission::Pass(Some((decision, partition)))
        } else {
            counters.add(REFUSED, client);
            Admission::Refuse(decision, partition)
        }
    }

    /// The answer to a refused request; `decision` is missing if it has no key.
    fn refuse<B>(
        &self,
        head: &Head<'_>,
        decision: Option<Decision>,
        partition: Option<Partition>,
    ) -> Response<ResponseBody<B>>
    where
        R: Rejection<RateLimited, B>,
    {
        let quota = self.state.limiter.quota();
        let wait = decision.map_or_else(|| self.state.limiter.refill(), |decision| decision.wait());
        let why = RateLimited {
            policy: self.rules.name.clone(),
            quota,
            wait,
            delay: rejection::delayed(wait, self.rules.retry_jitter),
            unkeyed: decision.is_none(),
        };
        let problem = if why.unkeyed {
            &self.unkeyed
        } else {
            &self.exceeded
        };
        let mut response = self.rules.rejection.answer(head, &why, || {
            rejection::answer(head, &[problem], why.delay)
        });
        // Until the next unit is there, not until the bucket is full: Retry-After counts to it too.
        let standing = Standing {
            remaining: decision.map_or(0, |decision| decision.remaining().into()),
            window: wait,
            partition,
        };
        let items = [(&*self.fields, standing.no_later_than(why.delay))];
        fields::append(response.headers_mut(), self.style, None, &items);
        response.extensions_mut().insert(why);
        response
    }
}

/// Service of [`RateLimitLayer`](crate::RateLimitLayer).
///
/// Readiness is that of the service below. The body type changes to [`ResponseBody`].
pub struct RateLimit<S, K, R> {
    inner: S,
    shared: Arc<Shared<K, R>>,
}

impl<S, K, R> RateLimit<S, K, R> {
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

impl<S, K, R, ReqBody, ResBody> Service<Request<ReqBody>> for RateLimit<S, K, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: ClientKey,
    R: Rejection<RateLimited, ResBody>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let head = Head::from(&request);
        let decision = match self.shared.admit(&head) {
            Admission::Pass(decision) => decision,
            Admission::Refuse(decision, partition) => {
                let response = self.shared.refuse(&head, Some(decision), partition);
                return ResponseFuture::refused(response);
            }
            Admission::RefuseUnkeyed => {
                return ResponseFuture::refused(self.shared.refuse(&head, None, None));
            }
        };
        let style = self.shared.style;
        let fields = decision
            .filter(|_| style != FieldStyle::None)
            .map(|(decision, partition)| {
                let standing = Standing {
                    remaining: decision.remaining().into(),
                    window: decision.full_in(),
                    partition,
                };
                (style, Arc::clone(&self.shared.fields), standing)
            });
        let future = self.inner.call(request);
        ResponseFuture::called(
            future,
            Finish {
                fields,
                permit: None,
            },
        )
    }
}

impl<S: Clone, K, R> Clone for RateLimit<S, K, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: fmt::Debug, K, R> fmt::Debug for RateLimit<S, K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
