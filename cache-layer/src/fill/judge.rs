//! The verdict on an answer's head: may it be shared and stored, and how does it go out if so?

use super::seat::Fill;
use crate::rfc9111::storable::{self, Asked, Refusal, SetCookie, Storable, content_length};
use crate::rfc9111::vary::Selection;
use crate::rfc9111::{fields, freshness};
use crate::shared::Shared;
use crate::store::{ADDED_FIELDS, Head, Terms};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The head of an answer as it came.
pub(super) struct Received<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// Octets of the body, if it knows.
    pub(super) known: Option<u64>,
    pub(super) at: Instant,
    /// Since the request went out.
    pub(super) delay: Duration,
}

/// Decides at the head whether the answer may be shared and stored, and how it goes out if so.
pub(super) fn judge(
    shared: &Shared,
    asked: Asked,
    fill: &Fill,
    selecting: &HeaderMap,
    received: &Received<'_>,
) -> Result<Arc<Head>, Refusal> {
    // The one place where a fill reads the wall clock; everything later counts from `at`.
    let wall = SystemTime::now();
    let &Received {
        status,
        headers,
        known,
        at,
        delay,
    } = received;
    let initial_age = freshness::initial_age(headers, wall, delay);
    let length = content_length(headers)?.or(known);
    let policy = shared.settings.policy();
    let Storable {
        lifetime,
        own_lifetime,
        shared_with,
        vary,
    } = storable::storable(asked, status, headers, length, initial_age, wall, policy)?;
    let lifetime = if own_lifetime {
        freshness::jittered(lifetime, shared.settings.ttl_jitter, shared.draw(&fill.key))
    } else {
        lifetime
    };
    let left_out = match policy.set_cookie {
        SetCookie::Strip => &[header::SET_COOKIE][..],
        _ => &[],
    };
    let mut stored = fields::stored_fields(headers, ADDED_FIELDS, left_out);
    if !stored.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(wall))
    {
        // RFC 9110 section 6.6.1: who keeps an answer without a Date writes down when it came.
        stored.insert(header::DATE, date);
    }
    let terms = Terms {
        selection: Selection::of(&vary, selecting).answered_by(headers),
        shared_with,
        lifetime,
        initial_age,
        received: at,
        length,
        number: fill.number,
    };
    let show = shared.settings.cache_status;
    Ok(Arc::new(Head::new(status, stored, show, terms)))
}
