//! The service: plans each request, answers hits on the spot, leaves the rest to others.

use crate::body::{RequestBody, ResponseBody};
use crate::cache_status::Outcome;
use crate::fill::Lifetimes;
use crate::future::{After, ResponseFuture, Then};
use crate::head::HeadSent;
use crate::key::respell_host;
use crate::keyed::Keyed;
use crate::miss::Miss;
use crate::plan::{Other, plan, prepare};
use crate::post::Post;
use crate::refresh::{is_renewable, refresh};
use crate::rfc9111::reuse::Forward;
use crate::shared::Shared;
use crate::stats::Bypass;
use crate::warm::Warming;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::util::Oneshot;
use tower::{BoxError, ServiceExt};
use tower_service::Service;

/// A service behind a cache, made by [`CacheLayer`](crate::CacheLayer).
///
/// It is always ready: a hit must not wait for the service below, nor hold a place in it. The
/// service below is driven to readiness by each request that needs it, so its backpressure is felt
/// in the response future instead of in `poll_ready`.
///
/// # Errors
///
/// The service's own, as they come, but where something stored stands in for what failed: an answer
/// that may be used stale in place of an error, or the 504 that `must-revalidate` and its kin ask for
/// when a stored answer cannot be confirmed (RFC 9111 section 5.2.2.2).
///
/// # Panics
///
/// A request that misses spawns a task: the service must be called within a tokio runtime.
#[derive(Clone)]
pub struct Cache<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Cache<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The service behind the cache.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service behind the cache.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service behind the cache, without the cache.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: fmt::Debug> fmt::Debug for Cache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// The service's own future, of a request that is passed on as it is.
type Passed<S, B> = Oneshot<S, Request<RequestBody<B>>>;

impl<S, B, R> Service<Request<B>> for Cache<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<Passed<S, B>, R, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let shared = &self.shared;
        if shared.settings.keys.prepares
            && let Err(status) = prepare(&shared.settings, &mut request)
        {
            shared.counters.bypassed.count(Bypass::Overrides);
            return ResponseFuture::ready(rejection(status));
        }
        let planned = plan(shared, &request, |look| {
            match look.up(shared, request.headers()) {
                Ok(found) if !found.renews() => {
                    shared.counters.hits.count();
                    Ok(look.answer(shared, &found, request.headers()))
                }
                Ok(found) => Err(Other::Renew(look.own(), found)),
                Err(forward) => Err(Other::Ask(look.own(), forward)),
            }
        });
        match planned {
            Ok(response) => ResponseFuture::ready(response),
            Err(other) => self.pass(other, request),
        }
    }
}

impl<S> Cache<S> {
    /// What is more than a hit, or none. Cold as hits go: their code is to lie together, and what comes here
    /// has a service's work before it.
    #[cold]
    fn pass<B, R>(
        &mut self,
        other: Other,
        mut request: Request<B>,
    ) -> ResponseFuture<Passed<S, B>, R, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Body + Send + 'static,
        B::Error: Into<BoxError>,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let shared = &self.shared;
        let after = match other {
            Other::Renew(look, found) => {
                if found.is_stale() {
                    if !is_renewable(shared, &found, &request) {
                        return self.pass(Other::Ask(look, Forward::Stale), request);
                    }
                    shared.counters.stale.count();
                }
                shared.counters.hits.count();
                let response = look.answer(shared, &found, request.headers());
                let (parts, _) = request.into_parts();
                let (service, none) = (&self.inner, Bytes::new());
                let (stored, usual) = (found.stored(), Lifetimes::Usual);
                refresh(shared, service, &parts, none, &look, stored, usual);
                return ResponseFuture::ready(response);
            }
            Other::Ask(look, forward) => {
                if look.wants.only_if_cached {
                    shared.counters.unsatisfied.count();
                    return ResponseFuture::ready(unsatisfied());
                }
                if !look.head_only && !look.wants.no_store {
                    let (parts, _) = request.into_parts();
                    let lifetimes = parts
                        .extensions
                        .get::<Warming>()
                        .map_or(Lifetimes::Usual, Warming::lifetimes);
                    let miss = Miss {
                        shared: Arc::clone(shared),
                        service: self.inner.clone(),
                        look: *look,
                        forward,
                        content: Bytes::new(),
                        lifetimes,
                    };
                    return ResponseFuture::boxed(Box::pin(miss.answer(parts)));
                }
                shared.counters.misses.count();
                After {
                    outcome: Outcome::forwarded(forward),
                    then: HeadSent::new(shared, &look, request.headers())
                        .map(|sent| Box::new(Then::Update(sent))),
                }
            }
            Other::Respell => {
                if respell_host(&mut request) {
                    let mut cache = self.clone();
                    let again = async move { cache.call(request).await };
                    return ResponseFuture::boxed(Box::pin(again));
                }
                shared.counters.bypassed.count(Bypass::Host);
                After::nothing(Outcome::forwarded(Forward::Bypass))
            }
            Other::Refuse(status, why) => {
                shared.counters.bypassed.count(why);
                return ResponseFuture::ready(rejection(status));
            }
            Other::Bypass(why) => {
                shared.counters.bypassed.count(why);
                After::nothing(Outcome::forwarded(Forward::Bypass))
            }
            Other::Method => {
                shared.counters.writes.count();
                After::nothing(Outcome::forwarded(Forward::Method))
            }
            Other::Write(write) => {
                shared.counters.writes.count();
                After {
                    outcome: Outcome::forwarded(Forward::Method),
                    then: Some(Box::new(Then::Invalidate(*write))),
                }
            }
            Other::Post(write) => {
                shared.counters.writes.count();
                let (post, (parts, body)) = (Post::new(self, write), request.into_parts());
                return ResponseFuture::boxed(Box::pin(post.answer(parts, body)));
            }
            Other::ReadContent(look, lifetimes) => {
                let keyed = Keyed::new(self, *look, lifetimes);
                let (parts, body) = request.into_parts();
                return ResponseFuture::boxed(Box::pin(keyed.answer(parts, body)));
            }
        };
        ResponseFuture::forward(
            self.inner
                .clone()
                .oneshot(request.map(RequestBody::original)),
            Arc::clone(shared),
            after,
        )
    }
}

/// Nothing stored can answer, and the client wants nothing else (RFC 9111 section 5.2.1.7), or nothing
/// else is to be had (section 5.2.2.2).
pub(crate) fn unsatisfied<R>() -> Response<ResponseBody<R>> {
    rejection(StatusCode::GATEWAY_TIMEOUT)
}

/// An answer of the layer's own making.
fn rejection<R>(status: StatusCode) -> Response<ResponseBody<R>> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
