//! Settings: what an answer is stored under.

use super::CacheLayer;

impl CacheLayer {
    /// Text that is part of every key; empty by default.
    pub fn namespace(mut self, namespace: impl AsRef<[u8]>) -> Self {
        self.setting().namespace = namespace.as_ref().into();
        self
    }

    /// Whether `No-Vary-Search` in answers is heeded: which parameters of a query matter
    /// (draft-ietf-httpbis-no-vary-search-10); off by default.
    pub fn no_vary_search(mut self, on: bool) -> Self {
        self.setting().no_vary_search = on;
        self
    }
}
