//! The service: plans each request, answers hits on the spot, leaves the rest to others.

use crate::body::{RequestBody, ResponseBody};
use crate::cache_status::Outcome;
use crate::future::{After, ResponseFuture};
use crate::look::Look;
use crate::miss::Miss;
use crate::request::Facts;
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::reuse::Forward;
use crate::rfc9111::storable::Asked;
use crate::shared::{Shared, Write};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body::Body;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{BoxError, ServiceExt};
use tower_service::Service;

/// A service behind a cache, made by [`CacheLayer`](crate::CacheLayer).
///
/// It is always ready: a hit must not wait for the service below, nor hold a place in it. The
/// service below is driven to readiness by each request that needs it, so its backpressure is felt
/// in the response future instead of in `poll_ready`.
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

impl<S, B, R> Service<Request<B>> for Cache<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<tower::util::Oneshot<S, Request<RequestBody<B>>>, R, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = &self.shared;
        let (parts, body) = request.into_parts();
        let (after, request) = match plan(shared, &parts, &body) {
            Plan::Forward(forward) => {
                let counters = &shared.counters;
                let counter = if forward == Forward::Method {
                    &counters.writes
                } else {
                    &counters.bypassed
                };
                counter.count();
                (
                    After {
                        outcome: Outcome::Forwarded(forward),
                        write: None,
                    },
                    parts,
                )
            }
            Plan::Write(write) => {
                shared.counters.writes.count();
                let outcome = Outcome::Forwarded(Forward::Method);
                (
                    After {
                        outcome,
                        write: Some(write),
                    },
                    parts,
                )
            }
            Plan::Look(look) => match look.up(shared, &parts.headers) {
                Ok(response) => {
                    shared.counters.hits.count();
                    return ResponseFuture::ready(response);
                }
                Err(_) if look.wants.only_if_cached => {
                    shared.counters.unsatisfied.count();
                    return ResponseFuture::ready(unsatisfied());
                }
                Err(forward) if look.head_only || look.wants.no_store => {
                    shared.counters.misses.count();
                    (
                        After {
                            outcome: Outcome::Forwarded(forward),
                            write: None,
                        },
                        parts,
                    )
                }
                Err(forward) => {
                    let miss = Miss {
                        shared: Arc::clone(shared),
                        service: self.inner.clone(),
                        look,
                        forward,
                    };
                    return ResponseFuture::miss(Box::pin(miss.answer(parts)));
                }
            },
        };
        let request = Request::from_parts(request, RequestBody::original(body));
        ResponseFuture::forward(
            self.inner.clone().oneshot(request),
            Arc::clone(shared),
            after,
        )
    }
}

/// What to do with a request, as far as its head tells.
#[expect(
    clippy::large_enum_variant,
    reason = "boxing look-ups would allocate on each hit"
)]
enum Plan {
    /// Pass it on; the cache has no part in it.
    Forward(Forward),
    /// Pass it on; what it succeeds at invalidates the target.
    Write(Box<Write>),
    /// Look into the store.
    Look(Look),
}

fn plan<B: Body>(shared: &Shared, parts: &request::Parts, body: &B) -> Plan {
    let method = &parts.method;
    let read = *method == Method::GET || *method == Method::HEAD;
    if !read && (method.is_safe() || *method == Method::CONNECT || method.as_str() == "QUERY") {
        return Plan::Forward(Forward::Method);
    }
    let facts = Facts::read(&parts.headers);
    match shared.key(target_uri(parts), &facts, &parts.headers) {
        // RFC 9111 section 4.4: an unsafe method, or one we do not know, invalidates.
        Ok(key) if !read || facts.method_override => {
            Plan::Write(Box::new(Write::new(key, target_uri(parts), facts.host)))
        }
        Ok(key) if !facts.not_ours && body.is_end_stream() => Plan::Look(Look {
            key,
            wants: if facts.directives {
                RequestDirectives::parse(&parts.headers)
            } else {
                RequestDirectives::default()
            },
            asked: Asked {
                no_store: false,
                authorization: facts.authorization,
                cookie: facts.cookie,
            },
            conditions: facts.conditions,
            head_only: *method == Method::HEAD,
        }),
        _ if !read => Plan::Forward(Forward::Method),
        _ => Plan::Forward(Forward::Bypass),
    }
}

/// The URI that the client asked for.
#[cfg(feature = "axum")]
fn target_uri(parts: &request::Parts) -> &http::Uri {
    // A nested router strips its prefix: two nests would share keys.
    parts
        .extensions
        .get::<axum::extract::OriginalUri>()
        .map_or(&parts.uri, |original| &original.0)
}

/// The URI that the client asked for.
#[cfg(not(feature = "axum"))]
fn target_uri(parts: &request::Parts) -> &http::Uri {
    &parts.uri
}

/// RFC 9111 section 5.2.1.7: nothing stored can answer, and the client wants nothing else.
fn unsatisfied<R>() -> Response<ResponseBody<R>> {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
