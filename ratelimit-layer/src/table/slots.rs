//! Sets, slots and the exchanges on them; the module above explains the protocol.

use super::sync::{AtomicU64, Ordering, WAYS, fence, spin_loop};
use crate::gcra::{Gcra, Verdict};
use Ordering::{AcqRel, Acquire, Release, SeqCst};

/// One slot's word: sixty bits of time (36 years of nanoseconds) or, unsettled, as many of the tag;
/// three bits counting tenants; one that says unsettled. A zero word is an empty slot.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

const UNSETTLED: u64 = 0b0001;
const TENANT: u64 = 0b1110;
const TENANT_STEP: u64 = 0b0010;
const PUBLISHED: u64 = 0b1_0000;
const TIME_SHIFT: u32 = 4;
/// Where time ends.
const LATEST: u64 = u64::MAX >> TIME_SHIFT;

impl Word {
    fn is_settled(self) -> bool {
        self.0 & UNSETTLED == 0
    }

    fn time(self) -> u64 {
        self.0 >> TIME_SHIFT
    }

    /// Settled at `time`, same tenant.
    fn settled(self, time: u64) -> Self {
        Self(time.min(LATEST) << TIME_SHIFT | self.0 & TENANT)
    }

    /// Claimed by the next tenant.
    fn claimed(self, tag: u64) -> Self {
        let tenant = self.0.wrapping_add(TENANT_STEP) & TENANT;
        Self(tag & !(PUBLISHED | TENANT | UNSETTLED) | tenant | UNSETTLED)
    }

    fn published(self) -> Self {
        Self(self.0 | PUBLISHED)
    }

    fn unpublished(self) -> Self {
        Self(self.0 & !PUBLISHED)
    }

    fn is_published(self) -> bool {
        !self.is_settled() && self.0 & PUBLISHED != 0
    }
}

/// A tag and its word, side by side: a client found in the first half of its set, where newcomers
/// go while there is room, costs one cache line.
#[derive(Debug)]
#[repr(align(16))]
struct Slot {
    tag: AtomicU64,
    word: AtomicU64,
}

#[derive(Debug)]
#[repr(align(64))]
struct Set([Slot; WAYS]);

impl Set {
    fn empty() -> Self {
        Self(std::array::from_fn(|_| Slot {
            tag: AtomicU64::new(0),
            word: AtomicU64::new(0),
        }))
    }

    #[inline]
    fn tag(&self, slot: usize) -> u64 {
        self.0[slot].tag.load(Acquire)
    }

    #[inline]
    fn word(&self, slot: usize) -> Word {
        Word(self.0[slot].word.load(Acquire))
    }

    /// The one step that decides: succeeds only for the same tenant in the same state.
    fn exchange(&self, slot: usize, from: Word, to: Word) -> Result<(), Word> {
        self.0[slot]
            .word
            .compare_exchange(from.0, to.0, AcqRel, Acquire)
            .map(drop)
            .map_err(Word)
    }
}

/// One client's question: its tag, the time, what it wants.
#[derive(Clone, Copy)]
struct Question {
    tag: u64,
    now: u64,
    cost: u32,
    gcra: Gcra,
}

impl Question {
    fn verdict(self, tat: u64) -> Verdict {
        self.gcra.decide(tat, self.now, self.cost)
    }
}

/// A verdict, and whether a client in debt was forgotten for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) verdict: Verdict,
    pub(crate) evicted_in_debt: bool,
}

#[derive(Debug)]
pub(crate) struct Table {
    sets: Box<[Set]>,
}

impl Table {
    /// A table of at least `slots` slots, in a power of two of sets.
    pub(crate) fn new(slots: usize) -> Self {
        let sets = slots.div_ceil(WAYS).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| Set::empty()).collect(),
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// Asks for `cost` units for the client with this hash and charges them if allowed.
    #[inline]
    pub(crate) fn check(&self, hash: u64, now: u64, cost: u32, gcra: Gcra) -> Checked {
        // 0 is the empty slot's tag; the set comes from other bits than the one given up here.
        let question = Question {
            tag: hash | 1,
            now,
            cost,
            gcra,
        };
        let set = &self.sets[(hash >> 32) as usize & (self.sets.len() - 1)];
        let mut evicted_in_debt = false;
        loop {
            let verdict = match set.find(question.tag) {
                Found::Settled(slot, word) => set.charge(slot, word, question),
                Found::Published(slot, word) => {
                    // Pairs with the owner's fence: what it published is seen by what we look at.
                    fence(SeqCst);
                    set.settle(slot, word, question)
                }
                Found::Nothing => set.insert(question, &mut evicted_in_debt),
            };
            if let Some(verdict) = verdict {
                return Checked {
                    verdict,
                    evicted_in_debt,
                };
            }
            spin_loop();
        }
    }
}

#[cfg(test)]
impl Table {
    /// Tags and times of all settled slots.
    pub(super) fn tenants(&self) -> Vec<(u64, u64)> {
        let slots = self
            .sets
            .iter()
            .flat_map(|set| (0..WAYS).map(move |slot| (set.tag(slot), set.word(slot))));
        slots
            .filter(|(tag, word)| *tag != 0 && word.is_settled())
            .map(|(tag, word)| (tag, word.time()))
            .collect()
    }
}

enum Found {
    Settled(usize, Word),
    Published(usize, Word),
    Nothing,
}

impl Set {
    #[inline]
    fn find(&self, tag: u64) -> Found {
        let mut found = Found::Nothing;
        for half in [0, WAYS / 2] {
            // Half a set shares a cache line; comparing it without branches beats leaving early.
            let mut hits = 0_u32;
            for slot in 0..WAYS / 2 {
                hits |= u32::from(self.tag(half + slot) == tag) << slot;
            }
            while hits != 0 {
                let slot = half + hits.trailing_zeros() as usize;
                hits &= hits - 1;
                let word = self.word(slot);
                if self.tag(slot) != tag {
                    continue;
                }
                if word.is_settled() {
                    return Found::Settled(slot, word);
                }
                // A claimed slot is none of ours yet, or no longer.
                if word.is_published() {
                    found = Found::Published(slot, word);
                }
            }
        }
        found
    }

    /// `None`: the slot has changed hands, look again.
    #[inline]
    fn charge(&self, slot: usize, mut word: Word, question: Question) -> Option<Verdict> {
        loop {
            let verdict = question.verdict(word.time());
            let now = match verdict.tat {
                Some(tat) => match self.exchange(slot, word, word.settled(tat)) {
                    Ok(()) => return Some(verdict),
                    Err(now) => now,
                },
                // A refusal changes nothing, so it must see that nothing has changed.
                None => match self.word(slot) {
                    same if same == word => return Some(verdict),
                    now => now,
                },
            };
            if !now.is_settled() || self.tag(slot) != question.tag {
                return None;
            }
            word = now;
        }
    }

    /// Brings a newcomer in. `None`: somebody else was faster, look again.
    #[cold]
    #[inline(never)]
    fn insert(&self, question: Question, evicted_in_debt: &mut bool) -> Option<Verdict> {
        let fresh = question.verdict(0);
        if fresh.tat.is_none() {
            return Some(fresh);
        }
        let (slot, victim) = self.victim()?;
        let evicted = self.tag(slot);
        if evicted == question.tag {
            return None;
        }
        let claimed = victim.claimed(question.tag);
        self.exchange(slot, victim, claimed).ok()?;
        *evicted_in_debt |= evicted != 0 && victim.time() > question.now;
        self.0[slot].tag.store(question.tag, Release);
        self.0[slot].word.store(claimed.published().0, Release);
        fence(SeqCst);
        self.settle(slot, claimed.published(), question)
    }

    /// The settled slot with the smallest time. `None`: all slots are just changing hands.
    fn victim(&self) -> Option<(usize, Word)> {
        (0..WAYS)
            .map(|slot| (slot, self.word(slot)))
            .filter(|(_, word)| word.is_settled())
            .min_by_key(|(_, word)| word.time())
    }

    /// Settles a published slot with its client's first charge, unless the client has another one.
    /// `None`: it has, or somebody else was faster; look again.
    #[cold]
    #[inline(never)]
    fn settle(&self, slot: usize, published: Word, question: Question) -> Option<Verdict> {
        for other in (0..WAYS).filter(|other| *other != slot) {
            let word = self.word(other);
            if self.tag(other) != question.tag {
                continue;
            }
            if word.is_settled() || (word.is_published() && other < slot) {
                self.withdraw(slot, published);
                return None;
            }
            if word.is_published() && !self.withdraw(other, word) {
                return None;
            }
        }
        let fresh = question.verdict(0);
        self.exchange(slot, published, published.settled(fresh.tat?))
            .ok()?;
        Some(fresh)
    }

    /// Empties a published slot, if it still is one.
    fn withdraw(&self, slot: usize, published: Word) -> bool {
        let claimed = published.unpublished();
        if self.exchange(slot, published, claimed).is_err() {
            return false;
        }
        self.0[slot].tag.store(0, Release);
        self.0[slot].word.store(claimed.settled(0).0, Release);
        true
    }
}
