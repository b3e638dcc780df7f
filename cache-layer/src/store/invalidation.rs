//! Invalidation without an index (RFC 9111 section 4.4, RFC 9875).
//!
//! Every invalidation gets the next number. A fill notes the last number at its start, and what it
//! stores is valid only while no later number stands against its target or one of its groups. So an
//! invalidation reaches all variants of a target, fills in flight included, by one write; memory is
//! fixed; and a fill that began before a purge never brings the old answer back.
//!
//! There are two such books: what the first one strikes is gone, what the second one strikes is
//! stale, and may be asked about.
//!
//! Targets or groups that share a slot are invalidated together: that costs a miss and is never wrong.

use crate::key::Key;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether what is invalidated may still be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purge {
    /// It is gone.
    Hard,
    /// It is stale from now on.
    Soft,
}

/// The slots of the groups that an answer belongs to.
pub(crate) type GroupSlots = SmallVec<[u32; 2]>;

/// What an answer stands by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// The last number at the start of its fill.
    pub(crate) number: u64,
    pub(crate) target: u32,
    pub(crate) groups: &'a [u32],
}

#[derive(Debug)]
pub(crate) struct Invalidations {
    last: AtomicU64,
    hard: Book,
    soft: Book,
}

#[derive(Debug)]
struct Book {
    /// The latest number in the whole book: most often nothing at all is later than a claim.
    latest: AtomicU64,
    everything: AtomicU64,
    targets: Box<[AtomicU64]>,
    groups: Box<[AtomicU64]>,
}

impl Invalidations {
    /// One slot for every 4 KiB of cache, 1,024 to 65,536 of them, a quarter of that for groups, in
    /// both books: 20 KiB to 1.25 MiB.
    pub(crate) fn new(max_bytes: u64) -> Self {
        let slots = (max_bytes / 4096)
            .clamp(1 << 10, 1 << 16)
            .next_power_of_two();
        Self {
            last: AtomicU64::new(0),
            hard: Book::new(slots),
            soft: Book::new(slots),
        }
    }

    /// The number to note at the start of a fill, before its request goes out.
    pub(crate) fn now(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    pub(crate) fn target(&self, slot: u32, purge: Purge) {
        let book = self.book(purge);
        self.strike(book, &book.targets[slot as usize]);
    }

    pub(crate) fn group(&self, slot: u32, purge: Purge) {
        let book = self.book(purge);
        self.strike(book, &book.groups[slot as usize]);
    }

    pub(crate) fn everything(&self, purge: Purge) {
        let book = self.book(purge);
        self.strike(book, &book.everything);
    }

    fn strike(&self, book: &Book, place: &AtomicU64) {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        place.fetch_max(number, Ordering::SeqCst);
        // Last: who reads it as later than his claim finds the place written.
        book.latest.fetch_max(number, Ordering::SeqCst);
    }

    /// Whether it has not been struck since its fill began.
    pub(crate) fn stands(&self, claim: Claim<'_>) -> bool {
        self.hard.bears(claim)
    }

    /// Whether it has been declared stale since its fill began.
    pub(crate) fn is_softened(&self, claim: Claim<'_>) -> bool {
        !self.soft.bears(claim)
    }

    /// The slot of a key's target, which all keys of one URI share.
    pub(crate) fn target_slot(&self, key: &Key) -> u32 {
        // The high half: the low one chooses the place in the store.
        slot_of((key.uri_digest() >> 64) as usize, &self.hard.targets)
    }

    pub(crate) fn group_slot(&self, digest: u128) -> u32 {
        slot_of(digest as usize, &self.hard.groups)
    }

    fn book(&self, purge: Purge) -> &Book {
        match purge {
            Purge::Hard => &self.hard,
            Purge::Soft => &self.soft,
        }
    }
}

/// The number of slots is a power of two, and fits 32 bits.
fn slot_of(digest: usize, slots: &[AtomicU64]) -> u32 {
    (digest & (slots.len() - 1)) as u32
}

impl Book {
    fn new(slots: u64) -> Self {
        let zeros = |slots| (0..slots).map(|_| AtomicU64::new(0)).collect();
        Self {
            latest: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            targets: zeros(slots),
            groups: zeros(slots / 4),
        }
    }

    fn bears(&self, claim: Claim<'_>) -> bool {
        let before = |place: &AtomicU64| claim.number >= place.load(Ordering::Acquire);
        before(&self.latest)
            || (before(&self.everything)
                && before(&self.targets[claim.target as usize])
                && claim
                    .groups
                    .iter()
                    .all(|group| before(&self.groups[*group as usize])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Secret;

    #[test]
    fn an_invalidation_ends_what_began_before_it_and_nothing_later() {
        let all = Invalidations::new(0);
        let slot = |uri: &str| {
            let key = Key::of_uri(Secret::draw(), b"", &uri.parse().unwrap()).unwrap();
            all.target_slot(&key)
        };
        let (a, b) = (slot("http://a/"), slot("http://a/b"));
        let stands = |target, number| {
            all.stands(Claim {
                number,
                target,
                groups: &[],
            })
        };
        let before = all.now();
        all.target(a, Purge::Hard);
        assert!(!stands(a, before) && stands(a, all.now()));
        let between = all.now();
        all.everything(Purge::Hard);
        assert!(!stands(a, between) && !stands(b, between));
        assert!(stands(a, all.now()) && stands(b, all.now()));
    }

    #[test]
    fn a_group_takes_its_members_along_and_a_soft_purge_only_softens() {
        let all = Invalidations::new(0);
        let claim = |number, groups| Claim {
            number,
            target: 7,
            groups,
        };
        let before = all.now();
        all.group(3, Purge::Soft);
        let (member, other) = (claim(before, &[1, 3]), claim(before, &[1]));
        assert!(all.is_softened(member) && all.stands(member));
        assert!(!all.is_softened(other));
        assert!(!all.is_softened(claim(all.now(), &[1, 3])));
        all.group(3, Purge::Hard);
        assert!(!all.stands(member) && all.stands(other));
        all.target(7, Purge::Soft);
        assert!(all.is_softened(other) && all.stands(other));
    }
}
