//! A stored answer as it goes out to a request: whole, in part, its head alone, or as a 304.

use crate::body::ResponseBody;
use crate::look::Look;
use crate::rfc9111::precondition::{not_modified, strip_representation};
use crate::rfc9111::range::{ContentRange, Requested, Resolved, Span, requested};
use crate::rfc9111::strong::if_range_holds;
use crate::store::{Content, Head, Stored};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::time::Instant;

impl<K> Look<K> {
    /// What is stored as an answer to this request, which may be about its head or about a part of
    /// it only; none if some of it is missing.
    pub(crate) fn respond<R>(
        &self,
        stored: &Stored,
        request: &HeaderMap,
        now: Instant,
    ) -> Option<Response<ResponseBody<R>>> {
        let head = &stored.head;
        // RFC 9110 section 13.2.2: the conditions come before the range.
        if self.conditions && not_modified(request, head.status(), head.headers()) {
            return Some(not_modified_response(head, now));
        }
        if self.head_only {
            let mut response = head.response(head.age(now), ResponseBody::empty());
            // What the GET would have said; a server would write the empty body's length.
            if let Some(length) = stored.complete_length() {
                let headers = response.headers_mut();
                headers
                    .entry(header::CONTENT_LENGTH)
                    .or_insert_with(|| HeaderValue::from(length));
            }
            return Some(response);
        }
        let range = self.part_of(head, request);
        match (&stored.content, range) {
            (Content::Whole(body), None) => {
                let body = ResponseBody::whole(body.clone(), stored.trailers());
                Some(head.response(head.age(now), body))
            }
            (Content::Whole(body), Some(range)) => {
                let length = body.len() as u64;
                match range.resolve(length) {
                    Resolved::One(span) => {
                        let complete = Some(length);
                        let octets = slice(body, span)?;
                        Some(partial(head, now, ContentRange { span, complete }, octets))
                    }
                    Resolved::Unsatisfiable => Some(unsatisfiable(head, now, length)),
                    Resolved::Many => {
                        let body = ResponseBody::whole(body.clone(), stored.trailers());
                        Some(head.response(head.age(now), body))
                    }
                }
            }
            (Content::Parts(parts), Some(range)) => {
                let (range, octets) = parts.answer(&range)?;
                Some(partial(head, now, range, octets))
            }
            (Content::Parts(_), None) => None,
        }
    }

    /// The part that is asked for of an answer of which there can be one.
    pub(crate) fn part_of(&self, head: &Head, request: &HeaderMap) -> Option<Requested> {
        let partial = self.range
            && head.status() == StatusCode::OK
            && if_range_holds(request, head.headers());
        partial.then(|| requested(request)).flatten()
    }
}

pub(crate) fn not_modified_response<R>(head: &Head, now: Instant) -> Response<ResponseBody<R>> {
    let mut response = head.response(head.age(now), ResponseBody::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    strip_representation(response.headers_mut());
    response
}

/// A part of what is stored (RFC 9110 section 15.3.7).
fn partial<R>(
    head: &Head,
    now: Instant,
    range: ContentRange,
    octets: Bytes,
) -> Response<ResponseBody<R>> {
    let length = octets.len();
    let body = ResponseBody::whole(octets, None);
    partial_response(head, now, range, length as u64, body)
}

pub(crate) fn partial_response<B>(
    head: &Head,
    now: Instant,
    range: ContentRange,
    length: u64,
    body: B,
) -> Response<B> {
    let mut response = head.response(head.age(now), body);
    as_part(&mut response, range, length);
    response
}

/// Says of an answer that it is this part, of so many octets.
pub(crate) fn as_part<B>(response: &mut Response<B>, range: ContentRange, length: u64) {
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_RANGE, range.value());
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

/// Section 15.5.17: nothing of what is asked for is there.
fn unsatisfiable<R>(head: &Head, now: Instant, length: u64) -> Response<ResponseBody<R>> {
    let mut response = head.response(head.age(now), ResponseBody::empty());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = response.headers_mut();
    strip_representation(headers);
    headers.insert(header::CONTENT_RANGE, ContentRange::unsatisfied(length));
    response
}

fn slice(body: &Bytes, span: Span) -> Option<Bytes> {
    let from = usize::try_from(span.first()).ok()?;
    let to = usize::try_from(span.last()).ok()?;
    (to < body.len()).then(|| body.slice(from..=to))
}
