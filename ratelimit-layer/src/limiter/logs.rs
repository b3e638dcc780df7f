//! Where sliding window logs live: sets of eight, as in [`Table`](crate::table::Table), each behind
//! a lock of its own, since a log is more than a word.

use crate::algorithm::{Act, Log, Ring, Verdict};
use crate::table::Asked;
use std::sync::{Mutex, MutexGuard, PoisonError};

const WAYS: usize = 8;

#[derive(Debug)]
pub(crate) struct Logs {
    sets: Box<[Mutex<Set>]>,
    /// What one ring holds.
    units: usize,
}

#[derive(Debug)]
struct Set {
    /// 0: empty.
    tags: [u64; WAYS],
    rings: [Ring; WAYS],
    times: Box<[u64]>,
}

impl Logs {
    pub(crate) fn new(clients: usize, units: usize) -> Self {
        let set = || Set {
            tags: [0; WAYS],
            rings: [Ring::default(); WAYS],
            times: vec![0; WAYS * units].into(),
        };
        let sets = clients.div_ceil(WAYS).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| Mutex::new(set())).collect(),
            units,
        }
    }

    pub(crate) fn units(&self) -> usize {
        self.units
    }

    pub(crate) fn slots(&self) -> usize {
        self.sets.len() * WAYS
    }

    pub(crate) fn ask(&self, hash: u64, log: Log, now: u64, act: Act) -> Asked<Verdict> {
        let tag = hash | 1;
        let mut set = self.lock((hash >> 32) as usize & (self.sets.len() - 1));
        let mut evicted_in_debt = false;
        let slot = match set.tags.iter().position(|other| *other == tag) {
            Some(slot) => slot,
            None => {
                // Of a client that is not known nothing is kept unless it gets something.
                let verdict = log.ask(&mut Ring::default(), &mut [0], now, Act::Peek(act.cost()));
                let takes = matches!(act, Act::Take(_) | Act::Reserve(..)) && verdict.allowed;
                if !takes && !matches!(act, Act::Charge(_)) {
                    return Asked {
                        answer: verdict,
                        evicted_in_debt,
                    };
                }
                let slot = set.victim(self.units);
                evicted_in_debt = set.owes(slot, self.units, now, log.period);
                set.tags[slot] = tag;
                set.rings[slot] = Ring::default();
                slot
            }
        };
        let Set { rings, times, .. } = &mut *set;
        let times = &mut times[slot * self.units..][..self.units];
        Asked {
            answer: log.ask(&mut rings[slot], times, now, act),
            evicted_in_debt,
        }
    }

    /// How many clients have used something in the last `period`.
    pub(crate) fn count(&self, now: u64, period: u64) -> usize {
        let sets = (0..self.sets.len()).map(|set| self.lock(set));
        sets.map(|set| {
            let owing = (0..WAYS).filter(|slot| set.owes(*slot, self.units, now, period));
            owing.count()
        })
        .sum()
    }

    fn lock(&self, set: usize) -> MutexGuard<'_, Set> {
        // Nothing in here panics half-way.
        self.sets[set]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Set {
    fn newest(&self, slot: usize, units: usize) -> u64 {
        self.rings[slot].newest(&self.times[slot * units..][..units])
    }

    /// The slot whose last unit is the oldest.
    fn victim(&self, units: usize) -> usize {
        (0..WAYS)
            .min_by_key(|slot| self.newest(*slot, units))
            .expect("a set has slots")
    }

    fn owes(&self, slot: usize, units: usize, now: u64, period: u64) -> bool {
        let newest = self.newest(slot, units);
        newest > 0 && now.saturating_sub(newest) < period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Log = Log {
        units: 2,
        period: 1_000,
    };

    fn take(logs: &Logs, client: u64, now: u64) -> Asked<Verdict> {
        logs.ask(client << 1, LOG, now, Act::Take(1))
    }

    #[test]
    fn a_ninth_client_takes_the_place_of_who_has_been_quiet_longest() {
        let logs = Logs::new(8, 2);
        for client in 1..=8 {
            assert!(take(&logs, client, 10 + client).answer.allowed);
            assert!(take(&logs, client, 20 + client).answer.allowed);
        }
        assert!(!take(&logs, 1, 30).answer.allowed);
        let ninth = take(&logs, 9, 30);
        assert!(ninth.answer.allowed && ninth.evicted_in_debt);
        assert_eq!(logs.count(30, LOG.period), 8);
        // The first was forgotten, the second was not.
        assert!(!take(&logs, 2, 30).answer.allowed);
        assert!(take(&logs, 1, 31).answer.allowed);
        assert!(!take(&logs, 10, 2_000).evicted_in_debt);
    }

    #[test]
    fn who_only_asks_takes_no_place() {
        let logs = Logs::new(8, 2);
        for act in [Act::Peek(1), Act::Take(3), Act::Refund(1), Act::Forget] {
            let _ = logs.ask(2, LOG, 10, act);
            assert_eq!(logs.count(10, LOG.period), 0, "{act:?}");
        }
        assert!(take(&logs, 1, 10).answer.allowed);
        let _ = logs.ask(2, LOG, 10, Act::Forget);
        assert_eq!(logs.count(10, LOG.period), 0);
    }
}
