//! Entries by digest: readers of different keys do not wait for one another, nor for a writer's
//! choice of whom to part with.

use super::policy::Entry;
use super::resource::Resource;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const SHARDS: usize = 64;

type Map = HashMap<u128, Arc<Resource>, Identity>;

pub(super) struct Index {
    shards: Box<[Shard]>,
}

/// On cache lines of its own: taking one lock does not slow down those who take the next.
#[derive(Default)]
#[repr(align(128))]
struct Shard(RwLock<Map>);

impl Index {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
        }
    }

    pub(super) fn get(&self, digest: u128) -> Option<Arc<Resource>> {
        read(self.shard(digest)).get(&digest).cloned()
    }

    /// Whether this is what is there.
    pub(super) fn has(&self, resource: &Arc<Resource>) -> bool {
        let digest = resource.digest();
        is_there(&read(self.shard(digest)), digest, resource)
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).len()).sum()
    }

    /// Puts it in the place of an older one, which is for the caller to drop: nobody waits for that.
    pub(super) fn insert(&self, resource: &Arc<Resource>) -> Option<Arc<Resource>> {
        let digest = resource.digest();
        write(self.shard(digest)).insert(digest, Arc::clone(resource))
    }

    /// Takes out what is there, if it is this.
    pub(super) fn remove(&self, resource: &Arc<Resource>) -> bool {
        let digest = resource.digest();
        let mut shard = write(self.shard(digest));
        let is_there = is_there(&shard, digest, resource);
        if is_there {
            shard.remove(&digest);
            // A map that was large once is not kept large by what is left. Nobody waits for the lock
            // while the large one is given back: an allocator may use the occasion to tidy up.
            if shard.len() < shard.capacity() / 8 {
                let mut smaller = Map::with_capacity_and_hasher(shard.len(), Identity);
                smaller.extend(shard.drain());
                let larger = std::mem::replace(&mut *shard, smaller);
                drop(shard);
                drop(larger);
            }
        }
        is_there
    }

    /// Takes out all.
    pub(super) fn clear(&self) -> Vec<Arc<Resource>> {
        let maps = self
            .shards
            .iter()
            .map(|shard| std::mem::take(&mut *write(shard)));
        maps.flat_map(HashMap::into_values).collect()
    }

    /// Those of one shard after the other that are so; for each shard its lock is held once, shortly.
    pub(super) fn find(
        &self,
        is: impl Fn(&Resource) -> bool,
    ) -> impl Iterator<Item = Vec<Arc<Resource>>> {
        self.shards.iter().map(move |shard| {
            let shard = read(shard);
            shard.values().filter(|one| is(one)).cloned().collect()
        })
    }

    /// The high bits; the map uses the low ones.
    fn shard(&self, digest: u128) -> &Shard {
        &self.shards[(digest >> 122) as usize % SHARDS]
    }
}

fn is_there(shard: &Map, digest: u128, resource: &Arc<Resource>) -> bool {
    shard
        .get(&digest)
        .is_some_and(|there| Arc::ptr_eq(there, resource))
}

fn read(shard: &Shard) -> RwLockReadGuard<'_, Map> {
    // Poisoned only by a panic between two consistent states.
    shard.0.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &Shard) -> RwLockWriteGuard<'_, Map> {
    shard.0.write().unwrap_or_else(PoisonError::into_inner)
}

/// Our digests are uniform already.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Identity;

#[derive(Debug, Default)]
pub(super) struct LowHalf(u64);

impl BuildHasher for Identity {
    type Hasher = LowHalf;

    fn build_hasher(&self) -> LowHalf {
        LowHalf::default()
    }
}

impl Hasher for LowHalf {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Never called for a u128, but a hasher must take anything.
        bytes
            .iter()
            .for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }
}
