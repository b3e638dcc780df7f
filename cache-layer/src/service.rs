//! The service: plans each request, answers hits on the spot, leaves the rest to others.

use crate::body::{RequestBody, ResponseBody};
use crate::cache_status::Outcome;
use crate::fill::Lifetimes;
use crate::future::{After, ResponseFuture, Then};
use crate::head::HeadSent;
use crate::key::{Named, NoKey, respell_host};
use crate::keyed::Keyed;
use crate::look::Look;
use crate::miss::Miss;
use crate::post::Post;
use crate::refresh::{is_renewable, refresh};
use crate::request::{Facts, target_uri};
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::reuse::Forward;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::warm::Warming;
use crate::write::Write;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
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
    type Future = ResponseFuture<tower::util::Oneshot<S, Request<RequestBody<B>>>, R, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let shared = &self.shared;
        if shared.settings.keys.prepares
            && let Err(status) = prepare(&shared.settings, &mut request)
        {
            shared.counters.bypassed.count();
            return ResponseFuture::ready(rejection(status));
        }
        // Taken apart on the way down only: a hit need not move it.
        let after = match plan(shared, &request) {
            Plan::Look(look) => {
                let forward = match look.up(shared, request.headers()) {
                    Ok(found) if !found.is_stale() || is_renewable(shared, &found, &request) => {
                        shared.counters.hits.count();
                        let response = look.answer(shared, &found, request.headers());
                        if found.is_stale() {
                            shared.counters.stale.count();
                        }
                        if found.renews() {
                            let look = look.own();
                            let (parts, _) = request.into_parts();
                            let (service, none) = (&self.inner, Bytes::new());
                            let (stored, usual) = (found.stored(), Lifetimes::Usual);
                            refresh(shared, service, &parts, none, &look, stored, usual);
                        }
                        return ResponseFuture::ready(response);
                    }
                    Ok(_) => Forward::Stale,
                    Err(forward) => forward,
                };
                if look.wants.only_if_cached {
                    shared.counters.unsatisfied.count();
                    return ResponseFuture::ready(unsatisfied());
                }
                let look = look.own();
                if !look.head_only && !look.wants.no_store {
                    let (parts, _) = request.into_parts();
                    let lifetimes = parts
                        .extensions
                        .get::<Warming>()
                        .map_or(Lifetimes::Usual, Warming::lifetimes);
                    let miss = Miss {
                        shared: Arc::clone(shared),
                        service: self.inner.clone(),
                        look,
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
            Plan::Respell => {
                if respell_host(&mut request) {
                    // Seldom, and a call from here would keep the compiler from inlining the rest.
                    let mut cache = self.clone();
                    let again = async move { cache.call(request).await };
                    return ResponseFuture::boxed(Box::pin(again));
                }
                shared.counters.bypassed.count();
                After::nothing(Outcome::forwarded(Forward::Bypass))
            }
            Plan::Refuse(status) => {
                shared.counters.bypassed.count();
                return ResponseFuture::ready(rejection(status));
            }
            Plan::Forward(forward) => {
                let counters = &shared.counters;
                let counter = if forward == Forward::Method {
                    &counters.writes
                } else {
                    &counters.bypassed
                };
                counter.count();
                After::nothing(Outcome::forwarded(forward))
            }
            Plan::Write(write) => {
                shared.counters.writes.count();
                After {
                    outcome: Outcome::forwarded(Forward::Method),
                    then: Some(Box::new(Then::Invalidate(*write))),
                }
            }
            Plan::Post(write) => {
                shared.counters.writes.count();
                let (post, (parts, body)) = (Post::new(self, write), request.into_parts());
                return ResponseFuture::boxed(Box::pin(post.answer(parts, body)));
            }
            Plan::ReadContent(look, lifetimes) => {
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

/// What to do with a request, as far as its head tells.
enum Plan<'a> {
    /// Turn it away.
    Refuse(StatusCode),
    /// Bring its host into the form that its key has, first.
    Respell,
    /// Pass it on; the cache has no part in it.
    Forward(Forward),
    /// Pass it on; what it succeeds at invalidates the target.
    Write(Box<Write>),
    /// As much, and its answer may answer others.
    Post(Box<Write>),
    /// Read its content first, which is part of its key.
    ReadContent(Box<Look>, Lifetimes),
    /// Look into the store.
    Look(Look<Named<'a>>),
}

/// Brings a request into the form that its key is made of.
#[cold]
fn prepare<B>(settings: &Settings, request: &mut Request<B>) -> Result<(), StatusCode> {
    let reads = is_read(request.method()) || content_keyed(settings, request).is_some();
    settings.keys.prepare(request, reads)
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

fn plan<'a, B: Body>(shared: &'a Shared, request: &'a Request<B>) -> Plan<'a> {
    let (method, settings) = (request.method(), &shared.settings);
    let read = is_read(method);
    let with_content = if read {
        None
    } else {
        content_keyed(settings, request)
    };
    let query = method.as_str() == "QUERY";
    if !read && with_content.is_none() && (method.is_safe() || *method == Method::CONNECT || query)
    {
        return Plan::Forward(Forward::Method);
    }
    let facts = Facts::read(
        request.headers(),
        &settings.credential_headers,
        &settings.keys.override_fields,
    );
    let uri = target_uri(request);
    let no_key = |why| match settings.keys.refusal(why) {
        Some(status) => Plan::Refuse(status),
        None if read => Plan::Forward(Forward::Bypass),
        None => Plan::Forward(Forward::Method),
    };
    if !read && with_content.is_none() {
        // RFC 9111 section 4.4: an unsafe method, or one we do not know, invalidates.
        let write = match shared.write(uri, &facts, request) {
            Ok(write) => Box::new(write),
            Err(why) => return no_key(why),
        };
        let post = settings.store_post && *method == Method::POST;
        return if post && !facts.method_override && !settings.bypasses(&facts) {
            Plan::Post(write)
        } else {
            Plan::Write(write)
        };
    }
    let has_content = read && (facts.chunked || !request.body().is_end_stream());
    let passes =
        facts.not_ours || facts.method_override || has_content || settings.bypasses(&facts);
    let mut key = match shared.named(uri, &facts, request.headers(), request.extensions()) {
        Ok(_) | Err(NoKey::Spelled) if passes => return Plan::Forward(Forward::Bypass),
        Ok(key) => key,
        Err(NoKey::Spelled) => return Plan::Respell,
        Err(why) => return no_key(why),
    };
    let mut search = None;
    if settings.no_vary_search {
        let asked = shared.asked(key.into_key());
        let found = asked.by.as_ref().map(|by| shared.key_by(&asked.exact, by));
        key = Named::Whole(found.unwrap_or_else(|| asked.exact.clone()));
        search = Some(Box::new(asked));
    }
    let mut wants = if facts.directives {
        RequestDirectives::parse(request.headers())
    } else {
        RequestDirectives::default()
    };
    // Asked for anew, although it may be there.
    wants.no_cache |= shared.is_warming() && request.extensions().get::<Warming>().is_some();
    let head_only = *method == Method::HEAD;
    let look = Look {
        key,
        search,
        asked: settings.asked(&facts),
        conditions: facts.conditions,
        // RFC 9110 section 14.2: a range is asked for by GET; a QUERY asks for content as that does.
        range: facts.range && (*method == Method::GET || query),
        head_only,
        wants,
    };
    match with_content {
        Some(lifetimes) => Plan::ReadContent(Box::new(look.own()), lifetimes),
        None => Plan::Look(look),
    }
}

/// Whether the content of such a request is part of its key, and how long its answers live.
fn content_keyed<B>(settings: &Settings, request: &Request<B>) -> Option<Lifetimes> {
    if settings.query && request.method().as_str() == "QUERY" {
        return Some(Lifetimes::Usual);
    }
    if settings.grpc.is_empty() || *request.method() != Method::POST {
        return None;
    }
    let kind = request.headers().get(header::CONTENT_TYPE)?;
    if !kind.as_bytes().starts_with(b"application/grpc") {
        return None;
    }
    let path = target_uri(request).path();
    let (_, ttl) = settings.grpc.iter().find(|(method, _)| **method == *path)?;
    Some(Lifetimes::Default(*ttl))
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
