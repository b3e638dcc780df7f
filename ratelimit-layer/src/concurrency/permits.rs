//! Who is in: an exact count per client, whose entries leave when they come to zero.
//!
//! The map is as large as the number of requests in flight, never more: nothing is left of a client
//! that has gone. It is split into shards so that clients seldom meet at a lock, and no lock is
//! held across anything but the count itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 32;

/// Spare room a shard keeps for the next burst before it gives memory back.
const SPARE: usize = 64;

type Shard = HashMap<u64, usize, BuildHasherDefault<Hashed>>;

/// The counts of one layer.
#[derive(Debug)]
pub(crate) struct Permits {
    shards: Box<[Mutex<Shard>]>,
    in_flight: AtomicUsize,
    per_client: usize,
    total: usize,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Client,
    Total,
}

impl Permits {
    pub(crate) fn new(per_client: usize, total: usize) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            in_flight: AtomicUsize::new(0),
            per_client,
            total,
        })
    }

    /// A permit for one request of the client with this hash, or the limit that refuses it; then
    /// nothing was counted.
    pub(crate) fn acquire(self: &Arc<Self>, client: u64) -> Result<Permit, Full> {
        let mut shard = self.shard(client);
        match shard.entry(client) {
            Entry::Occupied(count) if *count.get() >= self.per_client => return Err(Full::Client),
            entry => {
                // The client's own limit comes first: it must not cost others a place even for a
                // moment.
                let room = |count| (count < self.total).then_some(count + 1);
                self.in_flight
                    .fetch_update(Relaxed, Relaxed, room)
                    .map_err(|_| Full::Total)?;
                *entry.or_insert(0) += 1;
            }
        }
        drop(shard);
        Ok(Permit {
            permits: Arc::clone(self),
            client,
        })
    }

    fn release(&self, client: u64) {
        let mut shard = self.shard(client);
        if let Entry::Occupied(mut count) = shard.entry(client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        if shard.capacity() > 4 * shard.len() + SPARE {
            let keep = 2 * shard.len();
            shard.shrink_to(keep);
        }
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Top bits choose the shard; the map uses all of them.
    fn shard(&self, client: u64) -> MutexGuard<'_, Shard> {
        // No panic can happen under the lock that would leave a count half done.
        self.shards[(client >> 59) as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn per_client(&self) -> usize {
        self.per_client
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    pub(crate) fn clients(&self) -> usize {
        (0..SHARDS as u64)
            .map(|shard| self.shard(shard << 59).len())
            .sum()
    }
}

/// The right of one request to be in flight; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    permits: Arc<Permits>,
    client: u64,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.release(self.client);
    }
}

/// Keys are hashes already, under secret seeds.
#[derive(Debug, Default)]
pub(crate) struct Hashed(u64);

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
