//! The sliding window log: every unit's time is kept, so any stretch of a period has at most its
//! units, exactly.

use super::{Act, NEVER, Verdict};

/// A quota in the algorithm's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) units: u64,
    /// Nanoseconds.
    pub(crate) period: u64,
}

/// The times of the last units, oldest first, in a ring over memory that belongs to somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ring {
    first: u32,
    length: u32,
}

impl Ring {
    fn at(self, times: &[u64], index: usize) -> u64 {
        times[(self.first as usize + index) % times.len()]
    }

    fn length(self) -> usize {
        self.length as usize
    }

    /// The time of the last unit, or 0.
    pub(crate) fn newest(self, times: &[u64]) -> u64 {
        match self.length().checked_sub(1) {
            Some(last) => self.at(times, last),
            None => 0,
        }
    }

    fn push(&mut self, times: &mut [u64], time: u64) {
        if self.length() == times.len() {
            self.pop_oldest(times.len());
        }
        let end = (self.first as usize + self.length()) % times.len();
        times[end] = time;
        self.length += 1;
    }

    fn pop_oldest(&mut self, capacity: usize) {
        self.first = ((self.first as usize + 1) % capacity) as u32;
        self.length -= 1;
    }
}

impl Log {
    /// With this share of the units, one at least.
    pub(crate) fn scaled(self, share: f64) -> Self {
        let units = ((self.units as f64 * share) as u64).max(1);
        Self { units, ..self }
    }

    /// Answers for one client's ring. Charges beyond what the ring holds push out the oldest.
    pub(crate) fn ask(self, ring: &mut Ring, times: &mut [u64], now: u64, act: Act) -> Verdict {
        while ring.length > 0 && now.saturating_sub(ring.at(times, 0)) >= self.period {
            ring.pop_oldest(times.len());
        }
        // A racing thread may have read a later time already: the log stays in order.
        let now = now.max(ring.newest(times));
        let verdict = self.verdict(*ring, times, now, act.cost());
        match act {
            Act::Peek(_) => {}
            Act::Take(cost) | Act::Reserve(cost, _) => {
                if !verdict.allowed {
                    return verdict;
                }
                (0..cost).for_each(|_| ring.push(times, now));
            }
            Act::Charge(cost) => {
                let most = u32::try_from(times.len()).unwrap_or(u32::MAX);
                (0..cost.min(most)).for_each(|_| ring.push(times, now));
            }
            Act::Refund(cost) | Act::Undo(cost, _) => ring.length -= cost.min(ring.length),
            Act::Forget => ring.length = 0,
        }
        verdict.with(self.verdict(*ring, times, now, 0))
    }

    fn verdict(self, ring: Ring, times: &[u64], now: u64, cost: u32) -> Verdict {
        let (length, cost) = (ring.length() as u64, u64::from(cost));
        let over = (length + cost).saturating_sub(self.units);
        let wait = if over == 0 {
            0
        } else if cost > self.units {
            NEVER
        } else {
            // When as many of the oldest have left; `over` is at most the length.
            ring.at(times, over as usize - 1) + self.period - now
        };
        Verdict {
            allowed: over == 0,
            wait,
            room: self.units.saturating_sub(length),
            full_in: match ring.length {
                0 => 0,
                _ => ring.newest(times) + self.period - now,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PERIOD: u64 = 1_000;

    proptest! {
        /// Any stretch of a period has at most the units, and a refusal is right: one more would
        /// have been too many.
        #[test]
        fn is_exact(
            units in 1_usize..10, steps in prop::collection::vec((0_u64..400, 1_u32..4), 1..200),
        ) {
            let log = Log { units: units as u64, period: PERIOD };
            let (mut ring, mut times) = (Ring::default(), vec![0; units]);
            let (mut now, mut given) = (1, Vec::<u64>::new());
            for (step, cost) in steps {
                now += step;
                let lately = given.iter().filter(|at| now - **at < PERIOD).count();
                let peeked = log.ask(&mut ring, &mut times, now, Act::Peek(cost));
                let taken = log.ask(&mut ring, &mut times, now, Act::Take(cost));
                prop_assert_eq!((peeked.allowed, peeked.wait), (taken.allowed, taken.wait));
                prop_assert_eq!(taken.allowed, lately + cost as usize <= units);
                if taken.allowed {
                    given.extend((0..cost).map(|_| now));
                    prop_assert_eq!(taken.room as usize, units - lately - cost as usize);
                } else if cost as usize <= units {
                    let fits = |wait: u64| {
                        let then = now + wait;
                        let still = given.iter().filter(|at| then - **at < PERIOD).count();
                        still + cost as usize <= units
                    };
                    prop_assert!(fits(taken.wait) && !fits(taken.wait - 1));
                } else {
                    prop_assert_eq!(taken.wait, NEVER);
                }
            }
        }

        /// Charges and refunds of any size leave a log that can be asked.
        #[test]
        fn takes_any_charge(acts in prop::collection::vec((0_u8..3, 0_u32..100, 0_u64..3_000), 1..100)) {
            let log = Log { units: 4, period: PERIOD };
            let (mut ring, mut times) = (Ring::default(), vec![0; 4]);
            let mut now = 1;
            for (kind, cost, step) in acts {
                now += step;
                let act = [Act::Charge(cost), Act::Refund(cost), Act::Take(cost)][usize::from(kind)];
                let verdict = log.ask(&mut ring, &mut times, now, act);
                prop_assert!(verdict.room <= 4 && verdict.full_in <= PERIOD);
            }
        }
    }
}
