use crate::shared::Shared;
use crate::stats::{CacheStats, TopKey};
use crate::store::{Purge, TopBy};
use http::Uri;
use std::fmt;
use std::sync::Arc;

/// The way into a cache from outside the request path; clones share the cache.
#[derive(Clone)]
pub struct CacheHandle {
    pub(crate) shared: Arc<Shared>,
}

impl CacheHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Invalidates all that is stored under an absolute URI, in all variants; false if the URI names
    /// no host or is too long, so that nothing can be stored under it.
    ///
    /// It takes effect at once: no later request sees what was stored before, nor what a fill brings
    /// that began before. Requests in origin form are stored under the scheme `http`.
    pub fn purge(&self, uri: &Uri) -> bool {
        self.shared.purge(uri, Purge::Hard)
    }

    /// As [`purge`](Self::purge), but what is stored becomes stale instead: it is asked about before
    /// its next use, or served meanwhile where it allows
    /// [`stale_while_revalidate`](crate::CacheLayer::stale_while_revalidate).
    pub fn purge_softly(&self, uri: &Uri) -> bool {
        self.shared.purge(uri, Purge::Soft)
    }

    /// Invalidates all that has this [`tag`](crate::CachePolicy::tag), of all layers that share the
    /// memory, at once.
    ///
    /// Purges are remembered in fixed memory: after a hundred of other tags, or thousands in a large
    /// cache, one may take an answer along that is older than they are, which costs a miss.
    pub fn purge_tag(&self, tag: &str) {
        self.shared.purge_tag(tag, Purge::Hard);
    }

    /// As [`purge_tag`](Self::purge_tag), but what is stored becomes stale instead.
    pub fn purge_tag_softly(&self, tag: &str) {
        self.shared.purge_tag(tag, Purge::Soft);
    }

    /// Invalidates everything, at once, and gives the memory back.
    pub fn clear(&self) {
        self.shared.clear();
    }

    /// Frees about so many bytes, expired entries first, then the ones that the eviction policy
    /// values least; returns the bytes really freed.
    ///
    /// It works until it is done, some milliseconds for 40 MiB: call it off the async workers,
    /// as `tokio::task::spawn_blocking` does. Bytes that a client is still reading are freed when it
    /// has read them, and do not count.
    #[expect(clippy::must_use_candidate, reason = "called for what it does")]
    pub fn reclaim(&self, bytes: u64) -> u64 {
        self.shared.pool.reclaim(bytes)
    }

    /// The keys that are answered from the store most, the first one first: `most` at most, of 256 that
    /// are kept apart in fixed memory; of all layers that share it.
    ///
    /// The text of keys, which may hold what is private to a client, stays out of it: see
    /// [`top_keys_by_name`](Self::top_keys_by_name).
    ///
    /// ```
    /// use cache_layer::{CacheLayer, TopBy};
    ///
    /// let handle = CacheLayer::new(64 << 20).handle();
    /// for key in handle.top_keys(TopBy::Hits, 10) {
    ///     println!("{:x}: {} hits", key.id, key.count);
    /// }
    /// ```
    #[must_use]
    pub fn top_keys(&self, by: TopBy, most: usize) -> Vec<TopKey> {
        self.shared.top_keys(by, most, false)
    }

    /// As [`top_keys`](Self::top_keys), with the URIs of those that still have an entry.
    #[must_use]
    pub fn top_keys_by_name(&self, by: TopBy, most: usize) -> Vec<TopKey> {
        self.shared.top_keys(by, most, true)
    }

    /// What the cache has done and holds.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.shared.stats()
    }
}

impl fmt::Debug for CacheHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheHandle").finish_non_exhaustive()
    }
}
