//! The way into the limiter from outside the request path.

use crate::counters::Counters;
use crate::limiter::RateLimiter;
use std::sync::Arc;

/// The limiter of a layer and what has been counted, shared by all clones of the layer.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limiter: RateLimiter,
    pub(super) counters: Counters<4>,
}

pub(super) const ALLOWED: usize = 0;
pub(super) const REFUSED: usize = 1;
pub(super) const EXEMPT: usize = 2;
pub(super) const UNKEYED: usize = 3;

impl State {
    pub(super) fn new(limiter: RateLimiter) -> Arc<Self> {
        Arc::new(Self {
            limiter,
            counters: Counters::new(),
        })
    }
}

/// A cloneable way in from outside the request path; see [`RateLimitLayer::handle`](crate::RateLimitLayer::handle).
#[derive(Debug, Clone)]
pub struct RateLimitHandle {
    pub(super) state: Arc<State>,
}

impl RateLimitHandle {
    /// What has been counted since the layer was built.
    #[must_use]
    pub fn stats(&self) -> RateLimitStats {
        let State { limiter, counters } = &*self.state;
        RateLimitStats {
            allowed: counters.sum(ALLOWED),
            refused: counters.sum(REFUSED),
            exempt: counters.sum(EXEMPT),
            unkeyed: counters.sum(UNKEYED),
            evicted_in_debt: limiter.evicted_in_debt(),
            max_clients: limiter.capacity() as u64,
        }
    }
}

/// What a [`RateLimitLayer`](crate::RateLimitLayer) has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitStats {
    /// Requests let through within the quota.
    pub allowed: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests that `exempt` let through, not counted as allowed.
    pub exempt: u64,
    /// Requests without a client key, whatever became of them; those that shared a bucket are
    /// counted as allowed or refused too.
    pub unkeyed: u64,
    /// Clients forgotten while they were in debt: a number that grows asks for more `max_clients`.
    pub evicted_in_debt: u64,
    /// How many clients can be told apart.
    pub max_clients: u64,
}
