//! Entries in the order of a number.

use super::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries by rank, the lowest first; those of one rank by age. A tree, not a list: any entry may
/// leave from the middle, and no growth of it ever moves all of them at once.
pub(super) struct Queue<E> {
    by_rank: BTreeMap<(u64, u64), Arc<E>>,
    bytes: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            by_rank: BTreeMap::new(),
            bytes: 0,
        }
    }
}

impl<E: Entry> Queue<E> {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.by_rank.len()
    }

    pub(super) fn push(&mut self, rank: u64, entry: Arc<E>) {
        self.bytes += entry.weight();
        let other = self.by_rank.insert((rank, entry.place().serial), entry);
        debug_assert!(other.is_none(), "a serial number is nobody else's");
    }

    pub(super) fn remove(&mut self, rank: u64, entry: &E) -> Option<Arc<E>> {
        let removed = self.by_rank.remove(&(rank, entry.place().serial));
        self.bytes -= removed.as_ref().map_or(0, |entry| entry.weight());
        removed
    }

    /// The one of lowest rank, with its rank.
    pub(super) fn first(&self) -> Option<(u64, &Arc<E>)> {
        let (&(rank, _), entry) = self.by_rank.first_key_value()?;
        Some((rank, entry))
    }

    /// One whose rank is so far on the way from the lowest to the highest, or next to that.
    pub(super) fn between(&self, way: f64) -> Option<&Arc<E>> {
        let (&(low, _), _) = self.by_rank.first_key_value()?;
        let (&(high, _), _) = self.by_rank.last_key_value()?;
        let rank = low + (way * (high - low) as f64) as u64;
        let next = self.by_rank.range((rank.min(high), 0)..).next();
        next.map(|(_, entry)| entry)
    }

    pub(super) fn pop(&mut self) -> Option<Arc<E>> {
        let (_, entry) = self.by_rank.pop_first()?;
        self.bytes -= entry.weight();
        Some(entry)
    }
}
