//! The store in memory: moka, bounded by the bytes that its entries really hold.
//!
//! moka knows nothing of freshness: its own expiry costs more than ours and is coarser. It chooses
//! the victims, we keep the books. Its bound is an eventual one, so [`MemoryStore::put`] checks the
//! ledger itself before an entry goes in.
//!
//! moka drops what leaves it by way of epochs: up to 64 values wait on each thread for its next
//! writes. Those are whole answers here, so every change of ours ends in [`drop_garbage`].

use super::head::Head;
use super::ledger::Ledger;
use super::resource::{Resource, Variants};
use super::stored::Stored;
use crate::key::{Key, Lookup};
use moka::policy::EvictionPolicy;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whom a full cache parts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Eviction {
    /// Whom it asks for least often (TinyLFU, Einziger, Friedman and Manes 2017): a newcomer stays
    /// only if it has been asked for more often than those it would replace.
    #[default]
    TinyLfu,
    /// Whom it has not been asked for longest.
    Lru,
}

/// More variants than this under one key and the oldest leaves.
const MAX_VARIANTS: usize = 32;
/// Reserved for the ballast of [`MemoryStore::reclaim`]; a request's key matches no ballast.
const BALLAST: u128 = u128::MAX;
/// How much one step of `reclaim` asks of the policy.
const SLICE: u64 = 1024 * 1024;

pub(crate) struct MemoryStore {
    cache: moka::sync::Cache<u128, Arc<Resource>, Identity>,
    ledger: Arc<Ledger>,
    max_bytes: u64,
    /// Bytes behind one unit of moka's 32-bit weights.
    unit: u64,
    /// Writers of one key take turns: a resource is read, extended and put back.
    writers: [Mutex<()>; 64],
    reclaiming: Mutex<()>,
}

impl MemoryStore {
    pub(crate) fn new(max_bytes: u64, eviction: Eviction) -> Self {
        let unit = (max_bytes >> 31) + 1;
        let cache = moka::sync::Cache::builder()
            .max_capacity(max_bytes.div_ceil(unit))
            .weigher(move |_, resource: &Arc<Resource>| weight(resource.weight(), unit))
            .eviction_policy(match eviction {
                Eviction::TinyLfu => EvictionPolicy::tiny_lfu(),
                Eviction::Lru => EvictionPolicy::lru(),
            })
            .build_with_hasher(Identity);
        Self {
            cache,
            ledger: Arc::default(),
            max_bytes,
            unit,
            writers: [const { Mutex::new(()) }; 64],
            reclaiming: Mutex::new(()),
        }
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub(crate) fn get(&self, key: &impl Lookup) -> Option<Arc<Resource>> {
        self.cache
            .get(&key.digest())
            .filter(|resource| resource.is_of(key))
    }

    /// As [`get`](Self::get), for second looks: the policy counts each `get` of a missing key as
    /// interest in it, and one request is one interest.
    pub(crate) fn get_again(&self, key: &Key) -> Option<Arc<Resource>> {
        self.cache
            .contains_key(&key.digest())
            .then(|| self.get(key))
            .flatten()
    }

    /// Adds an answer to its key, in place of the older one for the same request fields, and of the
    /// one that it `renews`; false if there is no room and none could be made.
    ///
    /// moka's `insert` sleeps while its queue is full: call this from a fill, not from a request.
    pub(crate) fn put(
        &self,
        key: &Key,
        stored: Arc<Stored>,
        renews: Option<&Arc<Stored>>,
        stands: impl Fn(&Head) -> bool,
    ) -> bool {
        let now = stored.head.received();
        let _turn = self.turn(key.digest());
        let mut variants = self.get_again(key).map_or_else(Variants::new, |old| {
            let worth = |other: &&Arc<Stored>| {
                let renewed = renews.is_some_and(|renewed| Arc::ptr_eq(renewed, other));
                !renewed && other.head.is_of_use(now) && stands(&other.head)
            };
            old.variants().iter().filter(worth).cloned().collect()
        });
        let alike = variants
            .iter()
            .position(|other| other.head.selection() == stored.head.selection());
        let stored = match alike.map(|place| variants.remove(place)) {
            Some(older) => stored.combine(&older, &self.ledger),
            None => stored,
        };
        if variants.len() >= MAX_VARIANTS {
            variants.remove(0);
        }
        let date = stored.head.date();
        let place = variants
            .iter()
            .rposition(|other| other.head.date() <= date)
            .map_or(0, |before| before + 1);
        variants.insert(place, stored);
        let resource = Arc::new(Resource::new(&self.ledger, key, variants));
        if !self.has_room() {
            return false;
        }
        self.cache.insert(key.digest(), resource);
        drop_garbage(1);
        true
    }

    /// Whether what is held, fills included, is within the bound, after evictions if need be.
    ///
    /// moka lets a burst of writers run ahead of its evictions; a quarter is all they get.
    pub(crate) fn has_room(&self) -> bool {
        let fits = || self.ledger.bytes() <= self.max_bytes.saturating_add(self.max_bytes / 4);
        fits() || {
            self.settle();
            fits()
        }
    }

    pub(crate) fn remove(&self, key: &Key) {
        self.cache.invalidate(&key.digest());
        drop_garbage(1);
    }

    pub(crate) fn clear(&self) {
        self.cache.invalidate_all();
        self.settle();
    }

    /// Entries, without the ones that moka has not counted yet.
    pub(crate) fn entries(&self) -> u64 {
        let ballast = u64::from(self.cache.contains_key(&BALLAST));
        self.cache.entry_count().saturating_sub(ballast)
    }

    /// Brings moka's books up to date: what is over its bound or removed is gone after that.
    pub(crate) fn settle(&self) {
        self.cache.run_pending_tasks();
        drop_garbage(EPOCHS);
    }

    /// Removes what is dead, up to so many bytes; returns their sum.
    pub(crate) fn sweep(&self, bytes: u64, dead: impl Fn(&Resource) -> bool) -> u64 {
        let mut removed = 0;
        for (digest, resource) in &self.cache {
            if removed >= bytes {
                break;
            }
            if *digest == BALLAST || !dead(&resource) {
                continue;
            }
            let _turn = self.turn(*digest);
            // A writer may have put another one in its place meanwhile.
            let still = self.cache.get(&*digest);
            if still.is_some_and(|still| Arc::ptr_eq(&still, &resource)) {
                removed += resource.weight();
                self.cache.invalidate(&*digest);
                drop(resource);
                drop_garbage(1);
            }
        }
        self.settle();
        removed
    }

    /// Evicts so many bytes by the policy's own order, or all there are; returns their sum.
    ///
    /// moka cannot be resized; an entry that only weighs makes it evict from its cold end.
    pub(crate) fn squeeze(&self, bytes: u64) -> u64 {
        let _one = self
            .reclaiming
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let capacity = self.max_bytes.div_ceil(self.unit);
        // Admitted while it weighs nothing; a change of weight passes no admission test.
        self.set_ballast(0);
        let wanted = bytes.div_ceil(self.unit);
        let mut evicted = 0;
        while evicted < wanted {
            let weighed = self.cache.weighted_size();
            let slice = (wanted - evicted).min(SLICE.div_ceil(self.unit));
            self.set_ballast(capacity.saturating_sub(weighed.saturating_sub(slice)));
            self.set_ballast(0);
            let gone = weighed.saturating_sub(self.cache.weighted_size());
            if gone == 0 {
                break;
            }
            evicted += gone;
        }
        self.cache.invalidate(&BALLAST);
        self.settle();
        evicted.saturating_mul(self.unit)
    }

    /// Waits, some 20 milliseconds at most, until the ledger is down to `goal`: a thread that was put
    /// to sleep in mid-read holds up the garbage of all.
    pub(crate) fn wait_for_garbage(&self, goal: u64) {
        for _ in 0..200 {
            if self.ledger.bytes() <= goal {
                break;
            }
            std::thread::sleep(Duration::from_micros(100));
            drop_garbage(EPOCHS);
        }
    }

    fn turn(&self, digest: u128) -> MutexGuard<'_, ()> {
        let turn = &self.writers[digest as usize % self.writers.len()];
        turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_ballast(&self, units: u64) {
        let ballast = Resource::ballast(units.saturating_mul(self.unit));
        self.cache.insert(BALLAST, Arc::new(ballast));
        self.cache.run_pending_tasks();
        drop_garbage(1);
    }
}

/// An epoch's garbage is dropped two epochs later; a flush begins a new one if no thread holds it up.
const EPOCHS: usize = 3;

/// Drops values that moka has parted with on this thread.
fn drop_garbage(epochs: usize) {
    for _ in 0..epochs {
        crossbeam_epoch::pin().flush();
    }
}

fn weight(bytes: u64, unit: u64) -> u32 {
    u32::try_from(bytes.div_ceil(unit)).unwrap_or(u32::MAX)
}

/// Our digests are uniform already.
#[derive(Debug, Clone, Copy, Default)]
struct Identity;

#[derive(Debug, Default)]
struct LowHalf(u64);

impl BuildHasher for Identity {
    type Hasher = LowHalf;

    fn build_hasher(&self) -> LowHalf {
        LowHalf::default()
    }
}

impl Hasher for LowHalf {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Never called for a u128, but a hasher must take anything.
        bytes
            .iter()
            .for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }
}
