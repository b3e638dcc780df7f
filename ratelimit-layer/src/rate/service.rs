//! [`RateLimit`]: asks the limiter, then the service below or nobody.

use super::admission::{Admission, Shared};
use super::charged::Charged;
use super::later::{InHand, Later, Ticket};
use super::limited::RateLimited;
use crate::body::ResponseBody;
use crate::concurrency::{AtOnce, Patience};
use crate::future::ResponseFuture;
use crate::head::Head;
use crate::key::ClientKey;
use crate::limiter::Rulings;
use crate::rejection::Rejection;
use crate::rules::Whom;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// Service of [`RateLimitLayer`](crate::RateLimitLayer).
///
/// Readiness is that of the service below. The body type changes to [`ResponseBody`].
pub struct RateLimit<S, K, R, W = AtOnce> {
    inner: S,
    shared: Arc<Shared<K, R>>,
    patience: PhantomData<W>,
}

impl<S, K, R, W> RateLimit<S, K, R, W> {
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

impl<S, K, R, W, ReqBody, ResBody> Service<Request<ReqBody>> for RateLimit<S, K, R, W>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: ClientKey,
    R: Rejection<RateLimited, ResBody>,
    W: Patience<S>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody, Charged, Later<S, W, ReqBody, ResBody>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let shared = &*self.shared;
        let mut whom = None;
        if shared.is_simple {
            let seeds = shared.state.limiter.seeds();
            let keyed = shared.rules.keyed(&Head::from(&request), seeds);
            if let Whom::Client(client) = keyed
                && shared.lets_through(client)
            {
                return ResponseFuture::called(self.inner.call(request), Charged::default());
            }
            whom = Some(keyed);
        }
        self.call_any(request, whom)
    }
}

impl<S, K, R, W> RateLimit<S, K, R, W> {
    /// `whom`, if that has been looked at.
    // Out of the way of requests that are not told anything.
    #[inline(never)]
    fn call_any<ReqBody, ResBody>(
        &mut self,
        mut request: Request<ReqBody>,
        whom: Option<Whom>,
    ) -> <Self as Service<Request<ReqBody>>>::Future
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        K: ClientKey,
        R: Rejection<RateLimited, ResBody>,
        W: Patience<S>,
        ResBody: Body<Data = Bytes>,
    {
        let shared = &*self.shared;
        let mut rulings = Rulings::new();
        let head = Head::from(&request);
        // Asked once a request: keys and exemptions may be the user's own closures.
        let whom = whom.unwrap_or_else(|| shared.rules.whom(&head, shared.state.limiter.seeds()));
        let (decision, now) = match shared.admit(&head, whom, &mut rulings) {
            Admission::Free => {
                return ResponseFuture::called(self.inner.call(request), Charged::default());
            }
            Admission::Go { client, now, wait } => {
                let decision = shared
                    .extensions
                    .then(|| shared.state.limiter.sum_up(client, &rulings));
                if let Some(decision) = decision {
                    request.extensions_mut().insert(decision);
                }
                let charged = shared.charged(decision, &rulings);
                if wait == 0 {
                    shared.count_allowed(client);
                    return ResponseFuture::called(self.inner.call(request), charged);
                }
                let line_up = |_: &InHand<ReqBody>| {
                    let taken_at = shared.state.limiter.taken_at(now, wait);
                    Ticket::new(&shared.state, taken_at, &rulings).ok_or(())
                };
                let in_hand = InHand { request, charged };
                match W::hold(&mut self.inner, (), in_hand, line_up) {
                    Ok((ticket, held)) => {
                        shared.count_allowed(client);
                        let later = Later::new(Duration::from_nanos(wait), ticket, held);
                        return ResponseFuture::waiting(later);
                    }
                    Err(((), in_hand)) => {
                        request = in_hand.request;
                        let decision = shared.turn_away(client, now, wait, &rulings);
                        (Some(decision), now)
                    }
                }
            }
            Admission::Refuse { decision, now } => (Some(decision), now),
            Admission::RefuseUnkeyed => (None, shared.state.limiter.now()),
        };
        let head = Head::from(&request);
        let label = || shared.rules.key.label(&head);
        ResponseFuture::refused(shared.refuse(&head, decision, now, &rulings, label))
    }
}

impl<S: Clone, K, R, W> Clone for RateLimit<S, K, R, W> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, K, R, W> fmt::Debug for RateLimit<S, K, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
