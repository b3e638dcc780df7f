//! What all services, handles and fills of one layer share.

use crate::cache_status::StatusField;
use crate::fill::{Fill, Headline, Joined, Newcomer};
use crate::key::{Key, More, Named, NoKey};
use crate::look::Look;
use crate::policy::CachePolicy;
use crate::pool::Pool;
use crate::request::Facts;
use crate::rfc9111::groups;
use crate::rfc9111::no_vary_search::Rule;
use crate::rfc9111::reuse::{Reuse, reusable};
use crate::rfc9111::storable::Refusal;
use crate::rfc9111::vary::Selection;
use crate::search::{self, Learnt};
use crate::settings::Settings;
use crate::stats::{CacheStats, Counters, TopKey};
use crate::store::{Claim, GroupPlaces, Head, Place, Purge, Put, Stored, TopBy};
use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// What one layer's services and handles share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) pool: Arc<Pool>,
    pub(crate) counters: Counters,
    /// Calls of [`CacheHandle::warm`](crate::CacheHandle::warm) under way: nobody else's request is
    /// searched for its mark.
    pub(crate) warming: AtomicU64,
}

impl Shared {
    pub(crate) fn new(mut settings: Settings, pool: Arc<Pool>) -> Self {
        settings.status_field = StatusField::new(settings.cache_status, &settings.cache_name);
        settings.keys.settle();
        Self {
            settings,
            pool,
            counters: Counters::default(),
            warming: AtomicU64::new(0),
        }
    }

    pub(crate) fn named<'a>(
        &'a self,
        uri: &'a Uri,
        facts: &Facts<'a>,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Named<'a>, NoKey> {
        let keying = &self.settings.keys;
        let more = More {
            keying,
            headers,
            extensions,
        };
        Named::new(self.pool.secret, &keying.namespace, uri, facts, Some(&more))
    }

    pub(crate) fn uri_key(&self, uri: &Uri) -> Result<Key, NoKey> {
        let keys = &self.settings.keys;
        let respelt = keys.respelt(uri);
        Key::of_uri(
            self.pool.secret,
            &keys.namespace,
            respelt.as_ref().unwrap_or(uri),
        )
    }

    pub(crate) fn content_key(
        &self,
        key: &Key,
        method: &Method,
        headers: &HeaderMap,
        content: &[u8],
    ) -> Key {
        key.with_content(self.pool.secret, method, headers, content)
    }

    /// Whether requests that warm the cache may be under way.
    pub(crate) fn is_warming(&self) -> bool {
        self.warming.load(Ordering::Relaxed) > 0
    }

    /// A fill that begins now: numbered before its request goes out, so that a purge in between wins.
    pub(crate) fn newcomer(
        &self,
        selection: Selection,
        search: Option<Box<search::Asked>>,
    ) -> Newcomer {
        Newcomer {
            number: self.pool.invalidations.now(),
            search,
            selection,
            ledger: Arc::clone(self.pool.store.ledger()),
        }
    }

    /// Takes a seat at a fill that fits, or leads a new one, if the store does not have it after all.
    pub(crate) fn join_or_lead<T>(
        &self,
        look: &Look,
        request: &HeaderMap,
        look_again: impl FnOnce() -> Option<T>,
    ) -> Joined<T> {
        let key = &look.key;
        let invalidations = &self.pool.invalidations;
        let target = Place::of(key.uri_digest());
        let newcomer = || {
            let known = self.pool.store.get(key, Instant::now());
            let names = known
                .map(|resource| resource.selecting_names())
                .unwrap_or_default();
            self.newcomer(Selection::of(&names, request), look.search.clone())
        };
        let now = Instant::now();
        let stands = |fill: &Fill, headline: &Headline| {
            // A body may take longer than its answer lives, or than its reader would have it.
            let fresh = match headline {
                Headline::Published(head) => {
                    reusable(&look.wants, head.age(now), head.rules()) == Ok(Reuse::AsItIs)
                }
                // Who wants an answer from the origin wants one to his own question.
                _ => !look.wants.no_cache,
            };
            let claim = match headline {
                Headline::Published(head) => head.claim(),
                _ => Claim {
                    number: fill.number,
                    target,
                    groups: &[],
                },
            };
            fresh && invalidations.stands(claim) && !invalidations.is_softened(claim)
        };
        let fills = &self.pool.fills;
        fills.join_or_lead(key, request, newcomer, stands, look_again)
    }

    /// Whether an answer may enter the store: as a new one, or because it takes another one's place.
    pub(crate) fn admits(&self, key: &Key, head: &Head) -> bool {
        let alike = |other: &Head| other.selection() == head.selection();
        let is_there = || self.pool.store.get(key, head.received());
        let admits =
            self.settings.admits.now() || is_there().is_some_and(|stored| stored.any(alike));
        if !admits {
            self.counters.kept_out.count();
        }
        admits
    }

    /// Puts an answer into the store, in place of the one that it renews, if it does, unless it was
    /// invalidated since its fill began.
    pub(crate) fn put(&self, key: &Key, stored: Arc<Stored>, renews: Option<&Arc<Stored>>) {
        let pool = &self.pool;
        if !pool.invalidations.stands(stored.head.claim()) {
            return;
        }
        let stands = |head: &Head| pool.invalidations.stands(head.claim());
        let counter = match pool.store.put(key, stored, renews, stands) {
            Put::Stored => &self.counters.stored,
            Put::NotWorthIt => &self.counters.not_admitted,
            Put::NoRoom => &self.counters.refused_room,
        };
        counter.count();
    }

    /// Invalidates a target, and all that is the same by its path's rules.
    pub(crate) fn invalidate(&self, key: &Key, purge: Purge) {
        let pool = &self.pool;
        pool.invalidate(key, purge);
        if !self.settings.no_vary_search {
            return;
        }
        let path = Place::of(key.path_digest(pool.secret));
        pool.invalidations.target(path, purge);
        let asked = self.asked(key.alone());
        if let Some(by) = asked.by {
            pool.invalidate(&self.key_by(&asked.exact, &by), purge);
        }
    }

    /// A target as it is asked for, where rules that say which queries are alike are heeded.
    pub(crate) fn asked(&self, exact: Key) -> search::Asked {
        let pool = &self.pool;
        let path = exact.digest_without_query(pool.secret);
        let by = pool.searches.known(path);
        search::Asked { exact, path, by }
    }

    pub(crate) fn key_by(&self, exact: &Key, by: &Learnt) -> Key {
        exact.by_rule(self.pool.secret, by)
    }

    /// Where an answer belongs by what it says of its queries, and whether all who asked for `key`
    /// have asked for it.
    pub(crate) fn place(
        &self,
        key: &Key,
        search: &search::Asked,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> (Key, bool) {
        let said = Rule::parse(headers);
        // An error that says nothing does not unsay the rule.
        let by = if said.is_some() || status.is_success() {
            self.pool.searches.learn(search.path, said)
        } else {
            None
        };
        let exact = || search.exact.clone();
        match (&search.by, by) {
            (None, None) => (key.clone(), true),
            (None, Some(by)) => (self.key_by(&search.exact, &by), true),
            (Some(asked), Some(by)) if asked.number == by.number => (key.clone(), true),
            (Some(_), by) => (
                by.map_or_else(exact, |by| self.key_by(&search.exact, &by)),
                false,
            ),
        }
    }

    /// False for a URI under which nothing can be stored.
    pub(crate) fn purge(&self, uri: &Uri, purge: Purge) -> bool {
        let key = self.uri_key(uri);
        if let Ok(key) = &key {
            self.invalidate(key, purge);
        }
        key.is_ok()
    }

    /// The places of all groups that an answer belongs to: the ones that its origin names, of that
    /// origin, and the ones that its handler does.
    pub(crate) fn groups(
        &self,
        key: &Key,
        headers: &HeaderMap,
        policy: Option<&CachePolicy>,
    ) -> Result<GroupPlaces, Refusal> {
        let mut places = GroupPlaces::new();
        for group in groups::groups(headers).map_err(|_| Refusal::Groups)? {
            places.push(self.group_place(key, group.as_bytes()));
        }
        let tags = policy.map_or(&[][..], |policy| &policy.tags);
        if tags.len() > groups::MAX_GROUPS {
            return Err(Refusal::Groups);
        }
        places.extend(tags.iter().map(|tag| self.tag_place(tag)));
        Ok(places)
    }

    /// Groups are of one origin (RFC 9875 section 2.1).
    pub(crate) fn group_place(&self, key: &Key, group: &[u8]) -> Place {
        let [namespace, scheme, host] = key.origin();
        let secret = self.pool.secret;
        Place::of(secret.digest_of(&[namespace, scheme, host, group]))
    }

    fn tag_place(&self, tag: &str) -> Place {
        Place::of(self.pool.secret.digest_of(&[tag.as_bytes()]))
    }

    pub(crate) fn purge_tag(&self, tag: &str, purge: Purge) {
        let place = self.tag_place(tag);
        self.pool.invalidations.group(place, purge);
    }

    pub(crate) fn clear(&self) {
        self.pool.invalidations.everything(Purge::Hard);
        self.pool.store.clear();
    }

    pub(crate) fn top_keys(&self, by: TopBy, most: usize, by_name: bool) -> Vec<TopKey> {
        let top = self.pool.store.top(by, most).into_iter();
        top.map(|(counted, resource)| TopKey {
            id: counted.digest,
            count: counted.count,
            over: counted.over,
            key: resource.filter(|_| by_name).map(|one| one.show()),
        })
        .collect()
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let pool = &self.pool;
        let Counters {
            hits,
            collapsed,
            misses,
            bypassed,
            writes,
            unsatisfied,
            stale,
            validated,
            refreshed,
            stored,
            not_admitted,
            refused_room,
            kept_out,
        } = &self.counters;
        CacheStats {
            hits: hits.get(),
            collapsed: collapsed.get(),
            misses: misses.get(),
            bypassed: bypassed.all(),
            bypasses: bypassed.so_far(),
            writes: writes.get(),
            unsatisfied: unsatisfied.get(),
            stale: stale.get(),
            validated: validated.get(),
            refreshed: refreshed.get(),
            stored: stored.get(),
            not_admitted: not_admitted.get(),
            refused_room: refused_room.get(),
            kept_out: kept_out.get(),
            filling: pool.fills.in_flight(),
            entries: pool.store.entries(),
            evictions: pool.store.evicted.so_far(),
            bytes: pool.store.ledger().bytes(),
            max_bytes: self.settings.max_bytes,
        }
    }
}
