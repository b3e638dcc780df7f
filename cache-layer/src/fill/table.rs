//! The fills in flight, by key.

use super::seat::{Fill, Headline, Newcomer, Seat};
use crate::key::Key;
use http::HeaderMap;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Exact and bounded by the fills in flight: entries leave with their tasks.
pub(crate) struct Fills {
    shards: [Mutex<HashMap<u128, Vec<Arc<Fill>>>>; 16],
    in_flight: AtomicU64,
}

/// How a request that missed goes on.
pub(crate) enum Joined<T> {
    /// The store had it after all.
    Found(T),
    /// Somebody is fetching it.
    Follows(Seat),
    /// Nobody is: fetch it.
    Leads(Lead, Seat),
}

/// A fill's place in the table and the duty to end it; dropping it breaks what is not complete.
pub(crate) struct Lead {
    fills: Arc<Fills>,
    pub(crate) fill: Arc<Fill>,
    /// Whether it stands in the table, for others to join.
    pub(super) joinable: bool,
}

impl Fills {
    pub(crate) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            in_flight: AtomicU64::new(0),
        }
    }

    /// Takes a seat at a fill that will fit the request, or the lead of a new one.
    ///
    /// `look_again` asks the store once more, under the table's lock: a fill that has left the
    /// table since the first look has stored its answer before.
    pub(crate) fn join_or_lead<T>(
        self: &Arc<Self>,
        key: &Key,
        request: &HeaderMap,
        newcomer: impl FnOnce() -> Newcomer,
        stands: impl Fn(&Fill, &Headline) -> bool,
        look_again: impl FnOnce() -> Option<T>,
    ) -> Joined<T> {
        let mut shard = self.shard(key);
        let joinable = |fill: &&Arc<Fill>| {
            let headline = fill.headline();
            let fits = match &headline {
                Headline::Pending => fill.selection.matches(request),
                Headline::Published(head) => head.selection().matches(request),
                Headline::Released | Headline::Personal => false,
            };
            fits && fill.key == *key && stands(fill, &headline)
        };
        let fills = shard.get(&key.digest()).into_iter().flatten();
        if let Some(seat) = fills.filter(joinable).find_map(Fill::take_seat) {
            return Joined::Follows(seat);
        }
        if let Some(found) = look_again() {
            return Joined::Found(found);
        }
        let (mut lead, seat) = self.alone(key, newcomer());
        lead.joinable = true;
        shard
            .entry(key.digest())
            .or_default()
            .push(Arc::clone(&lead.fill));
        Joined::Leads(lead, seat)
    }

    /// A fill that nobody joins: it does not stand in the table.
    pub(crate) fn alone(self: &Arc<Self>, key: &Key, newcomer: Newcomer) -> (Lead, Seat) {
        let (fill, seat) = Fill::begin(key.clone(), newcomer);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        (
            Lead {
                fills: Arc::clone(self),
                fill,
                joinable: false,
            },
            seat,
        )
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, HashMap<u128, Vec<Arc<Fill>>>> {
        let shard = &self.shards[key.digest() as usize % self.shards.len()];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead {
    /// Takes the fill out of the table: nobody joins it any more.
    pub(super) fn leave_table(&self) {
        let mut shard = self.fills.shard(&self.fill.key);
        if let Some(fills) = shard.get_mut(&self.fill.key.digest()) {
            fills.retain(|fill| !Arc::ptr_eq(fill, &self.fill));
            if fills.is_empty() {
                shard.remove(&self.fill.key.digest());
            }
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.leave_table();
        // Both do nothing to a fill that came to its end.
        if matches!(self.fill.headline(), Headline::Pending) {
            self.fill.release();
        }
        self.fill.break_off();
        self.fills.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
