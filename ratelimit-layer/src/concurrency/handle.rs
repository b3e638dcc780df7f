//! The way to the counts from outside the request path.

use super::permits::{Limits, Permits};
use crate::adaptive::{Adaptive, Meter};
use crate::counters::Counters;
use crate::hash::Seeds;
use std::sync::Arc;

/// The permits of a layer and what has been counted, shared by all clones of the layer.
#[derive(Debug)]
pub(super) struct State {
    pub(super) permits: Arc<Permits>,
    pub(super) meter: Option<Arc<Meter>>,
    pub(super) seeds: Seeds,
    pub(super) counters: Counters<5>,
}

pub(super) const ADMITTED: usize = 0;
pub(super) const REFUSED: usize = 1;
pub(super) const EXEMPT: usize = 2;
pub(super) const UNKEYED: usize = 3;
pub(super) const TIMED_OUT: usize = 4;

impl State {
    pub(super) fn new(limits: Limits, adaptive: Option<&Adaptive>) -> Arc<Self> {
        let permits = Permits::new(limits);
        Arc::new(Self {
            meter: adaptive.map(|adaptive| Meter::new(adaptive, &permits, limits.total)),
            permits,
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
    /// Lets each client have `n` requests in flight from now on, 1 and more.
    ///
    /// What is in flight stays: after a lower limit newcomers are refused, or wait, until enough
    /// have left; a higher one lets those in that wait.
    ///
    /// # Panics
    ///
    /// When `n` is 0.
    #[track_caller]
    pub fn set_limit(&self, n: usize) {
        assert!(n > 0, "the concurrency limit is 0, but must be 1 or more");
        self.state.permits.set_per_client(n);
    }

    /// Lets all clients together have `n` requests in flight from now on, 1 and more; likewise. An
    /// [adaptive](crate::ConcurrencyLimitLayer::adaptive) limit moves below it.
    ///
    /// # Panics
    ///
    /// When `n` is 0.
    #[track_caller]
    pub fn set_max_total(&self, n: usize) {
        assert!(
            n > 0,
            "the total concurrency limit is 0, but must be 1 or more"
        );
        match &self.state.meter {
            Some(meter) => meter.set_max_total(n),
            None => self.state.permits.set_total(n),
        }
    }

    /// What is in flight now, and what has been counted since the layer was built.
    #[must_use]
    pub fn stats(&self) -> ConcurrencyStats {
        let State {
            permits,
            meter,
            counters,
            ..
        } = &*self.state;
        ConcurrencyStats {
            in_flight: permits.in_flight() as u64,
            waiting: permits.waiting() as u64,
            clients: permits.clients() as u64,
            limit: permits.per_client() as u64,
            max_total: Some(permits.total() as u64).filter(|total| *total < usize::MAX as u64),
            adaptive_limit: meter.as_ref().map(|meter| meter.limit() as u64),
            admitted: counters.sum(ADMITTED),
            refused: counters.sum(REFUSED),
            timed_out: counters.sum(TIMED_OUT),
            lent: permits.lent() as u64,
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
    /// Requests in line now.
    pub waiting: u64,
    /// Clients that hold permits or wait now.
    pub clients: u64,
    /// How many requests each client may have in flight now.
    pub limit: u64,
    /// How many all clients together may have in flight now; `None`: as many as they like.
    pub max_total: Option<u64>,
    /// The adaptive limit, if there is one. `max_total` is lower while a measurement is made, or where
    /// a number set for it is.
    pub adaptive_limit: Option<u64>,
    /// Requests that got a permit.
    pub admitted: u64,
    /// Requests refused, those whose time in line ran out among them.
    pub refused: u64,
    /// Requests whose time in line ran out.
    pub timed_out: u64,
    /// How often a body that nobody read has lent its place.
    pub lent: u64,
    /// Requests that `exempt` let through, not counted as admitted.
    pub exempt: u64,
    /// Requests without a client key, whatever became of them; those that shared one limit are
    /// counted as admitted or refused too.
    pub unkeyed: u64,
}
