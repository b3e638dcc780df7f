//! The task behind a fill: asks the origin, judges the head, reads the body, stores the whole.

use super::table::Lead;
use crate::rfc9111::storable::{self, Asked, Refusal, Storable, content_length};
use crate::rfc9111::vary::Selection;
use crate::rfc9111::{fields, freshness};
use crate::shared::Shared;
use crate::store::{ADDED_FIELDS, Facts, Head, Stored};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, header, response};
use http_body::Body;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_service::Service;

/// How far a body that is not kept is read ahead of its slowest reader, in bytes, while there is room.
const WINDOW: u64 = 64 * 1024;

/// All that a fill needs to go on by itself.
pub(crate) struct Job<S, R> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) service: S,
    pub(crate) request: Request<R>,
    pub(crate) asked: Asked,
    pub(crate) lead: Lead,
}

/// What the leader gets.
pub(crate) enum Answer<B> {
    /// Its own head as the origin sent it; the body is read from its seat.
    Shared(response::Parts, Arc<Head>),
    /// An answer that nobody else may have.
    Own(Response<B>),
}

impl<S, R, B> Job<S, R>
where
    S: Service<Request<R>, Response = Response<B>>,
    B: Body<Data = Bytes>,
{
    /// Runs to the end of the body, or until nobody cares for it any more.
    pub(crate) async fn run(self, leader: oneshot::Sender<Result<Answer<B>, S::Error>>) {
        let fill = Arc::clone(&self.lead.fill);
        let patience = self
            .lead
            .joinable
            .then_some(self.shared.settings.fill_timeout);
        let abandoned = async {
            match patience {
                None => fill.left().await,
                Some(timeout) => loop {
                    tokio::time::sleep(timeout).await;
                    if !fill.has_readers() {
                        break;
                    }
                },
            }
        };
        tokio::select! {
            () = self.fill(leader) => {}
            () = abandoned => {}
        }
    }

    async fn fill(self, leader: oneshot::Sender<Result<Answer<B>, S::Error>>) {
        let Self {
            shared,
            service,
            request,
            asked,
            lead,
        } = self;
        let selecting = request.headers().clone();
        let sent = Instant::now();
        let response = match service.oneshot(request).await {
            Ok(response) => response,
            Err(error) => {
                lead.fill.release();
                // Nobody to tell if the leader has left; the followers ask for themselves.
                let _ = leader.send(Err(error));
                return;
            }
        };
        let received = Instant::now();
        let judged = judge(
            &shared,
            asked,
            &lead,
            &selecting,
            &response,
            received,
            received - sent,
        );
        match judged {
            Err(_refusal) => {
                shared.marks.set(&lead.fill.key, received);
                // Out of the table first: who comes now does not queue for what is not shared.
                lead.leave_table();
                lead.fill.release();
                let _ = leader.send(Ok(Answer::Own(response)));
            }
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
                let _ = leader.send(Ok(Answer::Shared(parts, Arc::clone(&head))));
                if !empty {
                    read(&shared, &lead, head, body).await;
                }
            }
        }
    }
}

/// Decides at the head whether the answer may be shared and stored, and how it goes out if so.
fn judge<B: Body>(
    shared: &Shared,
    asked: Asked,
    lead: &Lead,
    selecting: &HeaderMap,
    response: &Response<B>,
    received: Instant,
    delay: std::time::Duration,
) -> Result<Arc<Head>, Refusal> {
    // The one place where a fill reads the wall clock; everything later counts from `received`.
    let wall = SystemTime::now();
    let headers = response.headers();
    let initial_age = freshness::initial_age(headers, wall, delay);
    let known = response.body().size_hint().exact();
    let length = content_length(headers)?.or(known);
    let status = response.status();
    let Storable {
        lifetime,
        own_lifetime,
        shared_with,
        vary,
    } = storable::storable(
        asked,
        status,
        headers,
        length,
        initial_age,
        wall,
        shared.settings.limits(),
    )?;
    let lifetime = if own_lifetime {
        freshness::jittered(
            lifetime,
            shared.settings.ttl_jitter,
            shared.draw(&lead.fill.key),
        )
    } else {
        lifetime
    };
    let mut stored = fields::stored_fields(headers, ADDED_FIELDS);
    if !stored.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(wall))
    {
        // RFC 9110 section 6.6.1: who keeps an answer without a Date writes down when it came.
        stored.insert(header::DATE, date);
    }
    let selection = Selection::of(&vary, selecting);
    let number = lead.fill.number;
    let facts = Facts {
        selection,
        shared_with,
        lifetime,
        initial_age,
        received,
        length,
        number,
    };
    Ok(Arc::new(Head::new(
        status,
        stored,
        shared.settings.cache_status,
        facts,
    )))
}

/// Reads the body to its end, shows it to the readers, and stores it if it is whole.
async fn read<B: Body<Data = Bytes>>(shared: &Shared, lead: &Lead, head: Arc<Head>, body: B) {
    let mut body = pin!(body);
    let limit = shared.settings.max_body_bytes();
    let mut kept = Some(Vec::new());
    let mut total = 0u64;
    let mut trailers = None;
    loop {
        let frame = match next_frame(body.as_mut()).await {
            Some(Ok(frame)) => frame,
            // The lead breaks off the fill when it is dropped.
            Some(Err(_)) => return,
            None => break,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().ok();
                continue;
            }
        };
        total += data.len() as u64;
        if kept.is_some() && (total > limit || !shared.store.has_room()) {
            kept = None;
            lead.leave_table();
            lead.fill.pass();
        }
        let last = body.is_end_stream();
        if let Some(frames) = &mut kept {
            frames.push(data.clone());
            if last {
                // A client that counts octets comes back at the last one: have it stored by then.
                store(shared, lead, &head, frames, None);
            }
        }
        lead.fill.push(data);
        if last {
            lead.fill.complete(None);
            return;
        }
        if kept.is_none() {
            let window = if shared.store.has_room() { WINDOW } else { 0 };
            if !lead.fill.room(window).await {
                return;
            }
        }
    }
    if let Some(frames) = &kept {
        store(shared, lead, &head, frames, trailers.clone());
    }
    lead.fill.complete(trailers);
}

async fn next_frame<B: Body>(
    mut body: Pin<&mut B>,
) -> Option<Result<http_body::Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

/// A body shorter or longer than its stated length is not whole (RFC 9111 section 3.3).
fn store(shared: &Shared, lead: &Lead, head: &Head, frames: &[Bytes], trailers: Option<HeaderMap>) {
    let total = frames.iter().map(Bytes::len).sum::<usize>();
    if head.length.is_some_and(|length| length != total as u64) {
        return;
    }
    let mut body = BytesMut::with_capacity(total);
    frames
        .iter()
        .for_each(|frame| body.extend_from_slice(frame));
    let stored = Stored::new(
        shared.store.ledger(),
        Head::clone(head),
        body.freeze(),
        trailers,
    );
    shared.put(&lead.fill.key, stored);
}
