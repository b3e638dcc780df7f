//! Hit-for-miss: targets whose last answer could not be shared, so that requests for them do not
//! queue behind one another in vain.

use crate::key::Key;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long an unshareable answer keeps requests for its target from collapsing.
const LIFETIME: Duration = Duration::from_secs(10);
const SETS: usize = 1 << 9;
/// One cache line.
const WAYS: usize = 8;
/// Low bits of a mark: its end, in 16ths of a second since the start. They wrap after half a year:
/// then a mark from just then may be seen once more, for its own lifetime.
const END: u64 = (1 << 28) - 1;

/// 32 KiB for ever. A mark is overwritten when eight others of its set were set after it, which
/// costs one wait.
pub(crate) struct Marks {
    start: Instant,
    sets: Box<[Set]>,
}

#[derive(Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

impl Marks {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            sets: (0..SETS).map(|_| Set::default()).collect(),
        }
    }

    pub(crate) fn set(&self, key: &Key, now: Instant) {
        let own_or_oldest = self.ways(key).iter().min_by_key(|way| {
            let word = way.load(Ordering::Relaxed);
            (!is_of(word, key), self.left(word, now))
        });
        if let Some(way) = own_or_oldest {
            let end = self.ticks(now + LIFETIME);
            way.store(tag(key) | end, Ordering::Relaxed);
        }
    }

    pub(crate) fn unset(&self, key: &Key) {
        // All: two who set it at once may have taken two ways.
        for way in self.ways(key) {
            if is_of(way.load(Ordering::Relaxed), key) {
                way.store(0, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn is_set(&self, key: &Key, now: Instant) -> bool {
        self.ways(key).iter().any(|way| {
            let word = way.load(Ordering::Relaxed);
            is_of(word, key) && self.left(word, now) > 0
        })
    }

    /// Ticks until a mark ends; zero if it has.
    fn left(&self, word: u64, now: Instant) -> u64 {
        let left = word.wrapping_sub(self.ticks(now)) & END;
        let whole = self.ticks(self.start + LIFETIME) + 1;
        if left <= whole { left } else { 0 }
    }

    fn ticks(&self, at: Instant) -> u64 {
        (at.saturating_duration_since(self.start).as_millis() as u64 / 64) & END
    }

    fn ways(&self, key: &Key) -> &[AtomicU64; WAYS] {
        &self.sets[key.digest() as usize & (SETS - 1)].0
    }
}

fn tag(key: &Key) -> u64 {
    (key.digest() >> 64) as u64 & !END
}

fn is_of(word: u64, key: &Key) -> bool {
    word & !END == tag(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Secret;

    fn keys() -> impl Iterator<Item = Key> {
        let secret = Secret::draw();
        (0..).map(move |number| {
            let uri = format!("http://a/{number}").parse().unwrap();
            Key::of_uri(secret, b"", &uri).unwrap()
        })
    }

    #[test]
    fn a_mark_ends_by_time_or_by_word() {
        let start = Instant::now();
        let marks = Marks::new(start);
        let key = keys().next().unwrap();
        let wrap = start + Duration::from_millis(64 << 28);
        for start in [start, wrap - Duration::from_secs(6)] {
            let later = |seconds| start + Duration::from_secs(seconds);
            assert!(!marks.is_set(&key, later(0)));
            marks.set(&key, later(1));
            assert!([1, 10].iter().all(|at| marks.is_set(&key, later(*at))));
            assert!(!marks.is_set(&key, later(12)));
            marks.unset(&key);
            assert!(!marks.is_set(&key, later(1)));
            marks.set(&key, later(1));
        }
        assert!(!marks.is_set(&key, wrap + Duration::from_secs(60)));
    }

    #[test]
    fn a_mark_makes_room_when_eight_others_are_set_after_it() {
        let now = Instant::now();
        let marks = Marks::new(now);
        let set = |key: &Key| std::ptr::from_ref(marks.ways(key));
        let mut all = keys();
        let first = all.next().unwrap();
        let others: Vec<_> = all.filter(|key| set(key) == set(&first)).take(8).collect();
        let later = |seconds| now + Duration::from_secs(seconds);
        marks.set(&first, later(0));
        others[..7].iter().for_each(|key| marks.set(key, later(1)));
        // Once more takes no further way.
        others[..7].iter().for_each(|key| marks.set(key, later(2)));
        assert!(marks.is_set(&first, later(3)));
        marks.set(&others[7], later(3));
        assert!(!marks.is_set(&first, later(3)));
        assert!(others.iter().all(|key| marks.is_set(key, later(3))));
    }
}
