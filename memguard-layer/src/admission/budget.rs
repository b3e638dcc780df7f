//! The reservation word: how many bytes are promised, in one atomic, and what keeps the sum honest.
//!
//! # What is counted when
//!
//! The guard keeps `heap + reserved <= budget` at every admission. `heap` is what the source counts; `reserved` is what
//! was promised and is not in the heap yet. A body of `L` bytes whose handler buffers it costs `factor × L` at its
//! worst (2: the frames, and the buffer they are joined in). Its bytes live in one of these places:
//!
//! | moment | in `heap` | in `reserved` |
//! | --- | --- | --- |
//! | admitted, nothing read | 0 | `factor × L` |
//! | a frame of `n` was read by the connection, nobody polled it | `n` | `factor × L` |
//! | the frame was handed to the handler | `n` | `factor × (L - n)`, and `(factor - 1) × n`, of which the frame holds `n` |
//! | all frames handed over, none copied | `L` | `(factor - 1) × L` |
//! | the handler joins them: buffer allocated, frames alive | `2 × L` | `(factor - 1) × L` |
//! | joined, frames dropped | `L` | `(factor - 2) × L` |
//! | parsed into a tree | `(factor - 1) × L` at most | `(factor - 2) × L` |
//! | the response is ready | what the handler still holds | 0 |
//!
//! A frame carries the share of its copy until it is dropped, so a handler that reads and forgets (a stream, a proxy)
//! gives back as it goes, one that holds on keeps its promise for as long, and neither depends on when the response is
//! ready. A factor above 2 is for what is made of the whole body once its frames are gone: that share is given back when
//! the response is ready, and counts twice from when it is made until then.
//!
//! **Counted twice, briefly.** Between the read and the poll a frame is in both columns, for at most one read buffer per
//! connection. During the join the copy is in `heap` while its promise still stands, for the microseconds of copying.
//! Both err towards refusing.
//!
//! **Not promised.** The read-ahead of a connection whose request is not admitted yet, which is in `heap` as soon as it
//! is allocated; what a handler allocates beyond `factor` times the body, for instance the old half of a growing `Vec`,
//! or a parsed tree; the bookkeeping of frames (some hundred bytes each, which matters if they hold one byte). The heap
//! sees all of it at once, admission stops, and a body whose promise no longer covers what it does to the heap is ended
//! when the heap alone is over the budget.
//!
//! A body of unknown length holds 64 KiB for what the connection may read ahead, until it ends; each frame's share is
//! reserved before the frame is handed over, and a share that does not fit makes it wait for room or ends the body, as the
//! policy says.
//!
//! # Why one word is enough
//!
//! Admission reads the word, then the heap, and swaps the word if it is unchanged. Bytes enter the heap *before* they
//! leave the word (the release is ordered after the allocation), so whoever sees the smaller word sees the larger heap.
//! What could still go wrong is a word that changed and changed back between reading and swapping: a frame moves to the
//! heap, another request reserves as much, and the swap would succeed on a heap that was read before the move. The upper
//! 16 bits count releases, so such a swap fails and the heap is read anew. Thus no byte of a guarded body is ever missing
//! from the sum by which another is admitted. Two bits between them say that somebody waits for room: whoever comes later
//! sees them in the word that he would swap, and whoever releases sees them in the word that he changes. The price is a
//! bound of 64 TiB for the budget.

use super::sync::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};

/// The largest budget, in bytes: what the word can hold.
pub(crate) const LARGEST: u64 = (1 << 46) - 1;

/// Half-read bodies wait for room; newcomers do.
const BODIES: u64 = 1 << 46;
const NEWCOMERS: u64 = 1 << 47;

/// One release.
const RELEASES: u64 = 1 << 48;

/// Who asks for room, and so must let those go first who wait for it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Newcomer,
    /// Whose turn it is among the newcomers that wait.
    FirstNewcomer,
    /// A half-read body.
    Body,
    /// Whose turn it is among the bodies that wait.
    FirstBody,
}

/// A line in which those wait who want room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    Bodies,
    Newcomers,
}

impl Queue {
    const fn bit(self) -> u64 {
        match self {
            Self::Bodies => BODIES,
            Self::Newcomers => NEWCOMERS,
        }
    }
}

impl Asker {
    const fn behind(self) -> u64 {
        match self {
            Self::Newcomer => BODIES | NEWCOMERS,
            Self::FirstNewcomer | Self::Body => BODIES,
            Self::FirstBody => 0,
        }
    }
}

/// A number of bytes, and how many of them are promised.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    word: AtomicU64,
}

/// By how many bytes a reservation did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short(pub(crate) u64);

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        debug_assert!(bytes <= LARGEST, "checked by the layer");
        Self {
            bytes,
            word: AtomicU64::new(0),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn reserved(&self) -> u64 {
        self.word.load(Acquire) & LARGEST
    }

    /// Promises `want` bytes if they fit beside the heap and all promises, and nobody is to go first; `heap` is read anew for
    /// each try.
    pub(crate) fn reserve(
        &self,
        want: u64,
        asker: Asker,
        heap: impl Fn() -> u64,
    ) -> Result<(), Short> {
        let mut word = self.word.load(Acquire);
        loop {
            if word & asker.behind() != 0 {
                return Err(Short(want));
            }
            let used = (word & LARGEST).saturating_add(heap());
            let after = used.saturating_add(want);
            if after > self.bytes {
                return Err(Short(after - self.bytes));
            }
            // No carry into the count of releases: the promised bytes stay within the budget.
            match self
                .word
                .compare_exchange_weak(word, word + want, AcqRel, Acquire)
            {
                Ok(_) => return Ok(()),
                Err(changed) => word = changed,
            }
        }
    }

    /// Promises `bytes` whether they fit or not.
    pub(crate) fn insist(&self, bytes: u64) {
        let before = self.word.fetch_add(bytes, AcqRel);
        debug_assert!((before & LARGEST) + bytes <= LARGEST, "64 TiB are promised");
    }

    /// Takes `bytes` of a promise back, and says whether somebody waits for them. What they stood for is in the heap by now,
    /// or will never be.
    #[must_use = "whoever waits must be told"]
    pub(crate) fn release(&self, bytes: u64) -> bool {
        let before = self.word.fetch_add(RELEASES.wrapping_sub(bytes), AcqRel);
        debug_assert!(before & LARGEST >= bytes, "released more than was reserved");
        before & (BODIES | NEWCOMERS) != 0
    }

    /// Lets those who come from now on wait behind others. Whoever looks for room after this either finds what is released
    /// or is told of it.
    pub(crate) fn bar(&self, line: Queue) {
        self.word.fetch_or(line.bit(), AcqRel);
    }

    /// Nobody waits in this line any more.
    pub(crate) fn unbar(&self, line: Queue) {
        self.word.fetch_and(!line.bit(), AcqRel);
    }
}
