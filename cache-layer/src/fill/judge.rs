//! The verdict on an answer's head: may it be shared and stored, and how does it go out if so?

use crate::key::Key;
use crate::policy::CachePolicy;
use crate::rfc9111::dates::date;
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::range::ContentRange;
use crate::rfc9111::reuse::{covers_error, reusable};
use crate::rfc9111::stated::Stated;
use crate::rfc9111::storable::{
    self, Answered, Asked, Refusal, Storable, content_length, field_bytes,
};
use crate::rfc9111::vary::Selection;
use crate::rfc9111::{fields, freshness};
use crate::shared::Shared;
use crate::store::{ADDED_FIELDS, Head, Place, Terms};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Whether it is a gRPC answer that does not say at its head already that the call has failed.
fn may_succeed(headers: &HeaderMap) -> bool {
    let failed = headers
        .get("grpc-status")
        .is_some_and(|status| status != "0");
    is_grpc(headers) && !failed
}

pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// What an answer is an answer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) key: &'a Key,
    /// Where its fill began among the invalidations.
    pub(crate) number: u64,
    pub(crate) asked: Asked,
    /// The request's fields, of which `Vary` may nominate some.
    pub(crate) fields: &'a HeaderMap,
    pub(crate) lifetimes: Lifetimes,
}

/// Lifetimes that the way of asking brings along.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Lifetimes {
    /// By the answer's word, or by configuration.
    #[default]
    Usual,
    /// By the answer's own word only.
    Stated,
    /// Of a gRPC method: of this length, where the answer states none.
    Default(Duration),
    /// Of this length at least.
    AtLeast(Duration),
}

/// The head of an answer as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) policy: Option<&'a CachePolicy>,
    /// Octets of the body, if it knows.
    pub(crate) known: Option<u64>,
    /// What a 206 carries, to a request for a part.
    pub(crate) part: Option<ContentRange>,
    pub(crate) at: Instant,
    /// Since the request went out.
    pub(crate) delay: Duration,
}

/// An answer that may be stored.
pub(crate) struct Verdict {
    pub(crate) head: Arc<Head>,
    /// Those who wait for it may have it too, without asking for themselves.
    pub(crate) shareable: bool,
}

/// Whether something better than a server error is there that may still be used, if only in place of one:
/// it would be lost for an error that is gone in a minute.
pub(super) fn holds_better(shared: &Shared, key: &Key, now: Instant) -> bool {
    let invalidations = &shared.pool.invalidations;
    let wants = RequestDirectives::default();
    let better = |head: &Head| {
        let (age, rules) = (head.age(now), head.rules());
        let usable = reusable(&wants, age, rules).is_ok();
        !head.status().is_server_error()
            && invalidations.stands(head.claim())
            && (usable && !invalidations.is_softened(head.claim())
                || covers_error(&wants, age, rules))
    };
    let resource = shared.pool.store.get(key, now);
    resource.is_some_and(|resource| resource.any(better))
}

/// Decides at the head whether the answer may be shared and stored, and how it goes out if so.
pub(crate) fn judge(
    shared: &Shared,
    question: Question<'_>,
    received: &Received<'_>,
) -> Result<Verdict, Refusal> {
    // The one place where a fill reads the wall clock; everything later counts from `at`.
    let wall = SystemTime::now();
    let headers = received.headers;
    let stated = Stated::of(headers, &shared.settings.targeted);
    let stated = match received.policy {
        Some(policy) => stated.heed(policy),
        None => stated,
    };
    let initial_age = freshness::initial_age(headers, wall, received.delay);
    let length = content_length(headers)?.or(received.known);
    let answered = Answered {
        status: received.status,
        headers,
        stated: &stated,
        body_length: length,
        age: initial_age,
        received: wall,
        is_part: received.part.is_some(),
    };
    if matches!(question.lifetimes, Lifetimes::Default(_)) && !may_succeed(headers) {
        return Err(Refusal::Status);
    }
    let settings = &shared.settings;
    let policy = settings.policy(question.lifetimes, shared.pool.draw(question.key));
    let Storable {
        mut rules,
        shared_with,
        vary,
        mut left_out,
        fresh,
    } = storable::storable(question.asked, &answered, policy)?;
    let selecting = || {
        let lines = |name| question.fields.get_all(name).iter();
        vary.iter()
            .flat_map(move |name| lines(name).map(move |value| (name, value)))
    };
    if selecting().any(|(name, _)| settings.is_credential(name)) {
        // Nobody could ask for it in the background.
        rules.stale.while_revalidate = Duration::ZERO;
    }
    let bytes = selecting().map(|(name, value)| field_bytes(name, value));
    if bytes.sum::<u64>() > settings.max_header_bytes {
        return Err(Refusal::TooLarge);
    }
    let groups = shared.groups(question.key, headers, received.policy)?;
    let mut status = received.status;
    if received.part.is_some() {
        // Kept as what the whole would say; what says that it is a part comes with each use.
        status = StatusCode::OK;
        left_out.extend([header::CONTENT_RANGE, header::CONTENT_LENGTH]);
    }
    let mut stored = fields::stored_fields(headers, ADDED_FIELDS, &left_out);
    if !stored.contains_key(header::DATE)
        && let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(wall))
    {
        // RFC 9110 section 6.6.1: who keeps an answer without a Date writes down when it came.
        stored.insert(header::DATE, date);
    }
    let terms = Terms {
        selection: Selection::of(&vary, question.fields).answered_by(headers),
        shared_with,
        rules,
        initial_age,
        received: received.at,
        date: date(headers).unwrap_or(wall),
        length,
        number: question.number,
        target: Place::of(question.key.uri_digest()),
        groups,
        policy: received.policy.cloned().map(Box::new),
    };
    let head = Head::new(status, stored, &shared.settings.status_field, terms);
    Ok(Verdict {
        head: Arc::new(head),
        shareable: fresh,
    })
}
