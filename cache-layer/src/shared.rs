//! What all services, handles and fills of one layer share.

use crate::cache_status::CacheStatus;
use crate::fill::Fills;
use crate::key::{self, Key, Secret, Unkeyable};
use crate::request::Facts;
use crate::rfc9111::invalidation::also_invalidated;
use crate::rfc9111::storable::{Policy, SetCookie};
use crate::stats::{CacheStats, Counters};
use crate::store::{Eviction, Invalidations, Marks, MemoryStore, Stored};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Uri};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) max_bytes: u64,
    pub(crate) max_entry_bytes: u64,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) heuristic: bool,
    pub(crate) set_cookie: SetCookie,
    pub(crate) ttl_jitter: f64,
    pub(crate) eviction: Eviction,
    pub(crate) collapse_wait: Duration,
    pub(crate) fill_timeout: Duration,
    pub(crate) namespace: Box<[u8]>,
    pub(crate) cache_status: CacheStatus,
}

impl Settings {
    pub(crate) fn max_body_bytes(&self) -> u64 {
        self.max_entry_bytes.min(self.max_bytes)
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            max_body_bytes: self.max_body_bytes(),
            default_ttl: self.default_ttl,
            heuristic: self.heuristic,
            set_cookie: self.set_cookie,
        }
    }
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) store: MemoryStore,
    pub(crate) invalidations: Invalidations,
    pub(crate) marks: Marks,
    pub(crate) fills: Arc<Fills>,
    pub(crate) counters: Counters,
    secret: Secret,
    start: Instant,
    /// Milliseconds after `start` from which on the dead are swept out again.
    next_sweep: AtomicU64,
}

/// An unsafe request on its way.
pub(crate) struct Write {
    pub(crate) key: Key,
    /// Its target as an absolute URI, if it makes one.
    pub(crate) target: Option<Uri>,
}

impl Write {
    pub(crate) fn new(key: Key, uri: &Uri, host: Option<&HeaderValue>) -> Self {
        let mut parts = uri.clone().into_parts();
        parts.scheme.get_or_insert(Scheme::HTTP);
        if parts.authority.is_none() {
            parts.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        }
        Self {
            key,
            target: Uri::from_parts(parts).ok(),
        }
    }
}

/// How often the dead are swept out, while there are misses.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        let start = Instant::now();
        Self {
            store: MemoryStore::new(settings.max_bytes, settings.eviction),
            invalidations: Invalidations::new(settings.max_bytes),
            marks: Marks::new(start),
            fills: Arc::new(Fills::new()),
            counters: Counters::default(),
            secret: Secret::draw(),
            start,
            next_sweep: AtomicU64::new(SWEEP_EVERY.as_millis() as u64),
            settings,
        }
    }

    pub(crate) fn key(
        &self,
        uri: &Uri,
        facts: &Facts<'_>,
        headers: &HeaderMap,
    ) -> Result<Key, Unkeyable> {
        Key::of_request(self.secret, &self.settings.namespace, uri, facts, headers)
    }

    pub(crate) fn uri_key(&self, uri: &Uri) -> Result<Key, Unkeyable> {
        Key::of_uri(self.secret, &self.settings.namespace, uri)
    }

    /// Puts an answer into the store, unless its target was invalidated since its fill began.
    pub(crate) fn put(&self, key: &Key, stored: Stored) {
        if !self.invalidations.valid(key, stored.head.number) {
            return;
        }
        if self
            .store
            .put(key, stored, |number| self.invalidations.valid(key, number))
        {
            self.counters.stored.count();
        } else {
            self.counters.refused_room.count();
        }
    }

    pub(crate) fn invalidate(&self, key: &Key) {
        self.invalidations.target(key);
        // Invalid already; this only gives the memory back.
        self.store.remove(key);
    }

    /// What a write that succeeded makes doubtful.
    pub(crate) fn written(&self, write: &Write, response: &HeaderMap) {
        self.invalidate(&write.key);
        let Some(target) = &write.target else { return };
        let scheme = target.scheme().unwrap_or(&Scheme::HTTP);
        let same_host = |one: &Authority, other: &Authority| key::same_host(scheme, one, other);
        for uri in also_invalidated(target, response, same_host) {
            if let Ok(key) = self.uri_key(&uri) {
                self.invalidate(&key);
            }
        }
    }

    pub(crate) fn clear(&self) {
        self.invalidations.everything();
        self.store.clear();
    }

    /// Frees what no request can have any more, then what the policy values least.
    pub(crate) fn reclaim(&self, bytes: u64) -> u64 {
        let ledger = self.store.ledger();
        let before = ledger.bytes();
        // Counted by weight, not by the ledger: what readers still hold must not cost others their
        // place.
        let now = Instant::now();
        let stands = |number| self.invalidations.valid_for_any(number);
        let mut gone = self
            .store
            .sweep(bytes, |resource| resource.is_stale(now, stands));
        if gone < bytes {
            gone += self.store.squeeze(bytes - gone);
        }
        self.store.wait_for_garbage(before.saturating_sub(gone));
        before.saturating_sub(ledger.bytes())
    }

    fn sweep(&self) {
        let now = Instant::now();
        let stands = |number| self.invalidations.valid_for_any(number);
        self.store
            .sweep(u64::MAX, |resource| resource.is_dead(now, stands));
    }

    /// Called on misses: sweeps the dead out now and then, off the async workers.
    pub(crate) fn sweep_if_due(self: &Arc<Self>, now: Instant) {
        let elapsed = now.saturating_duration_since(self.start).as_millis() as u64;
        let due = self.next_sweep.load(Ordering::Relaxed);
        let next = elapsed + SWEEP_EVERY.as_millis() as u64;
        if elapsed >= due
            && self
                .next_sweep
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            let shared = Arc::downgrade(self);
            tokio::task::spawn_blocking(move || {
                if let Some(shared) = shared.upgrade() {
                    shared.sweep();
                }
            });
        }
    }

    /// Uniform in `0.0..1.0`, from what no client can predict; another one for each fill of a key.
    pub(crate) fn draw(&self, key: &Key) -> f64 {
        let salt = self
            .counters
            .stored
            .get()
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (key.digest() as u64 ^ salt).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn stats(&self) -> CacheStats {
        self.store.settle();
        let Counters {
            hits,
            collapsed,
            misses,
            bypassed,
            writes,
            unsatisfied,
            stored,
            refused_room,
        } = &self.counters;
        CacheStats {
            hits: hits.get(),
            collapsed: collapsed.get(),
            misses: misses.get(),
            bypassed: bypassed.get(),
            writes: writes.get(),
            unsatisfied: unsatisfied.get(),
            stored: stored.get(),
            refused_room: refused_room.get(),
            filling: self.fills.in_flight(),
            entries: self.store.entries(),
            bytes: self.store.ledger().bytes(),
            max_bytes: self.settings.max_bytes,
        }
    }
}
