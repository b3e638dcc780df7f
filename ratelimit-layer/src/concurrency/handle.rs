//! The way to the counts from outside the request path.

use super::permits::Permits;
use crate::counters::Counters;
use crate::hash::Seeds;
use std::sync::Arc;

/// The permits of a layer and what has been counted, shared by all clones of the layer.
#[derive(Debug)]
pub(super) struct State {
    pub(super) permits: Arc<Permits>,
    pub(super) seeds: Seeds,
    pub(super) counters: Counters<4>,
}

pub(super) const ADMITTED: usize = 0;
pub(super) const REFUSED: usize = 1;
pub(super) const EXEMPT: usize = 2;
pub(super) const UNKEYED: usize = 3;

impl State {
    pub(super) fn new(per_client: usize, total: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Permits::new(per_client, total),
            seeds: Seeds::new(),
            counters: Counters::new(),
        })
    }
}

/// A cloneable way in from outside the request path; see
/// [`ConcurrencyLimitLayer::handle`](crate::ConcurrencyLimitLayer::handle).
#[derive(Debug, Clone)]
pub struct ConcurrencyHandle {
    pub(super) state: Arc<State>,
}

impl ConcurrencyHandle {
    /// What is in flight now, and what has been counted since the layer was built.
    #[must_use]
    pub fn stats(&self) -> ConcurrencyStats {
        let State {
            permits, counters, ..
        } = &*self.state;
        ConcurrencyStats {
            in_flight: permits.in_flight() as u64,
            clients: permits.clients() as u64,
            admitted: counters.sum(ADMITTED),
            refused: counters.sum(REFUSED),
            exempt: counters.sum(EXEMPT),
            unkeyed: counters.sum(UNKEYED),
        }
    }
}

/// What a [`ConcurrencyLimitLayer`](crate::ConcurrencyLimitLayer) has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyStats {
    /// Permits out now.
    pub in_flight: u64,
    /// Clients that hold permits now.
    pub clients: u64,
    /// Requests that got a permit.
    pub admitted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests that `exempt` let through, not counted as admitted.
    pub exempt: u64,
    /// Requests without a client key, whatever became of them; those that shared one limit are
    /// counted as admitted or refused too.
    pub unkeyed: u64,
}
