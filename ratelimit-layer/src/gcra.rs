//! The generic cell rate algorithm over one word of state, as a pure function.
//!
//! A client's state is its *theoretical arrival time* (TAT): the moment at which its bucket is full
//! again. A unit moves it `interval` later; a request is refused when that would carry it further
//! than `depth` past now. A TAT in the past means a full bucket, whatever its exact value.
//! (ITU-T I.371, annex A, in its virtual scheduling form.)

/// A quota in the algorithm's terms, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// Time one unit costs.
    interval: u64,
    /// Time a whole burst costs: the depth of the bucket.
    depth: u64,
}

/// What one check comes to; times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The arrival time to keep if the request is allowed, `None` if it is refused.
    pub(crate) tat: Option<u64>,
    /// How long until the same request would be allowed; 0 if it is.
    pub(crate) wait: u64,
    /// What is left in the bucket afterwards, as time.
    pub(crate) room: u64,
    /// How long until the bucket is full.
    pub(crate) full_in: u64,
}

impl Gcra {
    pub(crate) fn new(interval: u64, burst: u32) -> Self {
        Self {
            interval,
            depth: interval.saturating_mul(u64::from(burst)),
        }
    }

    pub(crate) fn interval(self) -> u64 {
        self.interval
    }

    pub(crate) fn depth(self) -> u64 {
        self.depth
    }

    /// May `cost` units go now, given the client's arrival time? Never overflows: sums saturate,
    /// and a cost above the burst is refused for ever.
    #[inline]
    pub(crate) fn decide(self, tat: u64, now: u64, cost: u32) -> Verdict {
        let start = tat.max(now);
        let price = self.interval.saturating_mul(u64::from(cost));
        let debt = start - now;
        let after = debt.saturating_add(price);
        if after <= self.depth {
            let tat = Some(now.saturating_add(after));
            Verdict {
                tat,
                wait: 0,
                room: self.depth - after,
                full_in: after,
            }
        } else {
            Verdict {
                tat: None,
                wait: if price > self.depth {
                    u64::MAX
                } else {
                    after - self.depth
                },
                room: self.depth.saturating_sub(debt),
                full_in: debt,
            }
        }
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
                let verdict = gcra.decide(tat, now, cost);
                if let Some(next) = verdict.tat {
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
            let tat = now + debt.min(gcra.depth());
            let verdict = gcra.decide(tat, now, cost);
            prop_assert_eq!(verdict.tat.is_some(), verdict.wait == 0);
            prop_assert!(verdict.room + verdict.full_in == gcra.depth());
            let left = u32::try_from(verdict.room / interval).unwrap();
            let after = verdict.tat.unwrap_or(tat);
            prop_assert!(left == 0 || gcra.decide(after, now, left).tat.is_some());
            prop_assert!(gcra.decide(after, now, left + 1).tat.is_none());
            if cost > burst {
                prop_assert_eq!(verdict.wait, u64::MAX);
            } else {
                prop_assert!(gcra.decide(tat, now + verdict.wait, cost).tat.is_some());
                prop_assert!(verdict.wait == 0 || gcra.decide(tat, now + verdict.wait - 1, cost).tat.is_none());
            }
        }

        /// Nothing overflows, whatever the values.
        #[test]
        fn takes_any_value(
            interval in 1_u64.., burst in 1_u32.., tat: u64, now: u64, cost: u32,
        ) {
            let gcra = Gcra::new(interval, burst);
            let verdict = gcra.decide(tat, now, cost);
            prop_assert!(verdict.tat.is_none_or(|next| next >= tat && next >= now));
            prop_assert!(verdict.room <= gcra.depth());
        }
    }
}
