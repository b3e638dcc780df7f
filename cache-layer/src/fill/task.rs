//! The task behind a fill: asks the origin, has the head judged and the body read.

use super::body::{read, store};
use super::judge::{Received, judge};
use super::table::Lead;
use crate::body::RequestBody;
use crate::rfc9111::storable::{Asked, Refusal};
use crate::rfc9111::validation;
use crate::shared::Shared;
use crate::store::{Head, Stored};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request, response};
use http_body::Body;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_service::Service;

/// All that a fill needs to go on by itself.
pub(crate) struct Job<S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: S,
    /// Of a request without content.
    pub(crate) request: request::Parts,
    pub(crate) asked: Asked,
    pub(crate) lead: Lead,
    /// What the origin is asked about before it is asked for the whole.
    pub(crate) stale: Option<Arc<Stored>>,
}

/// What the leader gets.
pub(crate) enum Answer<R> {
    /// Its own head as the origin sent it; the body is read from its seat.
    Shared(response::Parts, Arc<Head>),
    /// What was stored still holds, under a new head; the body is read from its seat. The cookies of
    /// the 304 are the leader's alone where they are not stored.
    Confirmed(Arc<Head>, Vec<HeaderValue>),
    /// What was stored still holds, but may not be kept or shared any more.
    ConfirmedOnce(Response<()>, Arc<Stored>),
    /// An answer that nobody else may have.
    Own(Response<R>),
}

type Leader<R, E> = oneshot::Sender<Result<Answer<R>, E>>;

impl<S> Job<S> {
    /// Runs to the end of the body, or until nobody cares for it any more.
    pub(crate) async fn run<B, R>(self, leader: Leader<R, S::Error>)
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
            asked,
            lead,
            stale,
        } = self;
        let selecting = request.headers.clone();
        let origin = ask(service, request, stale).await;
        let at = Instant::now();
        let delay = at - origin.sent;
        let judge = |status, headers: &HeaderMap, known| {
            let received = Received {
                status,
                headers,
                known,
                at,
                delay,
            };
            judge(&shared, asked, &lead.fill, &selecting, &received)
        };
        // A leader that has left is told in vain.
        let tell = |answer| drop(leader.send(answer));
        match (origin.answer, origin.confirmed) {
            (Err(error), _) => {
                // The followers ask for themselves.
                lead.fill.release();
                tell(Err(error));
            }
            (Ok(response), Some(stored)) => {
                let fields = stored.head.fields(shared.settings.cache_status);
                let fields = validation::update(fields, response.headers());
                let length = Some(stored.body.len() as u64);
                match judge(stored.head.status(), &fields, length) {
                    Ok(head) => {
                        renew(&shared, &lead, &head, &stored);
                        let mut cookies = Vec::new();
                        if !head.headers().contains_key(header::SET_COOKIE) {
                            let own = response.headers().get_all(header::SET_COOKIE);
                            cookies.extend(own.iter().cloned());
                        }
                        tell(Ok(Answer::Confirmed(head, cookies)));
                    }
                    Err(_refusal) => {
                        shared.invalidate(&lead.fill.key);
                        lead.leave_table();
                        lead.fill.release();
                        let mut response = response.map(drop);
                        *response.status_mut() = stored.head.status();
                        *response.headers_mut() = fields;
                        tell(Ok(Answer::ConfirmedOnce(response, stored)));
                    }
                }
            }
            (Ok(response), None) => {
                let known = response.body().size_hint().exact();
                match judge(response.status(), response.headers(), known) {
                    Ok(head) => {
                        shared.marks.unset(&lead.fill.key);
                        let (parts, body) = response.into_parts();
                        let empty = body.is_end_stream();
                        if empty {
                            // Ended before its head is shown: no server waits for an empty body.
                            store(&shared, &lead, &head, &[], None);
                            lead.fill.complete(None);
                        }
                        lead.fill.publish(Arc::clone(&head));
                        tell(Ok(Answer::Shared(parts, Arc::clone(&head))));
                        if !empty {
                            read(&shared, &lead, head, body).await;
                        }
                    }
                    Err(refusal) => {
                        // Out of the table first: who comes now does not queue in vain.
                        lead.leave_table();
                        if refusal == Refusal::Credentials {
                            lead.fill.release_others();
                        } else {
                            // A 304 to a client's own condition, or an answer to its credentials,
                            // says nothing of what others would get.
                            let is_304 = response.status() == StatusCode::NOT_MODIFIED;
                            if !asked.authorization && !is_304 {
                                shared.marks.set(&lead.fill.key, at);
                            }
                            lead.fill.release();
                        }
                        tell(Ok(Answer::Own(response)));
                    }
                }
            }
        }
    }
}

/// What came of asking the origin.
struct Origin<R, E> {
    sent: Instant,
    answer: Result<Response<R>, E>,
    /// What the answer, a 304, says still holds.
    confirmed: Option<Arc<Stored>>,
}

/// Asks about what is stored, if anything is, and else, or if the origin speaks of something else
/// than we hold, for the whole.
async fn ask<S, B, R>(
    service: S,
    request: request::Parts,
    stale: Option<Arc<Stored>>,
) -> Origin<R, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
{
    let send =
        |service: S, parts| service.oneshot(Request::from_parts(parts, RequestBody::empty()));
    if let Some(stored) = stale {
        let mut question = request.clone();
        validation::ask(&mut question.headers, stored.head.headers());
        let sent = Instant::now();
        let answer = send(service.clone(), question).await;
        let (confirmed, elsewhere) = match &answer {
            Ok(response) if response.status() == StatusCode::NOT_MODIFIED => {
                let confirms = validation::confirms(response.headers(), stored.head.headers());
                (confirms, !confirms)
            }
            _ => (false, false),
        };
        if !elsewhere {
            let confirmed = confirmed.then_some(stored);
            return Origin {
                sent,
                answer,
                confirmed,
            };
        }
    }
    let sent = Instant::now();
    let answer = send(service, request).await;
    Origin {
        sent,
        answer,
        confirmed: None,
    }
}

/// Puts what was confirmed back under its new head, and shows it.
fn renew(shared: &Shared, lead: &Lead, head: &Arc<Head>, stored: &Stored) {
    let (body, trailers) = (stored.body.clone(), stored.trailers.clone());
    let renewed = Stored::new(
        shared.store.ledger(),
        Head::clone(head),
        body.clone(),
        trailers.clone(),
    );
    shared.put(&lead.fill.key, renewed);
    if !body.is_empty() {
        lead.fill.push(body);
    }
    lead.fill.complete(trailers);
    lead.fill.publish(Arc::clone(head));
}
