//! The limiter without HTTP: [`RateLimiter`] and its [`Decision`].

mod bans;
mod clients;
mod decision;
mod judge;
mod logs;
mod meter;
mod settings;
mod signal;
mod terms;
#[cfg(test)]
mod terms_loom;

/// What [`terms`] is built on; the model swaps this module for loom's.
mod sync {
    pub(super) use std::hint::spin_loop;
    pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};
}

pub use decision::{Client, Decision};
pub(crate) use judge::{Demand, MAX_POLICIES, Ruled, Rulings};
pub(crate) use meter::{Meter, REFUSED, Ruling, WOULD_REFUSE};
pub(crate) use settings::Settings;

use crate::clock::Clock;
use crate::error::ConfigError;
use crate::hash::Seeds;
use crate::policy::Policy;
use crate::quota::Quota;
use bans::Bans;
use signal::Sampled;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A quota for each client, in memory that is fixed when it is built.
///
/// This is the core of [`RateLimitLayer`](crate::RateLimitLayer), for what is not an HTTP request:
/// WebSocket messages, logins, jobs. A check takes no lock (a
/// [sliding window log](crate::Algorithm::SlidingWindowLog) takes one) and allocates nothing.
///
/// Up to [`max_clients`](Self::max_clients) clients are told apart, 16 bytes each and policy. When
/// more than that are in debt at once, the one nearest to a full bucket is forgotten and starts
/// fresh; a client whose bucket is full is forgotten without loss. Bans take 128 KiB more.
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
    settings: Settings,
    pub(crate) meters: Box<[Meter]>,
    pub(crate) signal: Sampled,
    bans: Bans,
    seeds: Seeds,
    clock: Clock,
}

impl RateLimiter {
    /// A limiter that gives each client `quota`, with room for 65,536 clients (1 MiB).
    ///
    /// Time is the processor's counter. A limiter that is built while tokio's clock is paused
    /// follows that clock, so that tests can move it; pause the clock first.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self::of(Settings::new(quota))
    }

    /// A limiter of one [`Policy`], which may count in another way.
    ///
    /// # Panics
    ///
    /// When the policy looks at requests (`only`, `cost`, `quota_by`, `settle`, `count_bytes`): that
    /// takes a [`RateLimitLayer`](crate::RateLimitLayer).
    #[must_use]
    #[track_caller]
    pub fn of_policy(policy: Policy) -> Self {
        needs_no_requests(&policy);
        let mut settings = Settings::new(policy.quota);
        settings.first(policy);
        Self::of(settings)
    }

    pub(crate) fn of(settings: Settings) -> Self {
        let clients = settings.clients;
        let meters = settings.policies.iter().cloned();
        Self {
            meters: meters.map(|policy| Meter::new(policy, clients)).collect(),
            signal: Sampled::new(settings.signal.clone()),
            bans: Bans::new(settings.ban_after, clients),
            seeds: Seeds::new(),
            clock: Clock::new(),
            settings,
        }
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.settings;
        change(&mut settings);
        Self::of(settings)
    }

    /// What this limiter was built from, for another one.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Holds clients to another policy too, of up to 8 in all: units are taken of all or of none.
    /// What was counted before is dropped.
    ///
    /// # Panics
    ///
    /// When there are 8 already or one of that name, or when the policy looks at requests, as in
    /// [`of_policy`](Self::of_policy).
    #[must_use]
    #[track_caller]
    pub fn policy(self, policy: Policy) -> Self {
        needs_no_requests(&policy);
        self.with(|settings| settings.push(policy))
    }

    /// Tells at least `clients` clients apart, 1 to 2³²; the default is 65,536.
    ///
    /// The number is rounded up to 8 times a power of two, at 16 bytes each and policy; the memory
    /// is taken now and never grows. What was counted before is dropped.
    ///
    /// # Panics
    ///
    /// When `clients` is outside that range.
    #[must_use]
    #[track_caller]
    pub fn max_clients(self, clients: usize) -> Self {
        self.with(|settings| settings.max_clients(clients))
    }

    /// Bans a client for `duration` once it has been refused `refusals` times within `within`, even
    /// if it slows down; the default is never. Refusals are counted as a token bucket counts, from 1;
    /// both times are 1 ms to 365 days. What was counted before is dropped.
    ///
    /// # Panics
    ///
    /// When a number is outside its range.
    #[must_use]
    #[track_caller]
    pub fn ban_after(self, refusals: u32, within: Duration, duration: Duration) -> Self {
        self.with(|settings| settings.ban_after(refusals, within, duration))
    }

    /// Scales all quotas by what the closure says, such as 0.5 under load, kept within `bounds`; it
    /// is asked at most every 100 ms. Burst and rate shrink alike. The default is 1, always. What was
    /// counted before is dropped.
    ///
    /// # Panics
    ///
    /// When the bounds are not within 0.001 and 1000, the smaller one first.
    #[must_use]
    #[track_caller]
    pub fn scale_with(
        self,
        share: impl Fn() -> f64 + Send + Sync + 'static,
        bounds: RangeInclusive<f64>,
    ) -> Self {
        self.with(|settings| settings.scale_with(share, bounds))
    }

    /// Takes one unit of the quota of the client with this key, if there is one.
    // Always, as most of what it comes to is not looked at: called, it would write it all down.
    #[inline(always)]
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Decision {
        self.check_n(key, 1)
    }

    /// Takes `cost` units, if there are as many. None are always there; more than a burst never are.
    // Always: see `check`.
    #[inline(always)]
    pub fn check_n<K: Hash + ?Sized>(&self, key: &K, cost: u32) -> Decision {
        let client = self.seeds.client(key);
        if let Some((now, ruling)) = self.take_known(client, cost) {
            if ruling.verdict.allowed {
                return Decision::of(client, 0, ruling, false);
            }
            return self.refused(&self.meters[0], client, now, ruling);
        }
        self.check_all(client, cost)
    }

    /// What most checks are: of one policy that counts in buckets, for a client that has one, which is
    /// looked for ahead of the clock (see [`Table::place`](crate::table::Table::place)). `None`: it is
    /// something else, and nothing was taken.
    #[inline(always)]
    pub(crate) fn take_known(&self, client: u64, cost: u32) -> Option<(u64, Ruling)> {
        let [meter] = &*self.meters else { return None };
        let bucket = meter.bucket(client)?;
        let now = self.now();
        let share = self.signal.share(now);
        if self.bans.left(client, now) > 0 {
            return None;
        }
        let ruling = meter.take_known(bucket, now, cost, share)?;
        Some((now, ruling))
    }

    #[cold]
    #[inline(never)]
    fn refused(&self, meter: &Meter, client: u64, now: u64, ruling: Ruling) -> Decision {
        let dry = meter.policy.dry_run;
        let counter = if dry { WOULD_REFUSE } else { REFUSED };
        meter.counters.add(counter, client);
        if !dry {
            self.bans.strike(client, now);
        }
        Decision::of(client, 0, ruling, dry)
    }

    #[inline(never)]
    fn check_all(&self, client: u64, cost: u32) -> Decision {
        let now = self.now();
        if let Some(banned) = self.banned(client, now) {
            return banned;
        }
        let mut rulings = Rulings::new();
        let demand = |_| Demand {
            cost,
            tier: None,
            client,
        };
        let judged = self.judge(now, 0, demand, &mut rulings);
        self.count(client, &rulings);
        let decision = self.sum_up(client, &rulings);
        match judged {
            Ok(_) => decision,
            Err(wait) => {
                self.bans.strike(client, now);
                decision.refused_for(wait)
            }
        }
    }

    /// Sets another quota for the policy with this name. What clients owe stays owed, unit for unit,
    /// up to the new burst.
    ///
    /// # Errors
    ///
    /// When there is no such policy, or its algorithm cannot count the quota; a sliding window log
    /// has room for the units it was built for.
    pub fn set_quota(&self, policy: &str, quota: Quota) -> Result<(), ConfigError> {
        let meter = self.meter(policy)?;
        meter.takes(quota)?;
        meter.set_quota(quota, self.now());
        Ok(())
    }

    pub(crate) fn meter(&self, policy: &str) -> Result<&Meter, ConfigError> {
        let found = self
            .meters
            .iter()
            .find(|meter| meter.policy.name.as_str() == policy);
        found.ok_or_else(|| {
            let names: Vec<_> = self
                .meters
                .iter()
                .map(|meter| meter.policy.name.as_str())
                .collect();
            ConfigError::new(format!(
                "there is no policy {policy:?}: there are {names:?}"
            ))
        })
    }

    /// The quota that each client has of the first policy.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.meters[0].quota()
    }

    /// How many clients are told apart: [`max_clients`](Self::max_clients), rounded up.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.meters[0].slots()
    }

    /// How many clients have used something that has not come back, of the policy that has most.
    /// Walks through the tables: for metrics, not for requests.
    #[must_use]
    pub fn tracked_clients(&self) -> usize {
        let now = self.now();
        let tracked = self.meters.iter().map(|meter| meter.tracked(now));
        tracked.max().unwrap_or(0)
    }

    /// How many clients are banned. Walks through a table: for metrics, not for requests.
    #[must_use]
    pub fn banned_clients(&self) -> usize {
        self.bans.count(self.now())
    }

    /// How many clients were forgotten while they were in debt, of all policies, since the limiter
    /// was built. A number that grows asks for a larger table.
    #[must_use]
    pub fn evicted_in_debt(&self) -> u64 {
        self.meters.iter().map(Meter::evicted_in_debt).sum()
    }

    pub(crate) fn banned(&self, client: u64, now: u64) -> Option<Decision> {
        match self.bans.left(client, now) {
            0 => None,
            left => Some(Decision::banned(client, left)),
        }
    }

    pub(crate) fn strike(&self, client: u64, now: u64) {
        self.bans.strike(client, now);
    }

    pub(crate) fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// How long the first policy takes to give all back.
    pub(crate) fn refill(&self, policy: usize) -> Duration {
        Duration::from_nanos(self.meters[policy].refill())
    }
}

#[track_caller]
fn needs_no_requests(policy: &Policy) {
    assert!(
        policy.requests.is_empty(),
        "policy {:?} looks at requests: allowed is that in a RateLimitLayer only",
        policy.name.as_str()
    );
}
