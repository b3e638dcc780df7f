//! How a client is answered that did not find its answer in the store.

use crate::body::ResponseBody;
use crate::cache_status::{Details, Outcome};
use crate::fill::{Answer, Seat};
use crate::look::Look;
use crate::respond::{as_part, not_modified_response, partial_response};
use crate::rfc9111::precondition::not_modified;
use crate::rfc9111::validation;
use crate::service::unsatisfied;
use crate::shared::Shared;
use crate::store::{Head, Stored};
use crate::warm::WasStored;
use http::{HeaderMap, Response, StatusCode, header};
use tokio::time::Instant;

/// What the answer to such a client depends on.
pub(crate) struct Reply<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) look: &'a Look,
    /// The client's conditions and range.
    pub(crate) own: &'a HeaderMap,
    pub(crate) outcome: Outcome,
}

impl Reply<'_> {
    pub(crate) fn to<R>(mut self, answer: Answer<R>, seat: Seat) -> Response<ResponseBody<R>> {
        let field = &self.shared.settings.status_field;
        let stored = match &answer {
            Answer::Shared { stored, .. } => *stored,
            Answer::Completed(..) | Answer::Confirmed(..) => true,
            _ => false,
        };
        self.outcome.stored = stored;
        let mut response = match answer {
            Answer::Own(mut response) => {
                let details = self.details(None);
                field.append(response.headers_mut(), self.outcome, &details);
                response.map(ResponseBody::own)
            }
            Answer::Unreachable => unsatisfied(),
            Answer::Shared { head, .. } if self.unmodified(&head) => self.shared_head(&head, seat),
            Answer::Shared {
                mut parts, head, ..
            } => {
                let details = self.details(Some(&head));
                field.append(&mut parts.headers, self.outcome, &details);
                Response::from_parts(parts, ResponseBody::shared(seat, head.length()))
            }
            Answer::Completed(head, None) => {
                self.outcome.fwd_status = Some(StatusCode::PARTIAL_CONTENT);
                self.shared_head(&head, seat)
            }
            Answer::Completed(head, Some(range)) => {
                let length = range.span.length();
                let body = ResponseBody::shared(seat, Some(length));
                let response = partial_response(&head, Instant::now(), range, length, body);
                self.told(response, &head)
            }
            Answer::CompletedOnce(fields, part, length) => {
                let mut response = Response::new(ResponseBody::shared(seat, length));
                *response.headers_mut() = fields;
                match part {
                    Some(range) => as_part(&mut response, range, range.span.length()),
                    None => self.outcome.fwd_status = Some(StatusCode::PARTIAL_CONTENT),
                }
                field.append(response.headers_mut(), self.outcome, &Details::default());
                response
            }
            Answer::Confirmed(stored, own) => {
                self.outcome.fwd_status = Some(StatusCode::NOT_MODIFIED);
                let mut response = self.stored(&stored);
                for (name, value) in &own {
                    response.headers_mut().append(name, value.clone());
                }
                response
            }
            Answer::ConfirmedOnce(fields, stored) => {
                self.outcome.fwd_status = Some(StatusCode::NOT_MODIFIED);
                let mut response = self.stored(&stored);
                // Of the store is in this answer nothing but the body.
                let headers = response.headers_mut();
                field.remove(headers);
                headers.remove(header::AGE);
                *headers = validation::update(std::mem::take(headers), &fields);
                field.append(headers, self.outcome, &Details::default());
                response
            }
            Answer::Stale(stored, status) => {
                self.shared.counters.stale.count();
                self.outcome.fwd_status = status;
                self.stored(&stored)
            }
        };
        if stored {
            response.extensions_mut().insert(WasStored);
        }
        response
    }

    fn stored<R>(&self, stored: &Stored) -> Response<ResponseBody<R>> {
        match self.look.respond(stored, self.own, Instant::now()) {
            Some(response) => self.told(response, &stored.head),
            // Cannot be: only what answers the request is asked about.
            None => unsatisfied(),
        }
    }

    /// The answer as stored, or the 304 that the client's conditions ask for.
    pub(crate) fn shared_head<R>(mut self, head: &Head, seat: Seat) -> Response<ResponseBody<R>> {
        let now = Instant::now();
        let response = if self.unmodified(head) {
            // RFC 9211 section 2.3: left out, it would be taken for that of the answer.
            self.outcome.fwd_status.get_or_insert(head.status());
            not_modified_response(head, now)
        } else {
            head.response(head.age(now), ResponseBody::shared(seat, head.length()))
        };
        self.told(response, head)
    }

    fn told<R>(
        &self,
        mut response: Response<ResponseBody<R>>,
        head: &Head,
    ) -> Response<ResponseBody<R>> {
        let details = self.details(Some(head));
        let field = &self.shared.settings.status_field;
        field.replace(response.headers_mut(), self.outcome, &details);
        response
    }

    fn details(&self, head: Option<&Head>) -> Details {
        match head {
            Some(head) if self.shared.settings.status_field.is_debug() => {
                self.look.details(head, Instant::now())
            }
            _ => Details::default(),
        }
    }

    fn unmodified(&self, head: &Head) -> bool {
        not_modified(self.own, head.status(), head.headers())
    }
}
