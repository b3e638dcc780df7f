//! What the origin is asked: for the whole, whether what is stored still holds, or for what is missing.

use super::body::Shape;
use crate::body::RequestBody;
use crate::rfc9111::range::{ContentRange, Span};
use crate::rfc9111::strong::strong_validator;
use crate::rfc9111::validation;
use crate::store::Stored;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header, request};
use std::sync::Arc;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_service::Service;

/// How a fill begins.
pub(crate) enum Ask {
    /// For what the request asks for.
    Afresh,
    /// Whether this still holds, and for what the request asks for if not (RFC 9111 section 4.3.1).
    Whether(Arc<Stored>),
    /// Whether one of these variants, none of which was selected, is the answer all the same.
    Which(Vec<Arc<Stored>>),
    /// For what is missing of these parts (section 3.4).
    Missing(Arc<Stored>, Missing),
}

/// The gap in what a request asks for.
pub(crate) struct Missing {
    pub(crate) gap: Span,
    pub(crate) before: Bytes,
    pub(crate) after: Bytes,
    /// What is asked for in all.
    pub(crate) wanted: Span,
    /// It is asked for as a part, not as the whole.
    pub(crate) as_part: bool,
    /// The length of the whole.
    pub(crate) complete: u64,
}

/// What came of asking the origin.
pub(super) struct Origin<R, E> {
    pub(super) sent: Instant,
    pub(super) answer: Result<Response<R>, E>,
    pub(super) reply: Reply,
}

/// What an answer is, by what was asked.
pub(super) enum Reply {
    Plain,
    /// A 304 that says that this still holds.
    Confirmed(Arc<Stored>),
    /// A 206 that brings what was missing.
    Completes(Arc<Stored>, Shape),
}

/// Asks about what is stored, if anything is, and else, or if the origin speaks of something else
/// than we hold, for the whole.
pub(super) async fn ask<S, B, R>(
    service: S,
    mut request: request::Parts,
    content: Bytes,
    how: Ask,
) -> Origin<R, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone,
{
    let send = |service: S, parts| {
        service.oneshot(Request::from_parts(
            parts,
            RequestBody::bytes(content.clone()),
        ))
    };
    // For the case that the origin speaks of something else than we hold.
    let spare = match &how {
        Ask::Afresh => None,
        _ => Some((service.clone(), request.clone())),
    };
    let headers = &mut request.headers;
    match &how {
        Ask::Afresh => {}
        Ask::Whether(stored) => validation::ask(headers, stored.head.headers()),
        Ask::Which(all) => {
            validation::ask_which(headers, all.iter().map(|stored| stored.head.headers()));
        }
        Ask::Missing(stored, missing) => ask_for_gap(headers, stored.head.headers(), missing),
    }
    let sent = Instant::now();
    let answer = send(service, request).await;
    let reply = match (&answer, how) {
        (Ok(response), Ask::Whether(stored)) if response.status() == StatusCode::NOT_MODIFIED => {
            let said = response.headers();
            let confirms = validation::confirms(said, stored.head.headers());
            (confirms && names_parts(said, &stored)).then_some(Reply::Confirmed(stored))
        }
        (Ok(response), Ask::Which(all)) if response.status() == StatusCode::NOT_MODIFIED => {
            let named =
                |stored: &Arc<Stored>| validation::names(response.headers(), stored.head.headers());
            all.into_iter().find(named).map(Reply::Confirmed)
        }
        (Ok(response), Ask::Missing(stored, missing))
            if response.status() == StatusCode::PARTIAL_CONTENT =>
        {
            fills_gap(response.headers(), stored.head.headers(), &missing)
                .then(|| completed(stored, missing))
        }
        // What is missing is not there: what we have is not either.
        (Ok(response), Ask::Missing(..))
            if response.status() == StatusCode::RANGE_NOT_SATISFIABLE =>
        {
            None
        }
        _ => Some(Reply::Plain),
    };
    match (reply, spare) {
        (None, Some((service, request))) => Origin {
            sent: Instant::now(),
            answer: send(service, request).await,
            reply: Reply::Plain,
        },
        (reply, _) => Origin {
            sent,
            answer,
            reply: reply.unwrap_or(Reply::Plain),
        },
    }
}

/// Whether the origin did not do what it was asked for (RFC 5861 section 4).
pub(super) fn failed<R, E>(answer: &Result<Response<R>, E>) -> bool {
    match answer {
        Ok(response) => matches!(response.status().as_u16(), 500 | 502 | 503 | 504),
        Err(_) => true,
    }
}

/// Parts that were asked for by a strong tag are no answer under a weak one.
fn names_parts(said: &HeaderMap, stored: &Stored) -> bool {
    let own = stored.head.headers().get(header::ETAG);
    let tag = said.get(header::ETAG);
    stored.whole().is_some() || tag.is_none_or(|tag| own == Some(tag))
}

fn ask_for_gap(request: &mut HeaderMap, stored: &HeaderMap, missing: &Missing) {
    let range = missing.gap.request(Some(missing.complete));
    request.insert(header::RANGE, range);
    if let Some(validator) = strong_validator(stored) {
        // If it has changed, the whole comes instead (RFC 9110 section 13.1.5).
        request.insert(header::IF_RANGE, validator.clone());
    }
}

/// Parts are put together only under one strong validator (RFC 9111 section 3.4).
fn fills_gap(brought: &HeaderMap, stored: &HeaderMap, missing: &Missing) -> bool {
    let same = strong_validator(brought)
        .zip(strong_validator(stored))
        .is_some_and(|(one, other)| one == other);
    same && ContentRange::parse(brought).is_some_and(|range| {
        range.span == missing.gap
            && range
                .complete
                .is_none_or(|complete| complete == missing.complete)
    })
}

fn completed(stored: Arc<Stored>, missing: Missing) -> Reply {
    let Missing {
        before,
        after,
        wanted,
        as_part,
        complete,
        ..
    } = missing;
    let part = as_part.then_some(ContentRange {
        span: wanted,
        complete: Some(complete),
    });
    let shape = Shape {
        part,
        before,
        after,
        length: Some(wanted.length()),
    };
    Reply::Completes(stored, shape)
}
