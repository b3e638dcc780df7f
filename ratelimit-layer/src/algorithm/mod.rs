//! How a client's units are counted: pure functions over one word of state, or over a log.

mod gcra;
mod log;
mod window;

pub(crate) use gcra::Gcra;
pub(crate) use log::{Log, Ring};
pub(crate) use window::Window;

use crate::table::Ask;

/// The wait for what will never be allowed: it asks for more than there ever is.
pub(crate) const NEVER: u64 = u64::MAX;

/// What a question comes to; times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// How long until the same request would be allowed, or may go, if it was allowed to wait.
    pub(crate) wait: u64,
    /// What is left afterwards, in the algorithm's own measure; see [`OneWord::unit`].
    pub(crate) room: u64,
    /// How long until all is there again.
    pub(crate) full_in: u64,
}

impl Verdict {
    /// The same answer, but with what is there as `standing` has it.
    fn with(self, standing: Self) -> Self {
        Self {
            room: standing.room,
            full_in: standing.full_in,
            ..self
        }
    }
}

/// What is asked for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// So many units, if they are there; nothing changes else.
    Take(u32),
    /// Whether [`Take`](Self::Take) would be allowed, and what is there as it is.
    Peek(u32),
    /// So many units, if they are there within that many nanoseconds.
    Reserve(u32, u64),
    /// So many units, whether they are there or not.
    Charge(u32),
    /// So many units go back.
    Refund(u32),
    /// So many units go back if nothing has changed since the state became this one.
    Undo(u32, u64),
    /// All is forgotten.
    Forget,
}

impl Act {
    /// The units that must be there.
    pub(crate) fn cost(self) -> u32 {
        match self {
            Self::Take(cost) | Self::Peek(cost) | Self::Reserve(cost, _) => cost,
            Self::Charge(_) | Self::Refund(_) | Self::Undo(..) | Self::Forget => 0,
        }
    }
}

/// A way to count in one word of state; 0 is a client that nobody knows.
pub(crate) trait OneWord: Copy {
    /// May `cost` units go, now or, where that can be waited for, within `patience`? With the state
    /// to keep if so.
    fn take(self, state: u64, now: u64, cost: u32, patience: u64) -> (Option<u64>, Verdict);

    /// The state after `cost` units that are not asked for: it may lie beyond what
    /// [`take`](Self::take) comes to.
    fn charge(self, state: u64, now: u64, cost: u32) -> u64;

    /// The state with `cost` units given back, at most what was taken.
    fn refund(self, state: u64, now: u64, cost: u32) -> u64;

    /// Whether forgetting this state would give the client something.
    fn in_debt(self, state: u64, now: u64) -> bool;

    /// How much of [`Verdict::room`] a unit takes.
    fn unit(self) -> u64;
}

/// What is asked of a client's state, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<A> {
    pub(crate) algorithm: A,
    pub(crate) now: u64,
    pub(crate) act: Act,
}

impl<A: OneWord> Ask for Question<A> {
    type Answer = Verdict;

    #[inline]
    fn ask(self, state: u64) -> (Option<u64>, Verdict) {
        let Self {
            algorithm,
            now,
            act,
        } = self;
        let next = match act {
            Act::Take(cost) => return algorithm.take(state, now, cost, 0),
            Act::Reserve(cost, patience) => return algorithm.take(state, now, cost, patience),
            Act::Peek(cost) => {
                let (_, asked) = algorithm.take(state, now, cost, 0);
                return (None, asked.with(algorithm.take(state, now, 0, 0).1));
            }
            Act::Charge(cost) => Some(algorithm.charge(state, now, cost)),
            Act::Undo(_, from) if from != state => None,
            Act::Forget => (state != 0).then_some(0),
            Act::Undo(cost, _) | Act::Refund(cost) => {
                let owes = algorithm.in_debt(state, now);
                owes.then(|| algorithm.refund(state, now, cost))
            }
        };
        let standing = algorithm.take(next.unwrap_or(state), now, 0, 0).1;
        (next, standing)
    }

    #[inline]
    fn in_debt(self, state: u64) -> bool {
        self.algorithm.in_debt(state, self.now)
    }
}
