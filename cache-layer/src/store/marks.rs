//! Hit-for-miss: targets whose last answer could not be shared, so that requests for them do not
//! queue behind one another in vain.

use crate::key::Key;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long an unshareable answer keeps requests for its target from collapsing.
const LIFETIME: Duration = Duration::from_secs(10);
const SLOTS: usize = 1 << 12;
/// Low bits of a slot: the end of the mark, in 16ths of a second since the start.
const END_BITS: u32 = 28;

/// 32 KiB for ever. A mark may be overwritten by another target's, which costs one wait.
pub(crate) struct Marks {
    start: Instant,
    slots: Box<[AtomicU64]>,
}

impl Marks {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn set(&self, key: &Key, now: Instant) {
        let end = self.ticks(now + LIFETIME);
        self.slot(key).store(tag(key) | end, Ordering::Relaxed);
    }

    pub(crate) fn unset(&self, key: &Key) {
        let slot = self.slot(key);
        if slot.load(Ordering::Relaxed) & !end_mask() == tag(key) {
            slot.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_set(&self, key: &Key, now: Instant) -> bool {
        let word = self.slot(key).load(Ordering::Relaxed);
        word & !end_mask() == tag(key) && self.ticks(now) < word & end_mask()
    }

    fn ticks(&self, at: Instant) -> u64 {
        // Wraps after half a year: then one mark may end early or late by its own lifetime.
        (at.saturating_duration_since(self.start).as_millis() as u64 / 64) & end_mask()
    }

    fn slot(&self, key: &Key) -> &AtomicU64 {
        &self.slots[key.digest() as usize & (SLOTS - 1)]
    }
}

fn end_mask() -> u64 {
    (1 << END_BITS) - 1
}

fn tag(key: &Key) -> u64 {
    (key.digest() >> 64) as u64 & !end_mask()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Secret;

    #[test]
    fn a_mark_ends_by_time_or_by_word() {
        let start = Instant::now();
        let marks = Marks::new(start);
        let key = Key::of_uri(Secret::draw(), b"", &"http://a/".parse().unwrap()).unwrap();
        let later = |seconds| start + Duration::from_secs(seconds);
        assert!(!marks.is_set(&key, later(0)));
        marks.set(&key, later(1));
        assert!(marks.is_set(&key, later(10)) && !marks.is_set(&key, later(12)));
        marks.unset(&key);
        assert!(!marks.is_set(&key, later(1)));
    }
}
