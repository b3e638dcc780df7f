//! A slot and the half of a set; the module above explains the protocol.

use super::Ask;
use super::sync::{AtomicU64, Ordering, WAYS, spin_loop};
use super::word::Word;
use Ordering::{AcqRel, Acquire};

/// A tag and its word, side by side: a client found in the first half of its set, where newcomers
/// go while there is room, costs one cache line.
#[derive(Debug)]
#[repr(align(16))]
pub(super) struct Slot {
    pub(super) tag: AtomicU64,
    pub(super) word: AtomicU64,
}

impl Slot {
    pub(super) fn empty() -> Self {
        Self {
            tag: AtomicU64::new(0),
            word: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn tag(&self) -> u64 {
        self.tag.load(Acquire)
    }

    #[inline]
    pub(super) fn word(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    /// The one step that decides: succeeds only for the same tenant in the same state.
    #[inline]
    pub(super) fn exchange(&self, from: Word, to: Word) -> Result<(), Word> {
        self.word
            .compare_exchange(from.0, to.0, AcqRel, Acquire)
            .map(drop)
            .map_err(Word)
    }

    /// Asks about the client that has settled here. `None`: it is not that one, or no longer.
    // Always, here and on the way up: called, it would hand the answer over in memory, written in
    // other pieces than it is read in, and waiting for that takes a quarter of a check.
    #[inline(always)]
    pub(super) fn change<A: Ask>(&self, tag: u64, question: A) -> Option<A::Answer> {
        let mut word = self.word();
        loop {
            // The tag after the word: it changes only under an unsettled one.
            if !word.is_settled() || self.tag() != tag {
                return None;
            }
            let (next, answer) = question.ask(word.state());
            word = match next {
                Some(state) => match self.exchange(word, word.settled(state)) {
                    Ok(()) => return Some(answer),
                    Err(_) => self.after_others(),
                },
                // A refusal changes nothing, so it must see that nothing has changed.
                None => match self.word() {
                    same if same == word => return Some(answer),
                    now => now,
                },
            };
        }
    }

    /// The word, once whoever was faster has had a moment for more: to pass a line of the processor's
    /// cache to and fro costs all of them more than to let one keep it.
    #[cold]
    fn after_others(&self) -> Word {
        for _ in 0..BACK_OFF {
            spin_loop();
        }
        self.word()
    }
}

/// Pauses: as long as some ten checks take.
const BACK_OFF: usize = 8;

pub(super) const HALF: usize = WAYS / 2;

/// What shares a cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Half(pub(super) [Slot; HALF]);

impl Half {
    pub(super) fn empty() -> Self {
        Self(std::array::from_fn(|_| Slot::empty()))
    }

    /// The slot with this tag, or [`HALF`]. Conditional moves, no branches: which slot it is cannot be
    /// foretold.
    #[inline]
    pub(super) fn find(&self, tag: u64) -> usize {
        let mut found = HALF;
        for slot in 0..HALF {
            if self.0[slot].tag() == tag {
                found = slot;
            }
        }
        found
    }
}
