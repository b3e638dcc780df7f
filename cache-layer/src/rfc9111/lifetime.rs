//! How long an answer is fresh here: by its origin's word, by ours where it has none, and within the
//! bounds that are set (RFC 9111 section 4.2).

use super::freshness::{explicit_lifetime, heuristic_lifetime, jittered};
use super::status::{default_applies, heuristically_cacheable, is_error};
use super::storable::Answered;
use super::validation::has_validator;
use http::StatusCode;
use std::time::Duration;

/// What the configuration, and the way of asking, say of lifetimes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Configured<'a> {
    /// Only the answer's own word counts.
    pub(crate) stated_only: bool,
    pub(crate) default_ttl: Option<Duration>,
    /// For errors, by status.
    pub(crate) negative: &'a [(u16, Duration)],
    pub(crate) heuristic: bool,
    pub(crate) min_ttl: Duration,
    pub(crate) max_ttl: Option<Duration>,
    /// From its arrival on, for an answer that was asked for to be there.
    pub(crate) warm_ttl: Duration,
    /// The share by which lifetimes of our own making are spread.
    pub(crate) jitter: f64,
    /// Uniform in `0.0..1.0`, for this answer.
    pub(crate) draw: f64,
}

/// The lifetime of an answer, if it has one.
pub(crate) fn lifetime(answered: &Answered<'_>, configured: &Configured<'_>) -> Option<Duration> {
    let &Configured {
        min_ttl,
        max_ttl,
        jitter,
        draw,
        ..
    } = configured;
    let at_most = |ttl| max_ttl.map_or(ttl, |most: Duration| most.min(ttl));
    let stated = explicit_lifetime(answered.stated, answered.headers, answered.received);
    // What it may be at most, and what of that is not ours to shorten.
    let (longest, shortest) = match stated {
        Some(stated) if stated < min_ttl && may_stretch(answered, stated) => (min_ttl, stated),
        Some(stated) if at_most(stated) < stated => (at_most(stated), Duration::ZERO),
        Some(stated) => (stated, stated),
        None => (at_most(own(answered, configured)?), Duration::ZERO),
    };
    let lifetime = jittered(longest, jitter, draw).max(shortest);
    if configured.warm_ttl.is_zero()
        || is_error(answered.status)
        || answered.stated.directives.no_cache.is_whole()
    {
        return Some(lifetime);
    }
    // Spread as well, but never under what was asked for.
    let warm = answered.age + configured.warm_ttl.mul_f64(1.0 + jitter * draw);
    Some(lifetime.max(max_ttl.map_or(warm, |most| warm.min(jittered(most, jitter, draw)))))
}

/// A short lifetime is lengthened only where nothing forbids the use of what is stale (section 4.2.4),
/// nor says that it is stale from the start: those ask to be asked.
fn may_stretch(answered: &Answered<'_>, stated: Duration) -> bool {
    !stated.is_zero() && !answered.stated.directives.forbids_stale() && !is_error(answered.status)
}

/// A lifetime of our own making, for an answer that states none.
fn own(answered: &Answered<'_>, configured: &Configured<'_>) -> Option<Duration> {
    if configured.stated_only {
        return None;
    }
    let &Answered {
        status, headers, ..
    } = answered;
    let directives = &answered.stated.directives;
    // Section 3 demands an explicit word, or one of these statuses; section 4.2.2 the same.
    let allowed = heuristically_cacheable(status) || directives.public;
    let heuristic = (configured.heuristic && allowed)
        .then(|| heuristic_lifetime(headers, answered.received))
        .flatten();
    // Nothing is known of it but how to ask: kept for that where guesses are wanted at all, or
    // where it says that it is to be asked about each time.
    let confirmable = allowed
        && has_validator(headers)
        && (configured.heuristic || directives.no_cache.is_whole());
    // What was set is set; a guess is for what it does not reach.
    set(status, configured)
        .or(heuristic)
        .or_else(|| confirmable.then_some(Duration::ZERO))
}

fn set(status: StatusCode, configured: &Configured<'_>) -> Option<Duration> {
    if default_applies(status) {
        return configured.default_ttl;
    }
    let mut negative = configured.negative.iter();
    let (_, ttl) = negative.find(|(for_status, _)| *for_status == status.as_u16())?;
    Some(*ttl)
}

#[cfg(test)]
mod tests;
