//! What layers of several namespaces share: the memory, and all that is in it.

use crate::fill::Fills;
use crate::key::{Key, Secret};
use crate::search::Searches;
use crate::settings::Settings;
use crate::store::{Invalidations, Marks, MemoryStore, Place, Purge, Resource, given_back};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// One memory, and what guards it.
pub(crate) struct Pool {
    pub(crate) store: MemoryStore,
    pub(crate) invalidations: Invalidations,
    pub(crate) marks: Marks,
    pub(crate) fills: Arc<Fills>,
    pub(crate) searches: Searches,
    pub(crate) secret: Secret,
    start: Instant,
    /// Seconds after `start` from which on the dead are swept out again.
    next_sweep: AtomicU64,
    /// The last invalidation whose victims have been removed.
    searched: AtomicU64,
    /// How often a lifetime was drawn.
    drawn: AtomicU64,
}

/// How often the dead are swept out, while there are requests.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Pool {
    pub(crate) fn new(settings: &Settings) -> Self {
        let start = Instant::now();
        Self {
            store: MemoryStore::new(
                settings.max_bytes,
                settings.eviction,
                settings.max_variants,
                settings.time_to_idle,
            ),
            invalidations: Invalidations::new(settings.max_bytes),
            marks: Marks::new(start),
            fills: Arc::new(Fills::new()),
            searches: Searches::new(),
            secret: Secret::draw(),
            start,
            next_sweep: AtomicU64::new(SWEEP_EVERY.as_secs()),
            searched: AtomicU64::new(0),
            drawn: AtomicU64::new(0),
        }
    }

    /// Frees what has expired or was invalidated, then what the policy values least.
    pub(crate) fn reclaim(&self, bytes: u64) -> u64 {
        let store = &self.store;
        // Counted by weight: what readers still hold must not cost others their place.
        given_back(|| {
            let mut gone = store.drop_expired(bytes);
            if gone < bytes && self.purged_since_search() {
                gone += store.remove_those(|resource| self.is_invalid(resource));
            }
            if gone < bytes {
                store.part_with(bytes - gone);
            }
        })
    }

    fn sweep(&self) {
        self.store.sweep();
        if self.purged_since_search() {
            self.store
                .remove_those(|resource| self.is_invalid(resource));
        }
    }

    /// Whether something was invalidated since all entries were looked at for it.
    fn purged_since_search(&self) -> bool {
        let number = self.invalidations.now();
        self.searched.swap(number, Ordering::Relaxed) != number
    }

    fn is_invalid(&self, resource: &Resource) -> bool {
        !resource.any(|head| self.invalidations.stands(head.claim()))
    }

    pub(crate) fn invalidate(&self, key: &Key, purge: Purge) {
        let target = Place::of(key.uri_digest());
        self.invalidations.target(target, purge);
        if purge == Purge::Hard {
            // Invalid already; this only gives the memory back.
            self.store.remove(key);
        }
    }

    /// Called on requests: sweeps the dead out now and then, off the async workers.
    pub(crate) fn sweep_if_due(self: &Arc<Self>, now: Instant) {
        let elapsed = now.saturating_duration_since(self.start).as_secs();
        let due = self.next_sweep.load(Ordering::Relaxed);
        if elapsed >= due {
            self.sweep_by_and_by(elapsed, due);
        }
    }

    #[cold]
    fn sweep_by_and_by(self: &Arc<Self>, elapsed: u64, due: u64) {
        let next = elapsed + SWEEP_EVERY.as_secs();
        let (ours, others) = (Ordering::Relaxed, Ordering::Relaxed);
        let first = self.next_sweep.compare_exchange(due, next, ours, others);
        // A hit needs no runtime; where there is none, a later request will do.
        if let (Ok(_), Ok(runtime)) = (first, Handle::try_current()) {
            let pool = Arc::downgrade(self);
            runtime.spawn_blocking(move || {
                if let Some(pool) = pool.upgrade() {
                    pool.sweep();
                }
            });
        }
    }

    /// Uniform in `0.0..1.0`, from what no client can predict; another one for each fill of a key.
    pub(crate) fn draw(&self, key: &Key) -> f64 {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let salt = drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (key.digest() as u64 ^ salt).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}
