//! What a cache has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the layer was made, and what it holds now.
///
/// Every request is counted once: in `hits`, `collapsed`, `misses`, `bypassed`, `writes` or
/// `unsatisfied`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Requests answered from the store.
    pub hits: u64,
    /// Requests answered by another request's trip to the service.
    pub collapsed: u64,
    /// Requests that asked the service because nothing stored could answer them.
    pub misses: u64,
    /// Requests that the cache did not look at, or turned away; the sum of [`bypasses`](Self::bypasses).
    pub bypassed: u64,
    /// Why it did not.
    pub bypasses: Bypasses,
    /// Requests of other methods.
    pub writes: u64,
    /// `only-if-cached` requests answered 504.
    pub unsatisfied: u64,
    /// Answers from the store that were stale by somebody's leave: while they were fetched anew, or in
    /// place of an error.
    pub stale: u64,
    /// Stored answers that the service confirmed with a 304.
    pub validated: u64,
    /// Stored answers that were fetched anew in the background.
    pub refreshed: u64,
    /// Answers put into the store.
    pub stored: u64,
    /// Answers that were not stored because others are asked for more often.
    pub not_admitted: u64,
    /// Answers that might have been stored, but for which there was no room.
    pub refused_room: u64,
    /// Answers that might have been stored, but were kept out by
    /// [`admit_while`](crate::CacheLayer::admit_while).
    pub kept_out: u64,
    /// Requests to the service in flight on behalf of the store.
    pub filling: u64,
    /// Entries, one for each URI and set of override fields.
    pub entries: u64,
    /// Entries that have left; of all layers that share the memory, as the following.
    pub evictions: Evictions,
    /// Bytes held by entries and by fills in flight: bodies, fields, keys and bookkeeping; and by bodies
    /// that clients still read after their entries have left.
    pub bytes: u64,
    /// What the entries' bytes are bounded by; all of `bytes` together, by a quarter more.
    pub max_bytes: u64,
}

impl CacheStats {
    /// The share of requests that were answered without a trip of their own to the service, among those
    /// that the cache looked for: from 0.0 to 1.0, and 0.0 before the first.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let answered = self.hits + self.collapsed;
        let all = answered + self.misses + self.unsatisfied;
        answered as f64 / all.max(1) as f64
    }
}

/// Requests that the cache had no part in, by the first reason that there was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bypasses {
    /// No host, two of them, an invalid one, or one that contradicts the target's.
    pub host: u64,
    /// A target over 8 KiB, a host over 255 octets, or a content that is too long for a key.
    pub overlong: u64,
    /// [`key_by`](crate::CacheLayer::key_by) says that it is nobody's.
    pub owner: u64,
    /// Fields that override its target, where they are refused.
    pub overrides: u64,
    /// A field that asks for another method.
    pub method_override: u64,
    /// GET or HEAD with content.
    pub content: u64,
    /// An upgrade, or a condition that only the origin may judge.
    pub conditions: u64,
    /// Credentials or a cookie, where those pass by.
    pub credentials: u64,
}

/// As in [`Bypasses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bypass {
    Host,
    Overlong,
    Owner,
    Overrides,
    MethodOverride,
    Content,
    Conditions,
    Credentials,
}

/// Bypassed requests so far.
#[derive(Debug, Default)]
pub(crate) struct Bypassed([Counter; 8]);

impl Bypassed {
    pub(crate) fn count(&self, why: Bypass) {
        self.0[why as usize].count();
    }

    pub(crate) fn so_far(&self) -> Bypasses {
        let of = |why: Bypass| self.0[why as usize].get();
        Bypasses {
            host: of(Bypass::Host),
            overlong: of(Bypass::Overlong),
            owner: of(Bypass::Owner),
            overrides: of(Bypass::Overrides),
            method_override: of(Bypass::MethodOverride),
            content: of(Bypass::Content),
            conditions: of(Bypass::Conditions),
            credentials: of(Bypass::Credentials),
        }
    }

    pub(crate) fn all(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }
}

/// Entries that have left, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evictions {
    /// They had expired, or nobody asked for them.
    pub expired: u64,
    /// Others needed their room.
    pub room: u64,
    /// Their memory was asked for by [`reclaim`](crate::CacheHandle::reclaim).
    pub reclaimed: u64,
    /// They were purged, or something was written to their target.
    pub invalidated: u64,
}

/// One of the keys that are asked for most.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopKey {
    /// The same for one key as long as the cache lives; it says nothing of the key to anybody else.
    pub id: u128,
    /// Hits or bytes, as asked for.
    pub count: u64,
    /// By so much the count may be too high.
    pub over: u64,
    /// The key, if it was asked for and there is still an entry.
    pub key: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    pub(crate) collapsed: Counter,
    pub(crate) misses: Counter,
    pub(crate) bypassed: Bypassed,
    pub(crate) writes: Counter,
    pub(crate) unsatisfied: Counter,
    pub(crate) stale: Counter,
    pub(crate) validated: Counter,
    pub(crate) refreshed: Counter,
    pub(crate) stored: Counter,
    pub(crate) not_admitted: Counter,
    pub(crate) refused_room: Counter,
    pub(crate) kept_out: Counter,
}

/// On a cache line of its own: hits on one core do not slow misses on another.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
