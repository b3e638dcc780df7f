//! Status and fields of an answer, with all that decides over its reuse.

use super::invalidation::{Claim, GroupPlaces, Place};
use crate::cache_status::StatusField;
use crate::policy::{CachePolicy, LONGEST};
use crate::rfc9111::reuse::Rules;
use crate::rfc9111::storable::{Asked, Sharing};
use crate::rfc9111::validation::{self, has_validator};
use crate::rfc9111::vary::Selection;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The head of an answer as it is kept.
///
/// In this order: what each hit reads lies together, and in few lines of the processor's cache.
#[derive(Debug, Clone)]
#[repr(C)]
pub(crate) struct Head {
    status: StatusCode,
    /// As they go out on a hit: `Age` has its place, and `Cache-Status` already says so.
    headers: HeaderMap,
    /// Which of the values is `Age`.
    age_at: usize,
    terms: Terms,
}

/// What [`Head::new`] is made of besides the fields; the last three are not for hits.
#[derive(Debug, Clone)]
#[repr(C)]
pub(crate) struct Terms {
    pub(crate) rules: Rules,
    pub(crate) initial_age: Duration,
    pub(crate) received: Instant,
    /// Where its fill stands among the [`Invalidations`](super::Invalidations).
    pub(crate) number: u64,
    pub(crate) target: Place,
    pub(crate) shared_with: Sharing,
    pub(crate) selection: Selection,
    pub(crate) groups: GroupPlaces,
    /// When the origin says it was made: of several that match, the newest is used.
    pub(crate) date: SystemTime,
    /// Octets of the body, where they were known before it came.
    pub(crate) length: Option<u64>,
    /// What its handler said: it stays, as fields do, where a 304 brings nothing new.
    pub(crate) policy: Option<Box<CachePolicy>>,
}

/// How many fields [`Head::new`] adds to the ones it is given, at most.
pub(crate) const ADDED_FIELDS: usize = 3;

impl Head {
    /// `fields` are the stored ones, a `Date` among them.
    pub(crate) fn new(
        status: StatusCode,
        mut fields: HeaderMap,
        field: &StatusField,
        terms: Terms,
    ) -> Self {
        fields.insert(header::AGE, age_value(Duration::ZERO));
        field.append_hit(&mut fields);
        Self {
            status,
            age_at: age_at(&fields),
            headers: fields,
            terms,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn selection(&self) -> &Selection {
        &self.terms.selection
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.terms.rules
    }

    pub(crate) fn received(&self) -> Instant {
        self.terms.received
    }

    pub(crate) fn date(&self) -> SystemTime {
        self.terms.date
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.terms.length
    }

    pub(crate) fn policy(&self) -> Option<&CachePolicy> {
        self.terms.policy.as_deref()
    }

    pub(super) fn set_length(&mut self, length: u64) {
        self.terms.length = Some(length);
    }

    pub(crate) fn claim(&self) -> Claim<'_> {
        Claim {
            number: self.terms.number,
            target: self.terms.target,
            groups: &self.terms.groups,
        }
    }

    pub(crate) fn allows(&self, asked: Asked) -> bool {
        self.terms.shared_with.allows(asked)
    }

    /// `current_age` (RFC 9111 section 4.2.3).
    pub(crate) fn age(&self, now: Instant) -> Duration {
        self.terms.initial_age + now.saturating_duration_since(self.terms.received)
    }

    /// Seconds of freshness left, or, below zero, since they ran out (RFC 9211 section 2.4).
    pub(crate) fn ttl(&self, now: Instant) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        seconds(self.terms.rules.lifetime) - seconds(self.age(now))
    }

    /// The same answer's head as it is known now: the older one's fields stay where the newer one has
    /// none (RFC 9111 section 3.4).
    pub(super) fn over(mut self, older: &Self) -> Self {
        self.headers = validation::update(older.headers.clone(), &self.headers);
        self.age_at = age_at(&self.headers);
        self
    }

    /// The fields as the origin sent them: without what [`new`](Self::new) has added.
    pub(crate) fn fields(&self, field: &StatusField) -> HeaderMap {
        let mut fields = self.headers.clone();
        fields.remove(header::AGE);
        field.remove(&mut fields);
        fields
    }

    /// Until when it is fresh.
    pub(super) fn fresh_until(&self) -> Instant {
        self.at_age(self.terms.rules.lifetime)
    }

    /// Until when some request could do with it, or the origin confirm it: for as long again as it was
    /// fresh, and some time at least, it is worth its place.
    pub(super) fn useful_until(&self) -> Instant {
        let rules = &self.terms.rules;
        let lifetime = rules.lifetime;
        let as_long_again = |least| lifetime.max(Duration::from_secs(least));
        let mut past = Duration::ZERO;
        if rules.stale.allowed {
            // A client may put up with it.
            past = as_long_again(30).max(rules.stale_for());
        }
        if has_validator(&self.headers) {
            past = past.max(as_long_again(300));
        }
        self.at_age(lifetime.saturating_add(past))
    }

    fn at_age(&self, age: Duration) -> Instant {
        let left = age.saturating_sub(self.terms.initial_age);
        self.terms.received + left.min(LONGEST)
    }

    /// The answer as it goes out at that age.
    pub(crate) fn response<B>(&self, age: Duration, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        // In its place already, which a copy has where the original has it: cheaper than an insert.
        if let Some(value) = response.headers_mut().values_mut().nth(self.age_at) {
            *value = age_value(age);
        }
        response
    }

    pub(super) fn bytes(&self) -> usize {
        let spilled = |groups: &GroupPlaces| {
            if groups.spilled() {
                groups.capacity() * size_of::<Place>()
            } else {
                0
            }
        };
        let policy = self.policy().map_or(0, CachePolicy::bytes);
        header_map_bytes(&self.headers)
            + self.terms.selection.bytes()
            + spilled(&self.terms.groups)
            + policy
    }
}

fn age_at(headers: &HeaderMap) -> usize {
    let mut names = headers.iter().map(|(name, _)| name);
    names
        .position(|name| *name == header::AGE)
        .unwrap_or(usize::MAX)
}

/// An estimate of a cloned header map's own memory: 104 bytes for each field, 4 for each place of
/// the index, of which a quarter stays empty, and the octets. Values share one buffer, names of the
/// standard take none.
pub(super) fn header_map_bytes(headers: &HeaderMap) -> usize {
    let index = headers.capacity() / 3 * 4 * 4;
    let octets = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    headers.len() * 104 + index + headers.iter().map(octets).sum::<usize>()
}

/// Ages up to an hour, written once: a `HeaderValue` made of them is copied without counting.
static AGES: LazyLock<Box<[HeaderValue]>> = LazyLock::new(|| {
    (0..3600u32)
        .map(|age| HeaderValue::from_static(Box::leak(age.to_string().into_boxed_str())))
        .collect()
});

fn age_value(age: Duration) -> HeaderValue {
    let seconds = age.as_secs();
    match AGES.get(usize::try_from(seconds).unwrap_or(usize::MAX)) {
        Some(value) => value.clone(),
        None => HeaderValue::from(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_in_seconds_rounded_down() {
        for (age, text) in [(0.0, "0"), (1.999, "1"), (3599.0, "3599"), (3600.0, "3600")] {
            assert_eq!(age_value(Duration::from_secs_f64(age)), text);
        }
    }
}
