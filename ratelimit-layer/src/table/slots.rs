//! The table's sets, and how a client comes by a slot in one; the module above explains the protocol.

use super::Ask;
use super::slot::{HALF, Half, Slot};
use super::sync::{Ordering, WAYS, fence, spin_loop};
use super::word::Word;
use Ordering::{Release, SeqCst};

/// The slots that a client may be in.
#[derive(Clone, Copy)]
struct Set<'a> {
    halves: [&'a Half; 2],
}

impl<'a> Set<'a> {
    fn slot(self, slot: usize) -> &'a Slot {
        &self.halves[slot / HALF].0[slot % HALF]
    }

    fn tag(self, slot: usize) -> u64 {
        self.slot(slot).tag()
    }

    fn word(self, slot: usize) -> Word {
        self.slot(slot).word()
    }
}

/// An answer, and whether a client in debt was forgotten for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked<T> {
    pub(crate) answer: T,
    pub(crate) evicted_in_debt: bool,
}

/// The first halves of all sets, and their second ones, of which few are needed before the table is
/// half full: side by side they would share the processor's caches, whose sets go by addresses.
#[derive(Debug)]
pub(crate) struct Table {
    halves: [Box<[Half]>; 2],
}

impl Table {
    /// A table of at least `slots` slots, in a power of two of sets.
    pub(crate) fn new(slots: usize) -> Self {
        let sets = slots.div_ceil(WAYS).next_power_of_two();
        let halves = || (0..sets).map(|_| Half::empty()).collect();
        Self {
            halves: [halves(), halves()],
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.halves[0].len() * WAYS
    }

    fn sets(&self) -> impl Iterator<Item = Set<'_>> {
        let [first, second] = &self.halves;
        let both = first.iter().zip(second);
        both.map(|(first, second)| Set {
            halves: [first, second],
        })
    }

    /// Looks for the client with this hash. Ask about it soon: what is done until then, such as
    /// reading a clock, is done while the processor fetches the set.
    #[inline]
    pub(crate) fn place(&self, hash: u64) -> Place<'_> {
        // 0 is the empty slot's tag; the set comes from other bits than the one given up here.
        let tag = hash | 1;
        let [firsts, _] = &self.halves;
        let set = (hash >> 32) as usize & (firsts.len() - 1);
        let first = &firsts[set];
        Place {
            table: self,
            set,
            first,
            tag,
            slot: first.find(tag),
        }
    }

    /// Asks about the client with this hash, and keeps what the answer makes of its state.
    #[inline]
    pub(crate) fn ask<A: Ask>(&self, hash: u64, question: A) -> Asked<A::Answer> {
        self.place(hash).ask(question)
    }

    /// Puts `change` of each client's state in its place. A client that comes while this goes on
    /// may be left out.
    pub(crate) fn change_all(&self, change: impl Fn(u64) -> u64) {
        for set in self.sets() {
            for slot in (0..WAYS).map(|slot| set.slot(slot)) {
                let mut word = slot.word();
                while word.is_settled() && word.state() > 0 {
                    match slot.exchange(word, word.settled(change(word.state()))) {
                        Ok(()) => break,
                        Err(now) => word = now,
                    }
                }
            }
        }
    }

    /// How many clients have a state that `counts`.
    pub(crate) fn count(&self, counts: impl Fn(u64) -> bool) -> usize {
        let words = self
            .sets()
            .flat_map(|set| (0..WAYS).map(move |slot| set.word(slot)));
        words
            .filter(|word| word.is_settled() && word.state() > 0 && counts(word.state()))
            .count()
    }
}

#[cfg(test)]
impl Table {
    /// Tags and states of all settled slots.
    pub(super) fn tenants(&self) -> Vec<(u64, u64)> {
        let slots = self
            .sets()
            .flat_map(|set| (0..WAYS).map(move |slot| (set.tag(slot), set.word(slot))));
        slots
            .filter(|(tag, word)| *tag != 0 && word.is_settled())
            .map(|(tag, word)| (tag, word.state()))
            .collect()
    }
}

/// Where a client is, if it is in the table.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    table: &'a Table,
    set: usize,
    first: &'a Half,
    tag: u64,
    /// Its slot in the first half, or [`HALF`].
    slot: usize,
}

impl Place<'_> {
    /// Asks about the client, and keeps what the answer makes of its state.
    #[inline]
    pub(crate) fn ask<A: Ask>(self, question: A) -> Asked<A::Answer> {
        match self.ask_known(question) {
            Some(answer) => Asked {
                answer,
                evicted_in_debt: false,
            },
            None => self.table.ask_on(self.set, self.tag, question),
        }
    }

    /// The step that nearly all questions take; `None` where a client is new, or others were faster.
    #[inline(always)]
    pub(crate) fn ask_known<A: Ask>(self, question: A) -> Option<A::Answer> {
        let slot = match self.first.0.get(self.slot) {
            Some(slot) => slot,
            None => {
                let second = &self.table.halves[1][self.set];
                second.0.get(second.find(self.tag))?
            }
        };
        slot.change(self.tag, question)
    }
}

impl Table {
    /// Asks until there is an answer: for newcomers, and where others were faster.
    #[cold]
    #[inline(never)]
    fn ask_on<A: Ask>(&self, set: usize, tag: u64, question: A) -> Asked<A::Answer> {
        let set = Set {
            halves: [&self.halves[0][set], &self.halves[1][set]],
        };
        let mut evicted_in_debt = false;
        loop {
            let answer = match set.find(tag) {
                Found::Settled(slot) => set.slot(slot).change(tag, question),
                Found::Published(slot, word) => {
                    // Pairs with the owner's fence: what it published is seen by what we look at.
                    fence(SeqCst);
                    set.settle(slot, word, tag, question)
                }
                Found::Nothing => set.insert(tag, question, &mut evicted_in_debt),
            };
            if let Some(answer) = answer {
                return Asked {
                    answer,
                    evicted_in_debt,
                };
            }
            spin_loop();
        }
    }
}

enum Found {
    Settled(usize),
    Published(usize, Word),
    Nothing,
}

impl Set<'_> {
    fn find(self, tag: u64) -> Found {
        let mut found = Found::Nothing;
        for slot in 0..WAYS {
            if self.tag(slot) != tag {
                continue;
            }
            let word = self.word(slot);
            if self.tag(slot) != tag {
                continue;
            }
            if word.is_settled() {
                return Found::Settled(slot);
            }
            // A claimed slot is none of ours yet, or no longer.
            if word.is_published() {
                found = Found::Published(slot, word);
            }
        }
        found
    }

    /// Brings a newcomer in. `None`: somebody else was faster, look again.
    fn insert<A: Ask>(
        self,
        tag: u64,
        question: A,
        evicted_in_debt: &mut bool,
    ) -> Option<A::Answer> {
        let (next, answer) = question.ask(0);
        if next.is_none() {
            return Some(answer);
        }
        let (slot, victim) = self.victim()?;
        let evicted = self.tag(slot);
        if evicted == tag {
            return None;
        }
        let claimed = victim.claimed(tag);
        self.slot(slot).exchange(victim, claimed).ok()?;
        *evicted_in_debt |= evicted != 0 && question.in_debt(victim.state());
        self.slot(slot).tag.store(tag, Release);
        self.slot(slot).word.store(claimed.published().0, Release);
        fence(SeqCst);
        self.settle(slot, claimed.published(), tag, question)
    }

    /// The settled slot with the smallest time. `None`: all slots are just changing hands.
    fn victim(self) -> Option<(usize, Word)> {
        (0..WAYS)
            .map(|slot| (slot, self.word(slot)))
            .filter(|(_, word)| word.is_settled())
            .min_by_key(|(_, word)| word.state())
    }

    /// Settles a published slot with the answer to its client's first question, unless the client has
    /// another one. `None`: it has, or somebody else was faster; look again.
    fn settle<A: Ask>(
        self,
        slot: usize,
        published: Word,
        tag: u64,
        question: A,
    ) -> Option<A::Answer> {
        for other in (0..WAYS).filter(|other| *other != slot) {
            let word = self.word(other);
            if self.tag(other) != tag {
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
        // Who only asks finds a newcomer that has nothing yet: settled, but empty.
        let (next, answer) = question.ask(0);
        self.slot(slot)
            .exchange(published, published.settled(next.unwrap_or(0)))
            .ok()?;
        Some(answer)
    }

    /// Empties a published slot, if it still is one.
    fn withdraw(self, slot: usize, published: Word) -> bool {
        let claimed = published.unpublished();
        if self.slot(slot).exchange(published, claimed).is_err() {
            return false;
        }
        self.slot(slot).tag.store(0, Release);
        self.slot(slot).word.store(claimed.settled(0).0, Release);
        true
    }
}
