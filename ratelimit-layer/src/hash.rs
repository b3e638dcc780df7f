//! Clients as 64-bit hashes under secret seeds.

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

/// Seeds of one limiter, drawn from the operating system's randomness: who does not know them
/// cannot aim one client's hash at another's.
#[derive(Clone)]
pub(crate) struct Seeds(SeedableRandomState);

impl Seeds {
    pub(crate) fn new() -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        let random = || RandomState::new().hash_one(0);
        let shared = SHARED.get_or_init(|| SharedSeed::from_u64(random()));
        Self(SeedableRandomState::with_seed(random(), shared))
    }

    #[inline]
    pub(crate) fn client<K: Hash + ?Sized>(&self, key: &K) -> u64 {
        self.0.hash_one((true, key))
    }

    /// The one bucket of all clients without a key.
    pub(crate) fn unkeyed(&self) -> u64 {
        self.0.hash_one(false)
    }
}

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Seeds are secret.
        f.debug_struct("Seeds").finish_non_exhaustive()
    }
}
