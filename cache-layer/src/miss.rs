//! The way of a request that the store cannot answer: join a fill, lead one, or go alone.

use crate::body::{RequestBody, ResponseBody};
use crate::cache_status::Outcome;
use crate::fill::{Ask, Headline, Job, Joined, Lead, Lifetimes, Seat};
use crate::look::Look;
use crate::reply::Reply;
use crate::rfc9111::precondition::strip_conditions;
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
    /// The content of a request whose key it is part of.
    pub(crate) content: Bytes,
    pub(crate) lifetimes: Lifetimes,
}

impl<S> Miss<S> {
    /// # Cancel safety
    /// Safe at every await: a seat or a request of its own is given up, a fill goes on.
    pub(crate) async fn answer<B, R>(
        self,
        parts: request::Parts,
    ) -> Result<Response<ResponseBody<R>>, S::Error>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
    {
        let now = Instant::now();
        let mut collapsed = None;
        if self.may_collapse(now) {
            let deadline = now + self.shared.settings.collapse_wait;
            loop {
                match self.join_or_lead(&parts.headers) {
                    Joined::Found(response) => {
                        self.shared.counters.hits.count();
                        return Ok(response);
                    }
                    Joined::Leads(lead, seat) => {
                        return self.lead(parts, true, collapsed, lead, seat).await;
                    }
                    Joined::Follows(seat) => {
                        let headline = tokio::time::timeout_at(deadline, seat.headline()).await;
                        // Until told otherwise: it was to come that way, in vain.
                        collapsed = Some(false);
                        let head = match headline {
                            Ok(Headline::Published(head)) => head,
                            // That one was asked with a cookie; this one is not.
                            Ok(Headline::Personal) if !self.look.asked.cookie => continue,
                            _ => break,
                        };
                        if !head.allows(self.look.asked) {
                            break;
                        }
                        if head.selection().matches(&parts.headers) {
                            return Ok(self.collapsed(&parts.headers, &head, seat));
                        }
                        // Another variant than hoped for: see who fetches ours.
                    }
                }
            }
        }
        let newcomer = self
            .shared
            .newcomer(Selection::default(), self.look.search.clone());
        let (lead, seat) = self.shared.pool.fills.alone(&self.look.key, newcomer);
        self.lead(parts, false, collapsed, lead, seat).await
    }

    /// Not with credentials of one client, nor for a client that wants its answer from the origin, or
    /// a part of it only, nor for a target whose answers proved to be for one client each.
    fn may_collapse(&self, now: Instant) -> bool {
        !self.look.asked.authorization
            && !self.look.range
            && self.forward != Forward::Request
            && !self.shared.settings.collapse_wait.is_zero()
            && !self.shared.pool.marks.is_set(&self.look.key, now)
    }

    fn join_or_lead<R>(&self, request: &HeaderMap) -> Joined<Response<ResponseBody<R>>> {
        let Self { shared, look, .. } = self;
        shared.join_or_lead(look, request, || {
            let found = look.up_again(shared, request)?;
            // Stale answers have been looked for already: whoever comes here wants a newer one.
            (!found.is_stale()).then(|| look.answer(shared, &found, request))
        })
    }

    async fn lead<B, R>(
        self,
        mut parts: request::Parts,
        joinable: bool,
        collapsed: Option<bool>,
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
            content,
            lifetimes,
        } = self;
        shared.counters.misses.count();
        let (ask, fallback) = look.ask(&shared, &parts.headers);
        let own = own_fields(&parts.headers);
        if joinable || !matches!(ask, Ask::Afresh) {
            // Whoever asks for others too, or about what is stored, asks without conditions of his
            // own: they are answered here.
            strip_conditions(&mut parts.headers);
        }
        let (sender, receiver) = oneshot::channel();
        let job = Job {
            shared: Arc::clone(&shared),
            service,
            request: parts,
            content,
            asked: look.asked,
            wants: look.wants.clone(),
            lifetimes,
            lead,
            ask,
            fallback,
        };
        let task = job.spawn(sender);
        let reply = Reply {
            shared: &shared,
            look: &look,
            own: &own,
            outcome: Outcome {
                collapsed,
                ..Outcome::forwarded(forward)
            },
        };
        match receiver.await {
            Ok(Ok(answer)) => Ok(reply.to(answer, seat)),
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
        let reply = Reply {
            shared: &self.shared,
            look: &self.look,
            own: request,
            outcome: Outcome {
                collapsed: Some(true),
                ..Outcome::forwarded(self.forward)
            },
        };
        reply.shared_head(head, seat)
    }
}

/// The client's conditions, and the range that it asks for.
fn own_fields(request: &HeaderMap) -> HeaderMap {
    let mut own = HeaderMap::new();
    for name in [
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::RANGE,
        header::IF_RANGE,
    ] {
        for value in request.get_all(&name) {
            own.append(name.clone(), value.clone());
        }
    }
    own
}
