use crate::shared::Shared;
use crate::stats::CacheStats;
use http::Uri;
use std::fmt;
use std::sync::Arc;

/// The way into a cache from outside the request path; clones share the cache.
#[derive(Clone)]
pub struct CacheHandle {
    shared: Arc<Shared>,
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
        let key = self.shared.uri_key(uri);
        if let Ok(key) = &key {
            self.shared.invalidate(key);
        }
        key.is_ok()
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
        self.shared.reclaim(bytes)
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
