//! An answer has come: what becomes of it, and who gets it.

use super::body::{Shape, keep, read};
use super::judge::{Lifetimes, Question, Received, Verdict, holds_better, judge};
use super::table::Lead;
use super::task::{Answer, Leader};
use crate::key::Key;
use crate::policy::CachePolicy;
use crate::rfc9111::fields;
use crate::rfc9111::range::ContentRange;
use crate::rfc9111::storable::{Asked, Refusal};
use crate::rfc9111::validation;
use crate::shared::Shared;
use crate::store::{Content, Head, Purge, Stored};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Version, header};
use http_body::Body;
use std::sync::Arc;
use tokio::time::Instant;

/// An answer that has come, with all that it is judged by.
pub(crate) struct Arrival<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) lead: &'a Lead,
    pub(crate) asked: Asked,
    pub(crate) fields: &'a HeaderMap,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) sent: Instant,
    pub(crate) at: Instant,
}

impl Arrival<'_> {
    /// An answer that stands for itself.
    pub(crate) async fn settle<R, E>(self, response: Response<R>, leader: Leader<R, E>)
    where
        R: Body<Data = Bytes>,
    {
        let Self { shared, lead, .. } = self;
        let known = response.body().size_hint().exact();
        let part = (response.status() == StatusCode::PARTIAL_CONTENT
            && self.fields.contains_key(header::RANGE))
        .then(|| ContentRange::parse(response.headers()))
        .flatten();
        let policy = response.extensions().get::<CachePolicy>();
        let verdict = self.judge(response.status(), response.headers(), policy, known, part);
        let verdict = verdict.and_then(|(verdict, key)| {
            if response.version() <= Version::HTTP_10 && verdict.head.length().is_none() {
                // It ends with its connection (RFC 9112 section 6.3), as if it had broken off.
                return Err(Refusal::Length);
            }
            if response.status().is_server_error() && holds_better(shared, &key, self.at) {
                return Err(Refusal::Worse);
            }
            Ok((verdict, key))
        });
        match verdict {
            Ok((Verdict { head, shareable }, key)) => {
                let (parts, body) = response.into_parts();
                let shape = Shape {
                    part,
                    length: head.length(),
                    ..Shape::default()
                };
                let stored = shared.admits(&key, &head);
                let empty = body.is_end_stream();
                if empty {
                    // Ended before its head is shown: no server waits for an empty body.
                    if stored {
                        keep(shared, &key, &head, &shape, &[], None);
                    }
                    lead.fill.complete(None);
                }
                self.publish(&head, shareable, part);
                let answer = Answer::Shared {
                    parts,
                    head: Arc::clone(&head),
                    stored,
                };
                drop(leader.send(Ok(answer)));
                if !empty {
                    let to_store = stored.then_some((key, head));
                    read(shared, lead, to_store, shape, body).await;
                }
            }
            Err(refusal) => {
                // Out of the table first: who comes now does not queue in vain.
                lead.leave_table();
                if refusal == Refusal::Credentials {
                    lead.fill.release_others();
                } else {
                    // A 304 to a client's own condition, or an answer to its credentials or its
                    // range, says nothing of what others would get.
                    let status = response.status();
                    let own = status == StatusCode::NOT_MODIFIED
                        || status == StatusCode::PARTIAL_CONTENT
                        || status == StatusCode::RANGE_NOT_SATISFIABLE;
                    if !self.asked.authorization && !own {
                        shared.pool.marks.set(&lead.fill.key, self.at);
                    }
                    lead.fill.release();
                }
                drop(leader.send(Ok(Answer::Own(response))));
            }
        }
    }

    /// A 304 to our own question (RFC 9111 section 4.3.4).
    pub(super) fn confirm<R, E>(
        self,
        response: &Response<R>,
        stored: &Arc<Stored>,
        leader: Leader<R, E>,
    ) {
        let Self { shared, lead, .. } = self;
        let fields = stored.head.fields(&shared.settings.status_field);
        let fields = validation::update(fields, response.headers());
        let length = stored.whole().map(|body| body.len() as u64);
        let policy = response.extensions().get().or(stored.head.policy());
        let answer = match self.judge(stored.head.status(), &fields, policy, length, None) {
            Ok((Verdict { head, shareable }, key)) => {
                let renewed = Arc::new(Stored::new(
                    shared.pool.store.ledger(),
                    Head::clone(&head),
                    stored.content.clone(),
                    stored.trailers(),
                ));
                // It may have another Vary now. Where it was found for these fields by chance, it stays
                // what it was for its own.
                let selected = stored.head.selection().matches_exactly(self.fields);
                shared.put(&key, Arc::clone(&renewed), selected.then_some(stored));
                let own = not_stored(response.headers(), head.headers());
                if shareable {
                    show(lead, &renewed);
                } else {
                    self.publish(&head, false, None);
                }
                shared.counters.validated.count();
                Answer::Confirmed(renewed, own)
            }
            Err(_refusal) => {
                shared.invalidate(&lead.fill.key, Purge::Hard);
                lead.leave_table();
                lead.fill.release();
                Answer::ConfirmedOnce(fields, Arc::clone(stored))
            }
        };
        drop(leader.send(Ok(answer)));
    }

    /// A 206 that brings what was missing (RFC 9111 section 3.4).
    pub(super) async fn complete<R, E>(
        self,
        response: Response<R>,
        stored: &Stored,
        shape: Shape,
        leader: Leader<R, E>,
    ) where
        R: Body<Data = Bytes>,
    {
        let Self { shared, lead, .. } = self;
        let mut brought = response.headers().clone();
        brought.remove(header::CONTENT_RANGE);
        let fields = stored.head.fields(&shared.settings.status_field);
        let mut fields = validation::update(fields, &brought);
        fields.remove(header::CONTENT_LENGTH);
        let policy = response.extensions().get().or(stored.head.policy());
        let part = shape.part;
        let verdict = self.judge(StatusCode::OK, &fields, policy, shape.length, None);
        let to_store = match verdict {
            Ok((Verdict { head, shareable }, key)) => {
                self.publish(&head, shareable, part);
                drop(leader.send(Ok(Answer::Completed(Arc::clone(&head), part))));
                Some((key, head))
            }
            Err(_refusal) => {
                // It says now that it is not for the store: neither is what we had.
                shared.invalidate(&lead.fill.key, Purge::Hard);
                lead.leave_table();
                lead.fill.release();
                let answer = Answer::CompletedOnce(fields, part, shape.length);
                drop(leader.send(Ok(answer)));
                None
            }
        };
        read(shared, lead, to_store, shape, response.into_body()).await;
    }

    /// The verdict, and the key to store by.
    fn judge(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        policy: Option<&CachePolicy>,
        known: Option<u64>,
        part: Option<ContentRange>,
    ) -> Result<(Verdict, Key), Refusal> {
        let fill = &self.lead.fill;
        let (key, same) = match &fill.search {
            Some(search) => self.shared.place(&fill.key, search, status, headers),
            None => (fill.key.clone(), true),
        };
        if key != fill.key && self.shared.pool.invalidations.now() != fill.number {
            // What was invalidated meanwhile may be the same by a rule that was not known then.
            return Err(Refusal::Invalidated);
        }
        let question = Question {
            key: &key,
            number: fill.number,
            asked: self.asked,
            fields: self.fields,
            lifetimes: self.lifetimes,
        };
        let received = Received {
            status,
            headers,
            policy,
            known,
            part,
            at: self.at,
            delay: self.at - self.sent,
        };
        let mut verdict = judge(self.shared, question, &received)?;
        // Those who wait have asked for something else, as it turns out.
        verdict.shareable &= same;
        Ok((verdict, key))
    }

    /// Shows the head to those who wait, or sends them to the origin where each must ask himself.
    fn publish(&self, head: &Arc<Head>, shareable: bool, part: Option<ContentRange>) {
        let marks = &self.shared.pool.marks;
        let fill = &self.lead.fill;
        if part.is_some() {
            // Nobody waits for a part.
            return;
        }
        if shareable {
            marks.unset(&fill.key);
            fill.publish(Arc::clone(head));
        } else {
            // Out of the table first: who comes now does not queue in vain.
            self.lead.leave_table();
            marks.set(&fill.key, self.at);
            fill.release();
        }
    }
}

/// What a 304 says to its own client alone: the fields that are kept out of the store.
fn not_stored(said: &HeaderMap, stored: &HeaderMap) -> HeaderMap {
    let mut own = fields::stored_fields(said, 0, &[]);
    for name in stored.keys() {
        own.remove(name);
    }
    own.remove(header::CONTENT_LENGTH);
    own
}

/// Shows what is stored as if it had come just now.
pub(super) fn show(lead: &Lead, stored: &Stored) {
    if let Content::Whole(body) = &stored.content {
        if !body.is_empty() {
            lead.fill.push(body.clone());
        }
        lead.fill.complete(stored.trailers());
        lead.fill.publish(Arc::new(stored.head.clone()));
    } else {
        // Parts are of use to those who asked for them only.
        lead.fill.release();
    }
}
