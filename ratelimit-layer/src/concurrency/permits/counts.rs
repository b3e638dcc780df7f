//! The counts, and the way in and out for those who need not wait; the module above explains both.

use super::line::{Line, Queue};
use super::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, SHARDS};
use Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError};

/// Spare room a shard keeps for the next burst before it gives memory back.
const SPARE: usize = 64;

/// Set in the word of places while somebody has a turn; the count begins above it.
const TURNS: usize = 1;
const ONE: usize = 2;

pub(super) type Shard = HashMap<u64, Client, BuildHasherDefault<Hashed>>;

/// What is known of a client that has something in flight or in line.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) in_flight: usize,
    pub(super) line: Option<Box<Line>>,
}

/// How many may be in, and how many may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) per_client: usize,
    pub(crate) total: usize,
    pub(crate) waiting: usize,
    pub(crate) waiting_total: usize,
}

/// The counts and lines of one layer.
#[derive(Debug)]
pub(crate) struct Permits {
    shards: Box<[Mutex<Shard>]>,
    places: AtomicUsize,
    per_client: AtomicUsize,
    total: AtomicUsize,
    pub(super) waiting: usize,
    pub(super) waiting_total: usize,
    pub(super) queue: Mutex<Queue>,
    lent: AtomicUsize,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Client,
    Total,
}

impl Permits {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(),
            places: AtomicUsize::new(0),
            per_client: AtomicUsize::new(limits.per_client),
            total: AtomicUsize::new(limits.total),
            waiting: limits.waiting,
            waiting_total: limits.waiting_total,
            queue: Mutex::new(Queue::default()),
            lent: AtomicUsize::new(0),
        })
    }

    /// A permit for one request of the client with this hash, or the limit that refuses it; then
    /// nothing was counted. Nobody in line is overtaken.
    pub(crate) fn acquire(self: &Arc<Self>, client: u64) -> Result<Permit, Full> {
        let mut shard = self.shard(client);
        match shard.entry(client) {
            Entry::Occupied(entry) if !entry.get().may_enter(self.per_client()) => {
                return Err(self.reason(Some(entry.get())));
            }
            entry => {
                // The client's own limit comes first: it must not cost others a place even for a
                // moment.
                if !self.take_place(|word| word & TURNS == 0) {
                    return Err(Full::Total);
                }
                entry.or_default().in_flight += 1;
            }
        }
        drop(shard);
        Ok(Permit::new(self, client))
    }

    /// Takes one of all clients' places, if there is one and `may` says so.
    pub(super) fn take_place(&self, may: impl Fn(usize) -> bool) -> bool {
        let total = self.total.load(Relaxed);
        let room = |word| (may(word) && word / ONE < total).then_some(word + ONE);
        self.places.fetch_update(AcqRel, Acquire, room).is_ok()
    }

    /// Says whether anybody has a turn. Under the lock of the queue.
    pub(super) fn announce(&self, turns: bool) {
        if turns {
            self.places.fetch_or(TURNS, AcqRel);
        } else {
            self.places.fetch_and(!TURNS, AcqRel);
        }
    }

    fn release(&self, client: u64) {
        let mut shard = self.shard(client);
        let mut in_line = false;
        if let Entry::Occupied(mut entry) = shard.entry(client) {
            entry.get_mut().in_flight -= 1;
            in_line = entry.get().line.is_some();
        }
        forget(&mut shard, client);
        drop(shard);
        let before = self.places.fetch_sub(ONE, AcqRel);
        if in_line || before & TURNS != 0 {
            self.pass_on(client);
        }
    }

    /// Top bits choose the shard; the map uses all of them.
    pub(super) fn shard(&self, client: u64) -> MutexGuard<'_, Shard> {
        // No panic can happen under the lock that would leave a count half done.
        self.shards[(client >> 59) as usize & (SHARDS - 1)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All shards, one after the other.
    pub(super) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        (0..SHARDS as u64).map(|shard| self.shard(shard << 59))
    }

    pub(crate) fn per_client(&self) -> usize {
        self.per_client.load(Relaxed)
    }

    pub(crate) fn total(&self) -> usize {
        self.total.load(Relaxed)
    }

    /// Changes the limit of each client. What is in flight stays; fewer refuse newcomers until
    /// enough have left, more let those in line in.
    pub(crate) fn set_per_client(&self, limit: usize) {
        self.per_client.store(limit, Release);
        self.reconsider();
    }

    /// Changes the limit of all clients together, likewise. Whose turn it is does not depend on it.
    pub(crate) fn set_total(&self, total: usize) {
        if self.total.swap(total, AcqRel) < total {
            self.let_in(self.queue());
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.places.load(Relaxed) / ONE
    }

    /// A body that nobody reads lends its place.
    pub(crate) fn count_lent(&self) {
        self.lent.fetch_add(1, Relaxed);
    }

    pub(crate) fn lent(&self) -> usize {
        self.lent.load(Relaxed)
    }

    /// Clients with something in flight or in line.
    pub(crate) fn clients(&self) -> usize {
        self.shards().map(|shard| shard.len()).sum()
    }
}

#[cfg(test)]
impl Permits {
    pub(super) fn anybody_has_a_turn(&self) -> bool {
        self.places.load(Acquire) & TURNS != 0
    }
}

impl Client {
    fn may_enter(&self, limit: usize) -> bool {
        self.in_flight < limit && self.line.is_none()
    }
}

/// Forgets a client that has nothing in flight and nobody in line, and gives memory back.
pub(super) fn forget(shard: &mut Shard, client: u64) {
    if let Entry::Occupied(entry) = shard.entry(client)
        && entry.get().in_flight == 0
        && entry.get().line.is_none()
    {
        entry.remove();
    }
    if shard.capacity() > 4 * shard.len() + SPARE {
        let keep = 2 * shard.len();
        shard.shrink_to(keep);
    }
}

/// The right of one request to be in flight; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    client: u64,
}

impl Permit {
    pub(super) fn new(permits: &Arc<Permits>, client: u64) -> Self {
        Self {
            permits: Arc::clone(permits),
            client,
        }
    }

    pub(crate) fn permits(&self) -> &Arc<Permits> {
        &self.permits
    }

    pub(crate) fn client(&self) -> u64 {
        self.client
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.release(self.client);
    }
}

/// Keys are hashes already, under secret seeds.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not used for u64 keys; folded so that it would still be a hash.
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
}
