//! Looking up a request in the store.

use crate::body::ResponseBody;
use crate::key::Key;
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::precondition::{not_modified, strip_representation};
use crate::rfc9111::reuse::{Forward, reusable};
use crate::rfc9111::storable::Asked;
use crate::rfc9111::validation::has_validator;
use crate::shared::Shared;
use crate::store::{Head, Resource, Stored};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use std::sync::Arc;
use tokio::time::Instant;

/// A request that the store may answer.
pub(crate) struct Look {
    pub(crate) key: Key,
    pub(crate) wants: RequestDirectives,
    pub(crate) asked: Asked,
    /// Whether there are conditions to answer.
    pub(crate) conditions: bool,
    pub(crate) head_only: bool,
}

impl Look {
    pub(crate) fn up<R>(
        &self,
        shared: &Shared,
        request: &HeaderMap,
    ) -> Result<Response<ResponseBody<R>>, Forward> {
        let resource = shared.store.get(&self.key).ok_or(Forward::UriMiss)?;
        self.answer(shared, &resource, request, Instant::now())
    }

    /// What is stored for such a request and could be confirmed by its origin; not for a request
    /// with conditions of its own, which go their own way.
    pub(crate) fn stale(&self, shared: &Shared, request: &HeaderMap) -> Option<Arc<Stored>> {
        let own = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
        if own.iter().any(|name| request.contains_key(name)) {
            return None;
        }
        let resource = shared.store.get_again(&self.key)?;
        let stored = resource.select(request)?;
        let head = &stored.head;
        (has_validator(head.headers())
            && head.allows(self.asked)
            && shared.invalidations.valid(&self.key, head.number))
        .then(|| Arc::clone(stored))
    }

    /// The stored answer, if it may be used without asking the origin; else why not.
    pub(crate) fn answer<R>(
        &self,
        shared: &Shared,
        resource: &Resource,
        request: &HeaderMap,
        now: Instant,
    ) -> Result<Response<ResponseBody<R>>, Forward> {
        let stored = resource.select(request).ok_or(Forward::VaryMiss)?;
        let head = &stored.head;
        if !shared.invalidations.valid(&self.key, head.number) {
            return Err(Forward::UriMiss);
        }
        if !head.allows(self.asked) {
            return Err(Forward::Request);
        }
        reusable(&self.wants, head.age(now), head.lifetime())?;
        if self.conditions && not_modified(request, head.status(), head.headers()) {
            return Ok(not_modified_response(head, now));
        }
        if self.head_only {
            let mut response = head.response(now, ResponseBody::empty());
            // What the GET would have said; a server would write the empty body's length.
            response
                .headers_mut()
                .entry(header::CONTENT_LENGTH)
                .or_insert_with(|| HeaderValue::from(stored.body.len()));
            return Ok(response);
        }
        let body = ResponseBody::whole(stored.body.clone(), stored.trailers.clone());
        Ok(head.response(now, body))
    }
}

pub(crate) fn not_modified_response<R>(head: &Head, now: Instant) -> Response<ResponseBody<R>> {
    let mut response = head.response(now, ResponseBody::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    strip_representation(response.headers_mut());
    response
}
