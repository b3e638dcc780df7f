//! From requests that end on any thread to windows, one after the other.

use super::control::{Next, Window};
use super::sync::{AtomicU64, Counters, Mutex, Ordering::Relaxed};
use std::sync::{PoisonError, TryLockError};

/// What has ended is added to counters that only ever grow. The first request to end after a window
/// takes the lock, which nobody waits for, and looks at what they have grown by. What another thread
/// is adding just then, even half of it, is part of the next window: nothing is lost, and nothing is
/// counted twice.
pub(super) struct Windows<D> {
    sums: Counters<4>,
    from: AtomicU64,
    until: AtomicU64,
    turn: Mutex<Turn<D>>,
}

struct Turn<D> {
    decide: D,
    /// The counters at the end of the last window.
    seen: [u64; 4],
    /// How many have to end before the window does.
    requests: u64,
}

/// What is done with a window.
pub(super) trait Decide {
    /// After a window that ended `now`.
    fn next(&mut self, window: Window, now: u64) -> Next;
}

const ANSWERED: usize = 0;
const TIME: usize = 1;
const IN_FLIGHT: usize = 2;
const OVERLOADED: usize = 3;

impl<D: Decide> Windows<D> {
    pub(super) fn new(decide: D, first: Next) -> Self {
        Self {
            sums: Counters::new(),
            from: AtomicU64::new(first.from),
            until: AtomicU64::new(first.until),
            turn: Mutex::new(Turn {
                decide,
                seen: [0; 4],
                requests: first.requests,
            }),
        }
    }

    /// Whether what ends `now` is counted. What does not tells of an earlier limit.
    pub(super) fn count(&self, now: u64) -> bool {
        now >= self.from.load(Relaxed)
    }

    /// A request of the client with this hash has ended: after so long, or with a sign of overload.
    pub(super) fn add(&self, client: u64, round_trip: Option<u64>, in_flight: u64, now: u64) {
        match round_trip {
            Some(nanos) => {
                self.sums.add_some(ANSWERED, client, 1);
                self.sums.add_some(TIME, client, nanos);
            }
            None => self.sums.add_some(OVERLOADED, client, 1),
        }
        self.sums.add_some(IN_FLIGHT, client, in_flight);
        if now >= self.until.load(Relaxed) {
            self.end(now);
        }
    }

    #[cold]
    fn end(&self, now: u64) {
        let mut turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        // Somebody else may have been here since.
        if now < self.until.load(Relaxed) {
            return;
        }
        let sums: [u64; 4] = std::array::from_fn(|counter| self.sums.sum(counter));
        let grown = |counter: usize| sums[counter].wrapping_sub(turn.seen[counter]);
        let window = Window {
            answered: grown(ANSWERED),
            time: grown(TIME),
            in_flight: grown(IN_FLIGHT),
            overloaded: grown(OVERLOADED),
        };
        if window.ended() < turn.requests {
            return;
        }
        turn.seen = sums;
        let next = turn.decide.next(window, now);
        turn.requests = next.requests;
        self.from.store(next.from, Relaxed);
        self.until.store(next.until, Relaxed);
    }

    /// For changes from outside.
    pub(super) fn decide<T>(&self, change: impl FnOnce(&mut D) -> T) -> T {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut turn.decide)
    }
}
