//! Which keys are asked for most, in fixed memory: Space-Saving (Metwally, Agrawal and El Abbadi
//! 2005).
//!
//! Hits are counted in the entries and come here by the dozen, so that a hit takes no lock; when an
//! entry leaves, so does the rest of its count.

use super::index::Identity;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Keys that are kept apart; at most one in so many requests is missing from a key's count.
const KEYS: usize = 256;

/// Two counts for each of some keys.
#[derive(Default)]
pub(super) struct Hottest {
    hits: Mutex<Summary>,
    bytes: Mutex<Summary>,
}

/// By what keys are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopBy {
    /// Requests answered from the store.
    Hits,
    /// Octets of the bodies of the answers to them, as if each were sent in full.
    Bytes,
}

/// What is known of a key's count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) digest: u128,
    pub(crate) count: u64,
    /// By so much it may be too high.
    pub(crate) over: u64,
}

impl Hottest {
    /// Takes note of hits on a key, with answers of so many octets.
    pub(super) fn note(&self, digest: u128, hits: u64, octets: u64) {
        add(&self.hits, digest, hits);
        add(&self.bytes, digest, hits.saturating_mul(octets));
    }

    /// All keys that are kept apart, with their counts.
    pub(super) fn top(&self, by: TopBy) -> Vec<Count> {
        let summary = match by {
            TopBy::Hits => &self.hits,
            TopBy::Bytes => &self.bytes,
        };
        let summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.known().collect()
    }
}

fn add(summary: &Mutex<Summary>, digest: u128, count: u64) {
    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
    summary.add(digest, count);
}

/// The counts, of which the least is at hand: a newcomer takes its place, and stands above it.
struct Summary {
    slots: Vec<Slot>,
    /// Numbers of slots as a binary heap, the least count first.
    heap: Vec<usize>,
    slot_of: HashMap<u128, usize, Identity>,
}

struct Slot {
    count: Count,
    /// Where its number is in the heap.
    at: usize,
}

impl Default for Summary {
    fn default() -> Self {
        // Of nobody yet, and so the first to make way.
        let count = Count::default();
        let slots = (0..KEYS).map(|at| Slot { count, at });
        Self {
            slots: slots.collect(),
            heap: (0..KEYS).collect(),
            slot_of: HashMap::with_capacity_and_hasher(KEYS, Identity),
        }
    }
}

impl Summary {
    fn add(&mut self, digest: u128, count: u64) {
        if count == 0 {
            return;
        }
        let slot = match self.slot_of.get(&digest) {
            Some(&slot) => slot,
            None => self.replace_least(digest),
        };
        let Slot { count: known, at } = &mut self.slots[slot];
        known.count = known.count.saturating_add(count);
        let at = *at;
        self.sink(slot, at);
    }

    fn replace_least(&mut self, digest: u128) -> usize {
        let slot = self.heap[0];
        let least = &mut self.slots[slot].count;
        if least.count > 0 {
            self.slot_of.remove(&least.digest);
        }
        least.digest = digest;
        least.over = least.count;
        self.slot_of.insert(digest, slot);
        slot
    }

    /// Moves a slot that has grown away from the top of the heap.
    fn sink(&mut self, slot: usize, mut at: usize) {
        let count = |summary: &Self, at: usize| summary.slots[summary.heap[at]].count.count;
        let own = self.slots[slot].count.count;
        loop {
            let left = 2 * at + 1;
            let children = left..(left + 2).min(KEYS);
            let Some(least) = children.min_by_key(|&child| count(self, child)) else {
                break;
            };
            if count(self, least) >= own {
                break;
            }
            let risen = self.heap[least];
            self.heap[at] = risen;
            self.slots[risen].at = at;
            at = least;
        }
        self.heap[at] = slot;
        self.slots[slot].at = at;
    }

    fn known(&self) -> impl Iterator<Item = Count> {
        let counts = self.slots.iter().map(|slot| slot.count);
        counts.filter(|known| known.count > 0)
    }
}

/// How many hits come here with the `hits`th hit on an entry; none with most.
#[inline]
pub(super) fn due(hits: u32) -> u64 {
    // Whatever the step, it is a multiple of this.
    if hits > FEW && !hits.is_multiple_of(FEW) {
        return 0;
    }
    u64::from(noted(hits) - noted(hits.saturating_sub(1)))
}

/// How many of an entry's hits have not come here yet.
pub(super) fn rest(hits: u32) -> u64 {
    u64::from(hits - noted(hits))
}

/// So many come whenever their number has doubled.
const FEW: u32 = 64;

/// How many of so many hits have come here: of more than a few, seven eighths at least. What is asked
/// for most comes here most seldom.
fn noted(hits: u32) -> u32 {
    let Some(log) = hits.checked_ilog2() else {
        return 0;
    };
    let step = match hits {
        ..FEW => 1 << log,
        FEW.. => FEW.max(1 << log.saturating_sub(3)),
    };
    hits / step * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hits_come_sooner_or_later() {
        let mut noted = 0;
        for hits in 0..100_000 {
            noted += due(hits);
            assert_eq!(noted + rest(hits), u64::from(hits), "{hits}");
            assert!(rest(hits) < 64 || rest(hits) * 8 <= u64::from(hits));
        }
        assert!(rest(u32::MAX) < 1 << 29);
    }

    #[test]
    fn the_least_of_all_makes_way() {
        let mut summary = Summary::default();
        let mut random = 1u64;
        for step in 0..3_000u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (digest, count) = (u128::from(random >> 33) % 1000, 1 + (random >> 20) % 50);
            let before: Vec<Count> = summary.known().collect();
            let known = before.iter().find(|known| known.digest == digest);
            let least = before.iter().map(|known| known.count).min().unwrap_or(0);
            let (from, over) = match known {
                Some(known) => (known.count, known.over),
                None if before.len() < KEYS => (0, 0),
                None => (least, least),
            };
            summary.add(digest, count);
            let after: Vec<Count> = summary.known().collect();
            let count = from + count;
            assert!(
                after.contains(&Count {
                    digest,
                    count,
                    over
                }),
                "{step}"
            );
            let grown = usize::from(known.is_none() && before.len() < KEYS);
            assert_eq!(after.len(), before.len() + grown, "{step}");
            let is_kept = |one: &&Count| after.contains(one);
            assert!(before.iter().filter(is_kept).count() + 1 >= before.len());
        }
        assert_eq!(summary.slot_of.len(), KEYS);
    }

    #[test]
    fn the_frequent_are_found_among_any_number_of_others() {
        let hottest = Hottest::default();
        for round in 0..100_000u64 {
            hottest.note(u128::from(round) + 1000, 1, 1);
            hottest.note(u128::from(round % 10), 1, 100 * (round % 10));
        }
        let top = |by, most| {
            let mut top = hottest.top(by);
            assert_eq!(top.len(), KEYS);
            top.sort_by_key(|count| std::cmp::Reverse(count.count));
            top.truncate(most);
            top
        };
        let hits = top(TopBy::Hits, 10);
        let mut found: Vec<u128> = hits.iter().map(|count| count.digest).collect();
        found.sort_unstable();
        assert!(found.into_iter().eq(0..10));
        for Count { count, over, .. } in hits {
            assert!(count >= 10_000 && count - over <= 10_000);
        }
        let bytes = top(TopBy::Bytes, 2);
        assert_eq!([bytes[0].digest, bytes[1].digest], [9, 8]);
    }
}
