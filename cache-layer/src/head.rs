//! What the answer to a HEAD says of what is stored for GET (RFC 9111 section 4.3.5).

use crate::fill::{Lifetimes, Question, Received, Verdict, judge};
use crate::key::Key;
use crate::look::Look;
use crate::rfc9111::storable::Asked;
use crate::rfc9111::validation;
use crate::shared::Shared;
use crate::store::{Head, Purge, Stored};
use http::{Extensions, HeaderMap, StatusCode};
use std::sync::Arc;
use tokio::time::Instant;

/// A HEAD on its way to the origin, where something is stored for a GET of the same.
pub(crate) struct HeadSent {
    key: Key,
    asked: Asked,
    fields: HeaderMap,
    stored: Arc<Stored>,
    /// Where it began among the invalidations.
    number: u64,
    sent: Instant,
}

impl HeadSent {
    pub(crate) fn new(shared: &Shared, look: &Look, request: &HeaderMap) -> Option<Self> {
        // Section 5.2.1.5: nothing of a no-store request's answer is stored.
        if !look.head_only || look.wants.no_store {
            return None;
        }
        Some(Self {
            key: look.key.clone(),
            asked: look.asked,
            fields: request.clone(),
            stored: look.stored(shared, request)?,
            number: shared.pool.invalidations.now(),
            sent: Instant::now(),
        })
    }

    /// The same answer is fresh again under the fields that came; another one makes it stale.
    pub(crate) fn answered(
        &self,
        shared: &Shared,
        status: StatusCode,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) {
        if status != StatusCode::OK {
            return;
        }
        let head = &self.stored.head;
        let length = self.stored.complete_length();
        if !validation::is_same(headers, head.headers(), length) {
            return shared.invalidate(&self.key, Purge::Soft);
        }
        let fields = head.fields(&shared.settings.status_field);
        let fields = validation::update(fields, headers);
        let question = Question {
            key: &self.key,
            number: self.number,
            asked: self.asked,
            fields: &self.fields,
            lifetimes: Lifetimes::Usual,
        };
        let at = Instant::now();
        let received = Received {
            status: head.status(),
            headers: &fields,
            policy: extensions.get().or(head.policy()),
            known: self.stored.whole().map(|body| body.len() as u64),
            part: None,
            at,
            delay: at - self.sent,
        };
        match judge(shared, question, &received) {
            Ok(Verdict { head, .. }) => {
                let renewed = Stored::new(
                    shared.pool.store.ledger(),
                    Head::clone(&head),
                    self.stored.content.clone(),
                    self.stored.trailers(),
                );
                shared.put(&self.key, Arc::new(renewed), Some(&self.stored));
            }
            // Its origin says now that it is not for the store.
            Err(_refusal) => shared.invalidate(&self.key, Purge::Soft),
        }
    }
}
