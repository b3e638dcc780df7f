//! The way into the limiter from outside the request path.

use super::events::Events;
use super::offenders::{Offender, Offenders};
use super::texts::Texts;
use crate::counters::Counters;
use crate::error::ConfigError;
use crate::head::Head;
use crate::limiter::{Client, Decision, REFUSED as POLICY_REFUSED, RateLimiter, WOULD_REFUSE};
use crate::quota::Quota;
use arc_swap::ArcSwap;
use http::Request;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The limiter of a layer and what has been counted, shared by all clones of the layer.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limiter: RateLimiter,
    pub(super) counters: Counters<5>,
    /// Read where fields are told; another set takes its place when a quota changes.
    pub(super) texts: ArcSwap<Texts>,
    pub(super) offenders: Offenders,
    pub(super) events: Events,
    pub(super) waiting: AtomicUsize,
    pub(super) max_waiting: usize,
}

pub(super) const ALLOWED: usize = 0;
pub(super) const REFUSED: usize = 1;
pub(super) const EXEMPT: usize = 2;
pub(super) const UNKEYED: usize = 3;
pub(super) const BANNED: usize = 4;

impl State {
    pub(super) fn new(limiter: RateLimiter, max_waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            counters: Counters::new(),
            texts: ArcSwap::from_pointee(Texts::new(&limiter.meters)),
            offenders: Offenders::default(),
            events: Events::default(),
            waiting: AtomicUsize::new(0),
            max_waiting,
            limiter,
        })
    }
}

type ClientOf = Arc<dyn Fn(&Head<'_>) -> Option<u64> + Send + Sync>;

/// A cloneable way in from outside the request path; see [`RateLimitLayer::handle`](crate::RateLimitLayer::handle).
#[derive(Clone)]
pub struct RateLimitHandle {
    pub(super) state: Arc<State>,
    pub(super) client_of: ClientOf,
}

impl RateLimitHandle {
    /// What has been counted since the layer was built.
    #[must_use]
    pub fn stats(&self) -> RateLimitStats {
        let State {
            limiter,
            counters,
            waiting,
            ..
        } = &*self.state;
        let policies = limiter.meters.iter().map(|meter| PolicyStats {
            name: meter.policy.name.as_str().to_owned(),
            quota: meter.quota(),
            dry_run: meter.policy.dry_run,
            refused: meter.counters.sum(POLICY_REFUSED),
            would_refuse: meter.counters.sum(WOULD_REFUSE),
            evicted_in_debt: meter.evicted_in_debt(),
        });
        RateLimitStats {
            allowed: counters.sum(ALLOWED),
            refused: counters.sum(REFUSED),
            banned: counters.sum(BANNED),
            exempt: counters.sum(EXEMPT),
            unkeyed: counters.sum(UNKEYED),
            waiting: waiting.load(Relaxed) as u64,
            evicted_in_debt: limiter.evicted_in_debt(),
            max_clients: limiter.capacity() as u64,
            policies: policies.collect(),
        }
    }

    /// How many clients have used something that has not come back. Walks through the tables (a
    /// million clients are some milliseconds): for metrics, not for requests.
    #[must_use]
    pub fn tracked_clients(&self) -> usize {
        self.state.limiter.tracked_clients()
    }

    /// How many clients are banned now.
    #[must_use]
    pub fn banned_clients(&self) -> usize {
        self.state.limiter.banned_clients()
    }

    /// The clients that are refused most, worst first, up to 64. They are counted in fixed memory, so
    /// counts are upper bounds; who makes more than a 64th of all refusals is among them.
    #[must_use]
    pub fn offenders(&self, most: usize) -> Vec<Offender> {
        self.state.offenders.top(most)
    }

    /// The client that a request counts for; `None` if it has no key.
    #[must_use]
    pub fn client_of<'a>(&self, head: impl Into<Head<'a>>) -> Option<Client> {
        (self.client_of)(&head.into()).map(Client)
    }

    /// The client that a request from this peer, without any fields, counts for.
    #[must_use]
    pub fn client_at(&self, address: IpAddr) -> Option<Client> {
        let mut request = Request::new(());
        let peer = SocketAddr::new(address, 0);
        request.extensions_mut().insert(peer);
        self.client_of(&request)
    }

    /// What a request of this client would come to that costs one unit of each policy, whichever
    /// requests those hold for; nothing is taken.
    pub fn peek(&self, client: Client) -> Decision {
        self.state.limiter.peek_client(client.0)
    }

    /// Refuses the client for `duration`, whatever it has left; a longer ban stays. Up to 8,192
    /// clients can be banned at once; beyond, the ban that ends first is forgotten.
    pub fn penalise(&self, client: Client, duration: Duration) {
        self.state.limiter.penalise_client(client.0, duration);
    }

    /// Forgets the client: its buckets are full, and it is not banned. Buckets of quotas that
    /// [`quota_by`](crate::Policy::quota_by) named stay.
    pub fn reset(&self, client: Client) {
        self.state.limiter.reset_client(client.0);
    }

    /// Sets another quota for the policy with this name; the first is called `default` unless it was
    /// named. What clients owe stays owed, unit for unit, up to the new burst.
    ///
    /// # Errors
    ///
    /// When there is no such policy, or its algorithm cannot count the quota; a sliding window log
    /// has room for the units it was built for.
    pub fn set_quota(&self, policy: &str, quota: Quota) -> Result<(), ConfigError> {
        let State { limiter, texts, .. } = &*self.state;
        limiter.set_quota(policy, quota)?;
        // Whoever is last sees the quotas of all.
        texts.rcu(|_| Texts::new(&limiter.meters));
        Ok(())
    }
}

impl fmt::Debug for RateLimitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitHandle")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What a [`RateLimitLayer`](crate::RateLimitLayer) has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitStats {
    /// Requests let through within the quota.
    pub allowed: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests of banned clients, which are refused too.
    pub banned: u64,
    /// Requests that `exempt` let through, not counted as allowed.
    pub exempt: u64,
    /// Requests without a client key, whatever became of them; those that shared a bucket are
    /// counted as allowed or refused too.
    pub unkeyed: u64,
    /// Requests that wait for their units now.
    pub waiting: u64,
    /// Clients forgotten while they were in debt: a number that grows asks for more `max_clients`.
    pub evicted_in_debt: u64,
    /// How many clients can be told apart.
    pub max_clients: u64,
    /// Each policy's, in the order in which they were given.
    pub policies: Vec<PolicyStats>,
}

/// What one policy has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyStats {
    /// Its name.
    pub name: String,
    /// Its quota, as it is now.
    pub quota: Quota,
    /// Whether it only counts and marks.
    pub dry_run: bool,
    /// Requests it refused.
    pub refused: u64,
    /// Requests it would have refused if it were not dry.
    pub would_refuse: u64,
    /// Clients it forgot while they were in debt.
    pub evicted_in_debt: u64,
}
