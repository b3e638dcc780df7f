//! What is kept of an answer.

use super::ledger::{Charge, Ledger};
use crate::cache_status::{CacheStatus, Outcome};
use crate::key::Key;
use crate::rfc9111::storable::{Asked, Sharing};
use crate::rfc9111::validation::has_validator;
use crate::rfc9111::vary::Selection;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use smallvec::SmallVec;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::Instant;

/// Status and fields of an answer with all that decides over its reuse.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    status: StatusCode,
    /// As they go out on a hit: `Age` has its place, and `Cache-Status` already says so.
    headers: HeaderMap,
    pub(crate) selection: Selection,
    shared_with: Sharing,
    lifetime: Duration,
    initial_age: Duration,
    received: Instant,
    /// Octets of the body, where they were known before it came.
    pub(crate) length: Option<u64>,
    /// Where its fill stands among the [`Invalidations`](super::Invalidations).
    pub(crate) number: u64,
}

/// What [`Head::new`] is made of besides the fields.
pub(crate) struct Terms {
    pub(crate) selection: Selection,
    pub(crate) shared_with: Sharing,
    pub(crate) lifetime: Duration,
    pub(crate) initial_age: Duration,
    pub(crate) received: Instant,
    pub(crate) length: Option<u64>,
    pub(crate) number: u64,
}

/// How many fields [`Head::new`] adds to the ones it is given, at most.
pub(crate) const ADDED_FIELDS: usize = 3;

impl Head {
    /// `fields` are the stored ones, a `Date` among them.
    pub(crate) fn new(
        status: StatusCode,
        mut fields: HeaderMap,
        show: CacheStatus,
        terms: Terms,
    ) -> Self {
        fields.insert(header::AGE, age_value(Duration::ZERO));
        show.append(&mut fields, Outcome::Hit);
        let Terms {
            selection,
            shared_with,
            lifetime,
            initial_age,
            received,
            length,
            number,
        } = terms;
        Self {
            status,
            headers: fields,
            selection,
            shared_with,
            lifetime,
            initial_age,
            received,
            length,
            number,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn allows(&self, asked: Asked) -> bool {
        self.shared_with.allows(asked)
    }

    /// `current_age` (RFC 9111 section 4.2.3).
    pub(crate) fn age(&self, now: Instant) -> Duration {
        self.initial_age + now.saturating_duration_since(self.received)
    }

    pub(crate) fn received(&self) -> Instant {
        self.received
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The fields as the origin sent them: without what [`new`](Self::new) has added.
    pub(crate) fn fields(&self, show: CacheStatus) -> HeaderMap {
        let mut fields = self.headers.clone();
        fields.remove(header::AGE);
        show.remove(&mut fields);
        fields
    }

    /// Whether the origin may still confirm it: for as long again as it was fresh, it is worth its
    /// place.
    fn is_confirmable(&self, now: Instant) -> bool {
        has_validator(&self.headers) && self.lifetime.saturating_mul(2) > self.age(now)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.lifetime > self.age(now)
    }

    /// The answer as it goes out now, with `Age`.
    pub(crate) fn response<B>(&self, now: Instant, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        // In its place already: cheaper than an insert.
        if let Some(age) = response.headers_mut().get_mut(header::AGE) {
            *age = age_value(self.age(now));
        }
        response
    }

    fn bytes(&self) -> usize {
        header_map_bytes(&self.headers) + self.selection.bytes()
    }
}

/// One whole answer.
#[derive(Debug)]
pub(crate) struct Stored {
    /// In place, a copy of what the fill's readers share: a hit follows one pointer less.
    pub(crate) head: Head,
    /// In one piece of its own, not in slices of the connection's buffers.
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    charge: Charge,
}

impl Stored {
    pub(crate) fn new(
        ledger: &Arc<Ledger>,
        head: Head,
        body: Bytes,
        trailers: Option<HeaderMap>,
    ) -> Self {
        let bytes = size_of::<Self>()
            + ARC
            + head.bytes()
            + body.len()
            + trailers.as_ref().map_or(0, header_map_bytes);
        Self {
            head,
            body,
            trailers,
            charge: Charge::new(ledger, bytes as u64),
        }
    }
}

/// Nearly always one.
pub(crate) type Variants = SmallVec<[Arc<Stored>; 1]>;

/// All answers stored under one key, the newest last.
#[derive(Debug)]
pub(crate) struct Resource {
    parts: Box<[u8]>,
    variants: Variants,
    /// None for ballast, which no ledger knows of.
    charge: Option<Charge>,
    ballast: u64,
}

impl Resource {
    pub(crate) fn new(ledger: &Arc<Ledger>, key: &Key, variants: Variants) -> Self {
        let bytes = size_of::<Self>() + ARC + PLACE + key.parts().len() + size_of_val(&*variants);
        Self {
            parts: key.parts().into(),
            variants,
            charge: Some(Charge::new(ledger, bytes as u64)),
            ballast: 0,
        }
    }

    /// Weighs without holding anything: the store must part with others for it.
    pub(crate) fn ballast(weight: u64) -> Self {
        Self {
            parts: [].into(),
            variants: Variants::new(),
            charge: None,
            ballast: weight,
        }
    }

    pub(crate) fn is_of(&self, key: &Key) -> bool {
        *self.parts == *key.parts()
    }

    pub(crate) fn variants(&self) -> &[Arc<Stored>] {
        &self.variants
    }

    /// The newest answer that fits the request's fields (RFC 9111 section 4.1).
    pub(crate) fn select(&self, request: &HeaderMap) -> Option<&Arc<Stored>> {
        self.variants
            .iter()
            .rev()
            .find(|stored| stored.head.selection.matches(request))
    }

    /// The fields that the newest answer was selected by.
    pub(crate) fn selecting_names(&self) -> Vec<HeaderName> {
        self.variants
            .last()
            .map(|stored| stored.head.selection.names().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether no request can be answered by it, as it is.
    pub(crate) fn is_stale(&self, now: Instant, stands: impl Fn(u64) -> bool) -> bool {
        !self.any(stands, |head| head.is_fresh(now))
    }

    /// Whether it is not even worth a question to the origin.
    pub(crate) fn is_dead(&self, now: Instant, stands: impl Fn(u64) -> bool) -> bool {
        !self.any(stands, |head| {
            head.is_fresh(now) || head.is_confirmable(now)
        })
    }

    fn any(&self, stands: impl Fn(u64) -> bool, is: impl Fn(&Head) -> bool) -> bool {
        self.variants
            .iter()
            .any(|stored| is(&stored.head) && stands(stored.head.number))
    }

    /// Bytes held, or pretended to be.
    pub(crate) fn weight(&self) -> u64 {
        self.ballast
            + self.charge.as_ref().map_or(0, Charge::bytes)
            + self
                .variants
                .iter()
                .map(|stored| stored.charge.bytes())
                .sum::<u64>()
    }
}

/// Two counters in front of a shared value.
const ARC: usize = 16;
/// What the store itself spends on a place: measured with moka 0.12, table and queues included.
const PLACE: usize = 260;

/// An estimate of a cloned header map's own memory: 104 bytes for each field, 4 for each place of
/// the index, of which a quarter stays empty, and the octets. Values share one buffer, names of the
/// standard take none.
fn header_map_bytes(headers: &HeaderMap) -> usize {
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
