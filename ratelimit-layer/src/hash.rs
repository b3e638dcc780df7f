//! Clients as 64-bit hashes under secret seeds.

use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

/// Seeds of one limiter, drawn from the operating system's randomness: who does not know them
/// cannot aim one client's hash at another's.
#[derive(Clone)]
pub(crate) struct Seeds {
    keys: SeedableRandomState,
    unkeyed: u64,
}

impl Seeds {
    pub(crate) fn new() -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        let random = || RandomState::new().hash_one(0);
        let shared = SHARED.get_or_init(|| SharedSeed::from_u64(random()));
        Self {
            keys: SeedableRandomState::with_seed(random(), shared),
            unkeyed: random(),
        }
    }

    #[inline]
    pub(crate) fn client<K: Hash + ?Sized>(&self, key: &K) -> u64 {
        self.keys.hash_one(key)
    }

    /// The one bucket of all clients without a key: a hash that no key was asked for.
    pub(crate) fn unkeyed(&self) -> u64 {
        self.unkeyed
    }
}

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Seeds are secret.
        f.debug_struct("Seeds").finish_non_exhaustive()
    }
}
