//! The way of a request that the store cannot answer: join a fill, lead one, or go alone.

use crate::body::{RequestBody, ResponseBody};
use crate::cache_status::{CacheStatus, Outcome};
use crate::fill::{Answer, Headline, Job, Joined, Lead, Newcomer, Seat};
use crate::look::{Look, not_modified_response};
use crate::rfc9111::precondition::{not_modified, strip_conditions};
use crate::rfc9111::reuse::Forward;
use crate::rfc9111::vary::Selection;
use crate::shared::Shared;
use crate::store::Head;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header, request};
use http_body::Body;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower_service::Service;

pub(crate) struct Miss<S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: S,
    pub(crate) look: Look,
    pub(crate) forward: Forward,
}

impl<S> Miss<S> {
    /// # Cancel safety
    /// Safe at every await: a seat or a request of its own is given up, a fill goes on.
    pub(crate) async fn answer<B, R>(
        self,
        mut parts: request::Parts,
    ) -> Result<Response<ResponseBody<R>>, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
    {
        let now = Instant::now();
        self.shared.sweep_if_due(now);
        if self.may_collapse(now) {
            let deadline = now + self.shared.settings.collapse_wait;
            loop {
                match self.join_or_lead(&parts.headers) {
                    Joined::Found(response) => {
                        self.shared.counters.hits.count();
                        return Ok(response);
                    }
                    Joined::Leads(lead, seat) => {
                        let conditions = take_conditions(&mut parts.headers);
                        return self.lead(parts, conditions, lead, seat).await;
                    }
                    Joined::Follows(seat) => {
                        let headline = tokio::time::timeout_at(deadline, seat.headline()).await;
                        let head = match headline {
                            Ok(Headline::Published(head)) => head,
                            // That one was asked with a cookie; this one is not.
                            Ok(Headline::Personal) if !self.look.asked.cookie => continue,
                            _ => break,
                        };
                        if !head.allows(self.look.asked) {
                            break;
                        }
                        if head.selection.matches(&parts.headers) {
                            return Ok(self.collapsed(&parts.headers, &head, seat));
                        }
                        // Another variant than hoped for: see who fetches ours.
                    }
                }
            }
        }
        let (lead, seat) = self.shared.fills.alone(&self.look.key, self.newcomer());
        self.lead(parts, HeaderMap::new(), lead, seat).await
    }

    /// Not with credentials of one client, nor for a client that wants its answer from the origin,
    /// nor for a target whose answers proved to be for one client each.
    fn may_collapse(&self, now: Instant) -> bool {
        !self.look.asked.authorization
            && self.forward != Forward::Request
            && !self.shared.settings.collapse_wait.is_zero()
            && !self.shared.marks.is_set(&self.look.key, now)
    }

    fn join_or_lead<R>(&self, request: &HeaderMap) -> Joined<Response<ResponseBody<R>>> {
        let Self { shared, look, .. } = self;
        shared.fills.join_or_lead(
            &look.key,
            request,
            || self.newcomer_for(request),
            |number| shared.invalidations.valid(&look.key, number),
            || {
                let resource = shared.store.get_again(&look.key)?;
                look.answer(shared, &resource, request, Instant::now()).ok()
            },
        )
    }

    fn newcomer(&self) -> Newcomer {
        self.newcomer_for(&HeaderMap::new())
    }

    /// Numbered before the request goes out, so that a purge in between wins.
    fn newcomer_for(&self, request: &HeaderMap) -> Newcomer {
        let known = self.shared.store.get_again(&self.look.key);
        let names = known
            .map(|resource| resource.selecting_names())
            .unwrap_or_default();
        Newcomer {
            number: self.shared.invalidations.now(),
            selection: Selection::of(&names, request),
            ledger: Arc::clone(self.shared.store.ledger()),
        }
    }

    async fn lead<B, R>(
        self,
        parts: request::Parts,
        conditions: HeaderMap,
        lead: Lead,
        seat: Seat,
    ) -> Result<Response<ResponseBody<R>>, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
    {
        let Self {
            shared,
            service,
            look,
            forward,
        } = self;
        shared.counters.misses.count();
        let show = shared.settings.cache_status;
        let (sender, receiver) = oneshot::channel();
        let stale = look.stale(&shared, &parts.headers);
        let job = Job {
            shared,
            service,
            request: parts,
            asked: look.asked,
            lead,
            stale,
        };
        let task = tokio::spawn(job.run(sender));
        match receiver.await {
            Ok(Ok(Answer::Own(mut response))) => {
                show.append(response.headers_mut(), Outcome::Forwarded(forward));
                Ok(response.map(ResponseBody::own))
            }
            Ok(Ok(Answer::Confirmed(head, cookies))) => {
                let outcome = Outcome::Validated(forward);
                let mut response = from_head(show, outcome, &conditions, &head, seat);
                for cookie in cookies {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
                Ok(response)
            }
            Ok(Ok(Answer::ConfirmedOnce(mut response, stored))) => {
                show.append(response.headers_mut(), Outcome::Forwarded(forward));
                let body = ResponseBody::whole(stored.body.clone(), stored.trailers.clone());
                Ok(response.map(|()| body))
            }
            Ok(Ok(Answer::Shared(_, head))) if unmodified(&conditions, &head) => {
                let outcome = Outcome::Stored(forward);
                Ok(from_head(show, outcome, &conditions, &head, seat))
            }
            Ok(Ok(Answer::Shared(mut parts, head))) => {
                show.append(&mut parts.headers, Outcome::Stored(forward));
                Ok(Response::from_parts(
                    parts,
                    ResponseBody::shared(seat, head.length),
                ))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => match task.await {
                // The service panicked: so does its caller, as without a cache.
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime is shutting down, and this future with it.
                _ => std::future::pending().await,
            },
        }
    }

    fn collapsed<R>(
        &self,
        request: &HeaderMap,
        head: &Head,
        seat: Seat,
    ) -> Response<ResponseBody<R>> {
        self.shared.counters.collapsed.count();
        let show = self.shared.settings.cache_status;
        from_head(show, Outcome::Collapsed(self.forward), request, head, seat)
    }
}

/// The answer as stored, or the 304 that these conditions ask for.
fn from_head<R>(
    show: CacheStatus,
    outcome: Outcome,
    conditions: &HeaderMap,
    head: &Head,
    seat: Seat,
) -> Response<ResponseBody<R>> {
    let now = Instant::now();
    let mut response = if unmodified(conditions, head) {
        not_modified_response(head, now)
    } else {
        head.response(now, ResponseBody::shared(seat, head.length))
    };
    show.replace(response.headers_mut(), outcome);
    response
}

fn unmodified(conditions: &HeaderMap, head: &Head) -> bool {
    not_modified(conditions, head.status(), head.headers())
}

/// The origin is asked for the whole; the leader's own conditions are answered here.
fn take_conditions(request: &mut HeaderMap) -> HeaderMap {
    let mut conditions = HeaderMap::new();
    for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
        for value in request.get_all(&name) {
            conditions.append(name.clone(), value.clone());
        }
    }
    strip_conditions(request);
    conditions
}
