//! The generic cell rate algorithm over one word of state.
//!
//! A client's state is its *theoretical arrival time* (TAT): the moment at which its bucket is full
//! again. A unit moves it `interval` later; a request is refused when that would carry it further
//! than `depth` past now. A TAT in the past means a full bucket, whatever its exact value.
//! (ITU-T I.371, annex A, in its virtual scheduling form.)

use super::{NEVER, OneWord, Verdict};

/// A quota in the algorithm's terms, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// Time one unit costs.
    interval: u64,
    /// Time a whole burst costs: the depth of the bucket.
    depth: u64,
}

impl Gcra {
    pub(crate) fn new(interval: u64, burst: u32) -> Self {
        Self::of_terms(interval, interval.saturating_mul(u64::from(burst)))
    }

    pub(crate) fn of_terms(interval: u64, depth: u64) -> Self {
        Self { interval, depth }
    }

    /// Interval and depth.
    pub(crate) fn terms(self) -> (u64, u64) {
        (self.interval, self.depth)
    }

    /// At this share of the rate, more than 0. The depth stays the time it is, so that a burst
    /// shrinks and grows with the rate.
    // Out of the way of a check at the full share, which is most.
    #[inline(never)]
    pub(crate) fn scaled(self, share: f64) -> Self {
        // A float that is too large becomes the largest number; the burst stays a unit at least.
        let interval = ((self.interval as f64 / share).ceil() as u64).max(1);
        Self {
            interval,
            depth: self.depth.max(interval),
        }
    }

    /// `state`, in which the units owed to `self` are owed to `other`, at most its burst.
    pub(crate) fn moved(self, state: u64, now: u64, other: Self) -> u64 {
        let debt = u128::from(state.saturating_sub(now));
        let debt = debt * u128::from(other.interval) / u128::from(self.interval);
        let debt = u64::try_from(debt).unwrap_or(u64::MAX).min(other.depth);
        if debt == 0 {
            state.min(now)
        } else {
            now.saturating_add(debt)
        }
    }

    fn price(self, cost: u32) -> u64 {
        self.interval.saturating_mul(u64::from(cost))
    }
}

impl OneWord for Gcra {
    /// Never overflows: sums saturate, and a cost above the burst is refused for ever.
    #[inline]
    fn take(self, state: u64, now: u64, cost: u32, patience: u64) -> (Option<u64>, Verdict) {
        let start = state.max(now);
        let price = self.price(cost);
        let debt = start - now;
        let after = debt.saturating_add(price);
        let wait = after.saturating_sub(self.depth);
        if wait == 0 || (wait <= patience && price <= self.depth) {
            let verdict = Verdict {
                allowed: true,
                wait,
                room: self.depth.saturating_sub(after),
                full_in: after,
            };
            return (Some(now.saturating_add(after)), verdict);
        }
        let verdict = Verdict {
            allowed: false,
            wait: if price > self.depth { NEVER } else { wait },
            room: self.depth.saturating_sub(debt),
            full_in: debt,
        };
        (None, verdict)
    }

    fn charge(self, state: u64, now: u64, cost: u32) -> u64 {
        state.max(now).saturating_add(self.price(cost))
    }

    fn refund(self, state: u64, now: u64, cost: u32) -> u64 {
        state.saturating_sub(self.price(cost)).max(now)
    }

    #[inline]
    fn in_debt(self, state: u64, now: u64) -> bool {
        state > now
    }

    #[inline]
    fn unit(self) -> u64 {
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// In any stretch of time at most a burst and what the rate gives.
        #[test]
        fn never_more_than_burst_and_rate(
            interval in 1_u64..1_000, burst in 1_u32..20,
            steps in prop::collection::vec((0_u64..3_000, 1_u32..4), 1..200),
        ) {
            let gcra = Gcra::new(interval, burst);
            let (mut now, mut tat, mut given) = (1, 0, Vec::new());
            for (step, cost) in steps {
                now += step;
                let next = gcra.take(tat, now, cost, 0).0;
                if let Some(next) = next {
                    prop_assert!(next >= tat);
                    tat = next;
                    given.push((now, u64::from(cost)));
                }
            }
            for (index, (from, _)) in given.iter().enumerate() {
                let mut sum = 0;
                for (to, cost) in &given[index..] {
                    sum += cost;
                    prop_assert!(sum <= u64::from(burst) + (to - from) / interval);
                }
            }
        }

        /// The wait is exact, and what is left can be used.
        #[test]
        fn waits_and_room_are_exact(
            interval in 1_u64..1_000_000, burst in 1_u32..1_000, cost in 1_u32..1_000,
            debt in 0_u64..1_000_000_000, now in 1_u64..1_000_000_000_000,
        ) {
            let gcra = Gcra::new(interval, burst);
            let tat = now + debt.min(gcra.depth);
            let (next, verdict) = gcra.take(tat, now, cost, 0);
            prop_assert_eq!(next.is_some(), verdict.wait == 0);
            prop_assert!(verdict.room + verdict.full_in == gcra.depth);
            let left = u32::try_from(verdict.room / interval).unwrap();
            let after = next.unwrap_or(tat);
            prop_assert!(left == 0 || gcra.take(after, now, left, 0).0.is_some());
            prop_assert!(gcra.take(after, now, left + 1, 0).0.is_none());
            if cost > burst {
                prop_assert_eq!(verdict.wait, u64::MAX);
            } else {
                prop_assert!(gcra.take(tat, now + verdict.wait, cost, 0).0.is_some());
                prop_assert!(verdict.wait == 0 || gcra.take(tat, now + verdict.wait - 1, cost, 0).0.is_none());
            }
        }

        /// Nothing overflows, whatever the values.
        #[test]
        fn takes_any_value(
            interval in 1_u64.., burst in 1_u32.., tat: u64, now: u64, cost: u32,
        ) {
            let gcra = Gcra::new(interval, burst);
            let (next, verdict) = gcra.take(tat, now, cost, 0);
            prop_assert!(next.is_none_or(|next| next >= tat && next >= now));
            prop_assert!(verdict.room <= gcra.depth);
        }

        /// What is charged comes back by a refund, and a refund gives no more than a full bucket.
        #[test]
        fn a_refund_undoes_a_charge(
            interval in 1_u64..1_000_000, burst in 1_u32..1_000, debt in 0_u64..1_000_000_000,
            cost in 0_u32..1_000, now in 1_u64..1_000_000_000_000,
        ) {
            let gcra = Gcra::new(interval, burst);
            let state = now + debt;
            prop_assert_eq!(gcra.refund(gcra.charge(state, now, cost), now, cost), state);
            prop_assert!(gcra.refund(state, now, cost) >= now);
        }

        /// Who waits as long as it was told goes where nobody is refused.
        #[test]
        fn a_reserved_unit_is_there_after_the_wait(
            interval in 1_u64..1_000, burst in 1_u32..20, patience in 0_u64..5_000,
            steps in prop::collection::vec((0_u64..2_000, 1_u32..4), 1..200),
        ) {
            let gcra = Gcra::new(interval, burst);
            let (mut now, mut state, mut last, mut given) = (1, 0, 0, Vec::new());
            for (step, cost) in steps {
                now += step;
                let (next, verdict) = gcra.take(state, now, cost, patience);
                let Some(next) = next else { continue };
                prop_assert!(verdict.wait <= patience && now + verdict.wait >= last);
                (state, last) = (next, now + verdict.wait);
                given.push((last, u64::from(cost)));
            }
            for (index, (from, _)) in given.iter().enumerate() {
                let mut sum = 0;
                for (to, cost) in &given[index..] {
                    sum += cost;
                    prop_assert!(sum <= u64::from(burst) + (to - from) / interval);
                }
            }
        }

        /// Another quota keeps the units that are owed, as far as it can owe them.
        #[test]
        fn units_owed_stay_when_the_quota_changes(
            from in 1_u64..1_000_000, to in 1_u64..1_000_000, burst in 1_u32..100, owed in 0_u32..200,
        ) {
            let (old, new, now) = (Gcra::new(from, 200), Gcra::new(to, burst), 1_000);
            let state = old.charge(now, now, owed);
            let moved = old.moved(state, now, new);
            prop_assert_eq!(moved - now, to * u64::from(owed.min(burst)));
        }

        #[test]
        fn any_share_leaves_a_rate(interval in 1_u64.., burst in 1_u32.., share in 1e-9_f64..1e9) {
            let scaled = Gcra::new(interval, burst).scaled(share);
            prop_assert!(scaled.interval >= 1 && scaled.depth >= scaled.interval);
        }
    }
}
