//! The limiter without HTTP: [`RateLimiter`] and its [`Decision`].

use crate::clock::Clock;
use crate::gcra::{Gcra, Verdict};
use crate::hash::Seeds;
use crate::quota::Quota;
use crate::table::Table;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Slots of a table nobody sized: 1 MiB.
const MAX_CLIENTS: usize = 65_536;

/// A quota for each client, in memory that is fixed when it is built.
///
/// This is the core of [`RateLimitLayer`](crate::RateLimitLayer), for what is not an HTTP request:
/// WebSocket messages, logins, jobs. A check takes no lock and allocates nothing.
///
/// Up to [`max_clients`](Self::max_clients) clients are told apart, 16 bytes each. When more than
/// that are in debt at once, the one nearest to a full bucket is forgotten and starts fresh; a
/// client whose bucket is full is forgotten without loss.
///
/// # Examples
///
/// ```
/// use ratelimit_layer::{Quota, RateLimiter};
///
/// let limiter = RateLimiter::new(Quota::per_minute(2));
/// assert!(limiter.check("alice").is_allowed());
/// assert!(limiter.check("alice").is_allowed());
///
/// let third = limiter.check("alice");
/// assert!(!third.is_allowed());
/// assert!(third.wait() <= std::time::Duration::from_secs(30));
/// assert!(limiter.check("bob").is_allowed());
/// ```
#[derive(Debug)]
pub struct RateLimiter {
    quota: Quota,
    gcra: Gcra,
    table: Table,
    seeds: Seeds,
    clock: Clock,
    evicted_in_debt: AtomicU64,
}

impl RateLimiter {
    /// A limiter that gives each client `quota`, with room for 65,536 clients (1 MiB).
    ///
    /// Time is the processor's counter. A limiter that is built while tokio's clock is paused
    /// follows that clock, so that tests can move it; pause the clock first.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            gcra: quota.gcra(),
            table: Table::new(MAX_CLIENTS),
            seeds: Seeds::new(),
            clock: Clock::new(),
            evicted_in_debt: AtomicU64::new(0),
        }
    }

    /// Tells at least `clients` clients apart, 1 to 2³²; the default is 65,536.
    ///
    /// The number is rounded up to 8 times a power of two, at 16 bytes each; the memory is taken
    /// now and never grows. What was counted before is dropped.
    ///
    /// # Panics
    ///
    /// When `clients` is outside that range.
    #[must_use]
    #[track_caller]
    pub fn max_clients(self, clients: usize) -> Self {
        assert!(
            clients > 0 && clients as u64 <= 1 << 32,
            "a table for {clients} clients cannot be used: allowed are 1 to 4294967296"
        );
        Self {
            table: Table::new(clients),
            evicted_in_debt: AtomicU64::new(0),
            ..self
        }
    }

    /// Takes one unit of the quota of the client with this key, if there is one.
    #[inline]
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Decision {
        self.check_hash(self.seeds.client(key))
    }

    /// The quota each client has.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// How many clients are told apart: [`max_clients`](Self::max_clients), rounded up.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.table.slots()
    }

    /// How many clients were forgotten while they were in debt, since the limiter was built. A
    /// number that grows asks for a larger table.
    #[must_use]
    pub fn evicted_in_debt(&self) -> u64 {
        self.evicted_in_debt.load(Relaxed)
    }

    pub(crate) fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    /// How long a whole burst takes to come back.
    pub(crate) fn refill(&self) -> Duration {
        Duration::from_nanos(self.gcra.depth())
    }

    #[inline]
    pub(crate) fn check_hash(&self, hash: u64) -> Decision {
        let checked = self.table.check(hash, self.clock.now(), 1, self.gcra);
        if checked.evicted_in_debt {
            self.evicted_in_debt.fetch_add(1, Relaxed);
        }
        Decision {
            verdict: checked.verdict,
            interval: self.gcra.interval(),
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    verdict: Verdict,
    interval: u64,
}

impl Decision {
    /// Whether the unit was given.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.verdict.tat.is_some()
    }

    /// How long until the next unit is there, if this one was refused; zero otherwise.
    #[must_use]
    pub fn wait(&self) -> Duration {
        Duration::from_nanos(self.verdict.wait)
    }

    /// How many units the client could still use at once.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        u32::try_from(self.verdict.room / self.interval).unwrap_or(u32::MAX)
    }

    /// How long until the whole burst is there again, if nothing more is used.
    #[must_use]
    pub fn full_in(&self) -> Duration {
        Duration::from_nanos(self.verdict.full_in)
    }
}
