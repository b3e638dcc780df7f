//! The task behind a fill: asks the origin, has the head judged and the body read.

use super::arrival::{Arrival, show};
use super::ask::{Ask, Origin, Reply, ask, failed};
use super::judge::Lifetimes;
use super::table::Lead;
use crate::body::RequestBody;
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::range::ContentRange;
use crate::rfc9111::reuse::covers_error;
use crate::rfc9111::storable::Asked;
use crate::shared::Shared;
use crate::store::{Head, Stored};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, request, response};
use http_body::Body;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower_service::Service;

/// All that a fill needs to go on by itself.
pub(crate) struct Job<S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: S,
    pub(crate) request: request::Parts,
    /// The content of a request whose key it is part of.
    pub(crate) content: Bytes,
    pub(crate) asked: Asked,
    pub(crate) wants: RequestDirectives,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) lead: Lead,
    pub(crate) ask: Ask,
    /// What may be used, for some time, if the origin fails.
    pub(crate) fallback: Option<Arc<Stored>>,
}

/// What the leader gets.
pub(crate) enum Answer<R> {
    /// Its own head as the origin sent it; the body is read from its seat.
    Shared {
        parts: response::Parts,
        head: Arc<Head>,
        /// It enters the store.
        stored: bool,
    },
    /// What was stored still holds, under a new head. The fields that a 304 says to its own client
    /// alone, such as cookies, are the leader's.
    Confirmed(Arc<Stored>, HeaderMap),
    /// What was stored still holds, but may not be kept or shared any more.
    ConfirmedOnce(HeaderMap, Arc<Stored>),
    /// What was missing has come; the body, or this part of it, is read from its seat.
    Completed(Arc<Head>, Option<ContentRange>),
    /// As much, but it may not be kept or shared any more: under these fields, of this length.
    CompletedOnce(HeaderMap, Option<ContentRange>, Option<u64>),
    /// The origin failed, with this answer if with any; what is stored stands in.
    Stale(Arc<Stored>, Option<StatusCode>),
    /// What is stored must not be used without asking, and the service failed (RFC 9111 section
    /// 5.2.2.2).
    Unreachable,
    /// An answer that nobody else may have.
    Own(Response<R>),
}

pub(crate) type Leader<R, E> = oneshot::Sender<Result<Answer<R>, E>>;

impl<S> Job<S> {
    /// Runs in a task of its own. In a box: a task is moved half a dozen times before it runs, and once it is
    /// over, and this one is some thousand bytes large.
    pub(crate) fn spawn<B, R>(self, leader: Leader<R, S::Error>) -> JoinHandle<()>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        B: Send + 'static,
        R: Body<Data = Bytes> + Send + 'static,
    {
        tokio::spawn(Box::pin(self.run(leader)))
    }

    /// Runs to the end of the body, or until nobody cares for it any more.
    async fn run<B, R>(self, leader: Leader<R, S::Error>)
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
        R: Body<Data = Bytes>,
    {
        let fill = Arc::clone(&self.lead.fill);
        let joinable = self.lead.joinable;
        let timeout = self.shared.settings.fill_timeout;
        let abandoned = async {
            if !joinable {
                return fill.left().await;
            }
            loop {
                tokio::time::sleep(timeout).await;
                if !fill.has_readers() {
                    return;
                }
            }
        };
        tokio::select! {
            () = self.fill(leader) => {}
            () = abandoned => {}
        }
    }

    async fn fill<B, R>(self, leader: Leader<R, S::Error>)
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
        R: Body<Data = Bytes>,
    {
        let Self {
            shared,
            service,
            request,
            content,
            asked,
            wants,
            lifetimes,
            lead,
            ask: how,
            fallback,
        } = self;
        let fields = request.headers.clone();
        let Origin {
            sent,
            answer,
            reply,
        } = ask(service, request, content, how).await;
        let at = Instant::now();
        let fallback = fallback.filter(|stored| {
            failed(&answer) && shared.pool.invalidations.stands(stored.head.claim())
        });
        // Section 4.2.4: who is cut off from the origin may use what is stale, unless that is forbidden.
        let cut_off = answer.is_err() && shared.settings.stale_if_disconnected;
        let covers = |stored: &Stored, wants: &RequestDirectives| {
            let head = &stored.head;
            let rules = head.rules();
            // One error does not stand in for another.
            !head.status().is_server_error()
                && ((cut_off && rules.stale.allowed) || covers_error(wants, head.age(at), rules))
        };
        if let Some(stored) = &fallback
            && covers(stored, &wants)
        {
            let status = answer.ok().map(|response| response.status());
            // A follower has not said that it puts up with this; the origin, or we, may have.
            if covers(stored, &RequestDirectives::default()) {
                show(&lead, stored);
            } else {
                lead.fill.release();
            }
            drop(leader.send(Ok(Answer::Stale(Arc::clone(stored), status))));
            return;
        }
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                // The followers ask for themselves.
                lead.fill.release();
                let must_ask = fallback.is_some_and(|stored| !stored.head.rules().stale.allowed);
                drop(leader.send(if must_ask {
                    Ok(Answer::Unreachable)
                } else {
                    Err(error)
                }));
                return;
            }
        };
        let arrival = Arrival {
            shared: &shared,
            lead: &lead,
            asked,
            fields: &fields,
            lifetimes,
            sent,
            at,
        };
        match reply {
            Reply::Plain => arrival.settle(response, leader).await,
            Reply::Confirmed(stored) => arrival.confirm(&response, &stored, leader),
            Reply::Completes(stored, shape) => {
                arrival.complete(response, &stored, shape, leader).await;
            }
        }
    }
}
