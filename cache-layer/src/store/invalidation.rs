//! Invalidation without an index (RFC 9111 section 4.4).
//!
//! Every invalidation gets the next number. A fill notes the last number at its start, and what it
//! stores is valid only while no later number stands against its target. So an invalidation reaches
//! all variants of a target, fills in flight included, by one write; memory is fixed; and a fill
//! that began before a purge never brings the old answer back.
//!
//! Targets that share a slot are invalidated together: that costs a miss and is never wrong.

use crate::key::Key;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Invalidations {
    last: AtomicU64,
    everything: AtomicU64,
    targets: Box<[AtomicU64]>,
}

impl Invalidations {
    /// One slot for every 4 KiB of cache, 1,024 to 65,536 of them (8 KiB to 512 KiB).
    pub(crate) fn new(max_bytes: u64) -> Self {
        let slots = (max_bytes / 4096)
            .clamp(1 << 10, 1 << 16)
            .next_power_of_two();
        Self {
            last: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            targets: (0..slots).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The number to note at the start of a fill, before its request goes out.
    pub(crate) fn now(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    pub(crate) fn target(&self, key: &Key) {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        self.slot(key).fetch_max(number, Ordering::SeqCst);
    }

    pub(crate) fn everything(&self) {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        self.everything.fetch_max(number, Ordering::SeqCst);
    }

    /// Whether what began at `number` still stands.
    pub(crate) fn valid(&self, key: &Key, number: u64) -> bool {
        // Most often nothing at all was invalidated since: one line that is always at hand tells.
        number >= self.now()
            || (number >= self.slot(key).load(Ordering::Acquire) && self.valid_for_any(number))
    }

    /// As [`valid`](Self::valid), for callers that have no key at hand: purged targets pass.
    pub(crate) fn valid_for_any(&self, number: u64) -> bool {
        number >= self.everything.load(Ordering::Acquire)
    }

    fn slot(&self, key: &Key) -> &AtomicU64 {
        // The high half: the low one chooses the place in the store.
        let digest = (key.uri_digest() >> 64) as usize;
        &self.targets[digest & (self.targets.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Secret;

    #[test]
    fn an_invalidation_ends_what_began_before_it_and_nothing_later() {
        let all = Invalidations::new(0);
        let key = |uri: &str| Key::of_uri(Secret::draw(), b"", &uri.parse().unwrap()).unwrap();
        let (a, b) = (key("http://a/"), key("http://a/b"));
        let before = all.now();
        all.target(&a);
        assert!(!all.valid(&a, before) && all.valid(&a, all.now()));
        let between = all.now();
        all.everything();
        assert!(!all.valid(&a, between) && !all.valid(&b, between));
        assert!(all.valid(&a, all.now()) && all.valid(&b, all.now()));
    }
}
