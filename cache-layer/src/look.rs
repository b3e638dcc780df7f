//! Looking up a request in the store.

use crate::body::ResponseBody;
use crate::cache_status::{Details, Outcome};
use crate::fill::{Ask, Missing};
use crate::key::{Key, Lookup, Named};
use crate::rfc9111::directives::RequestDirectives;
use crate::rfc9111::parts::Gaps;
use crate::rfc9111::range::{Resolved, Span, requested};
use crate::rfc9111::reuse::{Forward, Reuse, Rules, reusable};
use crate::rfc9111::storable::Asked;
use crate::rfc9111::strong::strong_validator;
use crate::rfc9111::validation::has_validator;
use crate::search;
use crate::service::unsatisfied;
use crate::shared::Shared;
use crate::store::{Content, Head, Resource, Stored};
use http::{HeaderMap, HeaderName, Response, header};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A request that the store may answer, by the key that it names or by one of its own.
pub(crate) struct Look<K = Key> {
    pub(crate) key: K,
    /// How the key was made, where answers may say which queries are alike.
    pub(crate) search: Option<Box<search::Asked>>,
    pub(crate) wants: RequestDirectives,
    pub(crate) asked: Asked,
    /// Whether there are conditions to answer.
    pub(crate) conditions: bool,
    /// Whether it asks for a part.
    pub(crate) range: bool,
    pub(crate) head_only: bool,
}

impl Look<Named<'_>> {
    /// For those who need it longer than the request lies where it is.
    #[cold]
    pub(crate) fn own(&self) -> Box<Look> {
        Box::new(Look {
            key: self.key.to_key(),
            search: self.search.clone(),
            wants: self.wants.clone(),
            asked: self.asked,
            conditions: self.conditions,
            range: self.range,
            head_only: self.head_only,
        })
    }
}

/// So many requests in one lifetime make an answer worth being fetched before anybody needs it.
const HOT: u32 = 10;

/// A stored answer that may be used without asking the origin.
pub(crate) struct Found {
    resource: Arc<Resource>,
    place: usize,
    now: Instant,
    /// Of the answer, now.
    age: Duration,
    reuse: Reuse,
    /// To be fetched anew by whoever has found it.
    renews: bool,
}

impl Found {
    pub(crate) fn stored(&self) -> &Arc<Stored> {
        &self.resource.variants()[self.place]
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.reuse == Reuse::WhileRevalidating
    }

    /// Whether it is to be fetched anew in the background.
    pub(crate) fn renews(&self) -> bool {
        self.renews
    }
}

impl<K: Lookup> Look<K> {
    /// The stored answer, if it may be used without asking the origin; else why not.
    pub(crate) fn up(&self, shared: &Shared, request: &HeaderMap) -> Result<Found, Forward> {
        let now = Instant::now();
        shared.pool.sweep_if_due(now);
        let store = &shared.pool.store;
        let resource = store.get(&self.key, now).ok_or(Forward::UriMiss)?;
        let mut found = self.judge(shared, resource, request, now)?;
        let hits = store.used(&found.resource, found.stored(), now);
        found.renews = self.is_to_renew(shared, &found, hits);
        Ok(found)
    }

    /// What is stale, and what soon will be and was asked for often: once, not by each of many.
    fn is_to_renew(&self, shared: &Shared, found: &Found, hits: u32) -> bool {
        if found.is_stale() {
            return true;
        }
        let share = shared.settings.refresh_ahead;
        if share == 0.0 || hits < HOT {
            return false;
        }
        let head = &found.stored().head;
        let (age, lifetime) = (found.age, head.rules().lifetime);
        age < lifetime && age >= lifetime.mul_f64(1.0 - share) && found.resource.renew()
    }

    fn judge(
        &self,
        shared: &Shared,
        resource: Arc<Resource>,
        request: &HeaderMap,
        now: Instant,
    ) -> Result<Found, Forward> {
        let place = resource.select(request).ok_or(Forward::VaryMiss)?;
        let stored = &resource.variants()[place];
        let head = &stored.head;
        let invalidations = &shared.pool.invalidations;
        if !invalidations.stands(head.claim()) {
            return Err(Forward::UriMiss);
        }
        if !head.allows(self.asked) {
            return Err(Forward::Request);
        }
        let age = head.age(now);
        let reuse = if invalidations.is_softened(head.claim()) {
            // Stale from the moment of the purge on, whatever it said.
            let lifetime = head.rules().lifetime.min(age);
            let rules = Rules {
                lifetime,
                ..*head.rules()
            };
            reusable(&self.wants, age, &rules)?
        } else {
            reusable(&self.wants, age, head.rules())?
        };
        if stored.whole().is_none() && self.respond::<()>(stored, request, now).is_none() {
            return Err(Forward::Partial);
        }
        Ok(Found {
            resource,
            place,
            now,
            age,
            reuse,
            renews: false,
        })
    }

    /// The answer, as it goes out.
    pub(crate) fn answer<R>(
        &self,
        shared: &Shared,
        found: &Found,
        request: &HeaderMap,
    ) -> Response<ResponseBody<R>> {
        let (stored, now) = (found.stored(), found.now);
        let field = &shared.settings.status_field;
        let usual = !(self.conditions || self.range || self.head_only || field.is_debug());
        if usual && let Some(body) = stored.whole() {
            let body = ResponseBody::whole(body.clone(), stored.trailers());
            return stored.head.response(found.age, body);
        }
        // It has been seen to answer.
        let mut response = self
            .respond(stored, request, now)
            .unwrap_or_else(unsatisfied);
        if field.is_debug() {
            let details = self.details(&stored.head, now);
            field.replace(response.headers_mut(), Outcome::HIT, &details);
        }
        response
    }

    /// What a look into the cache is told besides.
    pub(crate) fn details(&self, head: &Head, now: Instant) -> Details {
        Details {
            ttl: Some(head.ttl(now)),
            key: Some(self.key.show()),
        }
    }
}

impl Look {
    /// As [`up`](Self::up), for second looks.
    pub(crate) fn up_again(&self, shared: &Shared, request: &HeaderMap) -> Option<Found> {
        self.up(shared, request).ok()
    }

    /// What is stored for such a request, in whatever state.
    pub(crate) fn stored(&self, shared: &Shared, request: &HeaderMap) -> Option<Arc<Stored>> {
        let resource = shared.pool.store.get(&self.key, Instant::now())?;
        let stored = &resource.variants()[resource.select(request)?];
        let head = &stored.head;
        (head.allows(self.asked) && shared.pool.invalidations.stands(head.claim()))
            .then(|| Arc::clone(stored))
    }

    /// How to ask the origin, by what is stored for such a request, and what stands in if it fails.
    pub(crate) fn ask(&self, shared: &Shared, request: &HeaderMap) -> (Ask, Option<Arc<Stored>>) {
        let Some(stored) = self.stored(shared, request) else {
            return (self.ask_which(shared, request), None);
        };
        let head = &stored.head;
        let invalidations = &shared.pool.invalidations;
        let now = Instant::now();
        let answers = self.respond::<()>(&stored, request, now).is_some();
        let fallback = answers.then(|| Arc::clone(&stored));
        let softened = invalidations.is_softened(head.claim());
        let usable = !softened && reusable(&self.wants, head.age(now), head.rules()).is_ok();
        let ask = match &stored.content {
            _ if answers && has_validator(head.headers()) => Ask::Whether(Arc::clone(&stored)),
            Content::Parts(_) if usable => match self.missing(&stored, request) {
                // What is too long to keep is not worth putting together.
                Some(missing) if missing.wanted.length() <= shared.settings.max_body_bytes() => {
                    Ask::Missing(Arc::clone(&stored), missing)
                }
                _ => Ask::Afresh,
            },
            _ => Ask::Afresh,
        };
        (ask, fallback)
    }

    /// None of the variants was selected: the origin may say that one of them is the answer all the same
    /// (RFC 9111 section 4.3.1).
    fn ask_which(&self, shared: &Shared, request: &HeaderMap) -> Ask {
        // A handful is worth a question; more would make a field that servers refuse.
        const MOST: usize = 8;
        let Some(resource) = shared.pool.store.get(&self.key, Instant::now()) else {
            return Ask::Afresh;
        };
        let invalidations = &shared.pool.invalidations;
        let is_credential = |name: &HeaderName| shared.settings.is_credential(name);
        let worth = |stored: &&Arc<Stored>| {
            let head = &stored.head;
            // A weak tag may stand for several codings of one thing, of which the client takes but one.
            head.headers().contains_key(header::ETAG)
                && strong_validator(head.headers()).is_some()
                && head.allows(self.asked)
                && invalidations.stands(head.claim())
                && stored.whole().is_some()
                // Nor is what was for another client's credentials asked about for this one's.
                && !head.selection().names().any(is_credential)
        };
        if self.range || resource.select(request).is_some() {
            return Ask::Afresh;
        }
        let newest_first = resource.variants().iter().rev();
        let candidates: Vec<_> = newest_first.filter(worth).take(MOST).cloned().collect();
        if candidates.is_empty() {
            Ask::Afresh
        } else {
            Ask::Which(candidates)
        }
    }

    /// The one gap in what is asked for, where the rest of it is held under a strong validator.
    fn missing(&self, stored: &Stored, request: &HeaderMap) -> Option<Missing> {
        let Content::Parts(parts) = &stored.content else {
            return None;
        };
        let head = &stored.head;
        let complete = parts.complete()?;
        strong_validator(head.headers())?;
        let (wanted, as_part) = match self.part_of(head, request) {
            None if self.range && requested(request).is_some() => return None,
            None => (Span::whole(complete)?, false),
            Some(range) => match range.resolve(complete) {
                Resolved::One(span) => (span, true),
                Resolved::Many => (Span::whole(complete)?, false),
                Resolved::Unsatisfiable => return None,
            },
        };
        match parts.missing(wanted) {
            Gaps::One { before, gap, after } if gap != wanted => Some(Missing {
                gap,
                before,
                after,
                wanted,
                as_part,
                complete,
            }),
            _ => None,
        }
    }
}
