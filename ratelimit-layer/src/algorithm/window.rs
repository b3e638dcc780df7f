//! The sliding window counter over one word of state: exact counts of this window and the one
//! before, of which the part that still lies within a period back from now counts.
//!
//! The word is the window's number (28 bits), the units used in it and those used in the one before
//! (16 bits each), so words order by age. Windows begin with the limiter's clock.
//!
//! It assumes that the window before was used evenly, so it can be off by what one window's uneven
//! use makes of that; [`Log`](super::Log) and [`Gcra`](super::Gcra) are exact.

use super::{NEVER, OneWord, Verdict};

/// A quota in the algorithm's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    units: u64,
    /// Nanoseconds.
    period: u64,
}

/// A word, taken apart as of some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    number: u64,
    used: u64,
    before: u64,
}

impl Counts {
    fn of(word: u64) -> Self {
        Self {
            number: word >> 32,
            used: word >> 16 & 0xffff,
            before: word & 0xffff,
        }
    }

    /// As of the window with this number. A window that lies ahead, which a racing thread saw begin
    /// first, stays.
    fn at(self, number: u64) -> Self {
        match number.saturating_sub(self.number) {
            0 => self,
            1 => Self {
                number,
                used: 0,
                before: self.used,
            },
            _ => Self {
                number,
                used: 0,
                before: 0,
            },
        }
    }

    fn word(self) -> u64 {
        self.number << 32 | self.used.min(0xffff) << 16 | self.before.min(0xffff)
    }
}

impl Window {
    /// Most units a word can count.
    pub(crate) const MOST_UNITS: u32 = 65_535;
    /// Shortest window, nanoseconds: numbers must last for years.
    pub(crate) const SHORTEST: u64 = 1_000_000_000;

    /// `units` up to [`MOST_UNITS`](Self::MOST_UNITS), `period` from [`SHORTEST`](Self::SHORTEST).
    pub(crate) fn of_terms(units: u64, period: u64) -> Self {
        Self { units, period }
    }

    /// With this share of the units, one at least.
    pub(crate) fn scaled(self, share: f64) -> Self {
        let units = ((self.units as f64 * share) as u64).clamp(1, Self::MOST_UNITS.into());
        Self { units, ..self }
    }

    /// `state` of `self` as one of `other`: what was used lately counts as used now.
    pub(crate) fn moved(self, state: u64, now: u64, other: Self) -> u64 {
        let counts = self.counts(state, now);
        let number = other.number(now);
        Counts {
            number,
            used: counts.used,
            before: counts.before,
        }
        .word()
    }

    fn number(self, now: u64) -> u64 {
        // From 1: no word of a window is 0.
        now / self.period + 1
    }

    fn counts(self, state: u64, now: u64) -> Counts {
        Counts::of(state).at(self.number(now))
    }

    /// How much of the window is still to come, nanoseconds.
    fn to_come(self, counts: Counts, now: u64) -> u64 {
        counts
            .number
            .saturating_mul(self.period)
            .saturating_sub(now)
            .min(self.period)
    }

    /// Units that count now: those of the window before by their share, rounded up.
    fn counted(self, counts: Counts, to_come: u64) -> u64 {
        let before = u128::from(counts.before) * u128::from(to_come);
        counts.used + u64::try_from(before.div_ceil(self.period.into())).expect("at most before")
    }

    /// How long until `free` units or more are free, of those in `counts`.
    fn until(self, counts: Counts, now: u64, free: u64) -> u64 {
        let to_come = self.to_come(counts, now);
        let Some(most) = self.units.checked_sub(free) else {
            return NEVER;
        };
        if let Some(from_before) = most.checked_sub(counts.used) {
            return to_come - self.left_at(counts.before, from_before).min(to_come);
        }
        // In the next window what is used in this one counts by its share.
        to_come.saturating_add(self.period - self.left_at(counts.used, most))
    }

    /// The most time that may be left in a window for `before` to count as `most` at most.
    fn left_at(self, before: u64, most: u64) -> u64 {
        if most >= before {
            return self.period;
        }
        let left = u128::from(most) * u128::from(self.period) / u128::from(before);
        u64::try_from(left).expect("less than a period")
    }
}

impl OneWord for Window {
    fn take(self, state: u64, now: u64, cost: u32, _: u64) -> (Option<u64>, Verdict) {
        let counts = self.counts(state, now);
        let cost = u64::from(cost);
        let counted = self.counted(counts, self.to_come(counts, now));
        let allowed = counted.saturating_add(cost) <= self.units;
        let after = if allowed {
            Counts {
                used: counts.used + cost,
                ..counts
            }
        } else {
            counts
        };
        let verdict = Verdict {
            allowed,
            wait: if allowed {
                0
            } else {
                self.until(counts, now, cost).max(1)
            },
            room: self
                .units
                .saturating_sub(counted + if allowed { cost } else { 0 }),
            full_in: self.until(after, now, self.units),
        };
        (allowed.then(|| after.word()), verdict)
    }

    fn charge(self, state: u64, now: u64, cost: u32) -> u64 {
        let counts = self.counts(state, now);
        let used = counts.used.saturating_add(cost.into());
        Counts { used, ..counts }.word()
    }

    fn refund(self, state: u64, now: u64, cost: u32) -> u64 {
        let counts = self.counts(state, now);
        let of_before = u64::from(cost).saturating_sub(counts.used);
        Counts {
            used: counts.used.saturating_sub(cost.into()),
            before: counts.before.saturating_sub(of_before),
            ..counts
        }
        .word()
    }

    fn in_debt(self, state: u64, now: u64) -> bool {
        let counts = self.counts(state, now);
        counts.used > 0 || counts.before > 0
    }

    fn unit(self) -> u64 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = Window::SHORTEST;

    fn steps() -> impl Strategy<Value = Vec<(u64, u32)>> {
        prop::collection::vec((0..SECOND, 0_u32..4), 1..200)
    }

    proptest! {
        /// No window of the clock has more than its units, and never two in a row twice as many.
        #[test]
        fn a_window_has_its_units_at_most(units in 1_u64..20, steps in steps()) {
            let window = Window::of_terms(units, SECOND);
            let (mut now, mut state) = (1, 0);
            let mut used = std::collections::HashMap::new();
            for (step, cost) in steps {
                now += step;
                if let Some(next) = window.take(state, now, cost, 0).0 {
                    state = next;
                    *used.entry(now / SECOND).or_insert(0) += u64::from(cost);
                }
            }
            prop_assert!(used.values().all(|used| *used <= units));
        }

        /// The wait is exact, what is left can be used, and all is there when it is said to be.
        #[test]
        fn waits_and_room_are_exact(units in 1_u64..20, steps in steps(), asked in 1_u32..25) {
            let window = Window::of_terms(units, SECOND);
            let (mut now, mut state) = (1, 0);
            for (step, cost) in steps {
                now += step;
                state = window.take(state, now, cost, 0).0.unwrap_or(state);
            }
            let verdict = window.take(state, now, asked, 0).1;
            let fits = |wait: u64, cost: u32| window.take(state, now + wait, cost, 0).0.is_some();
            prop_assert_eq!(verdict.allowed, verdict.wait == 0);
            if u64::from(asked) > units {
                prop_assert_eq!(verdict.wait, NEVER);
            } else {
                prop_assert!(fits(verdict.wait, asked));
                prop_assert!(verdict.wait == 0 || !fits(verdict.wait - 1, asked));
            }
            let standing = window.take(state, now, 0, 0).1;
            prop_assert!(fits(0, u32::try_from(standing.room).unwrap()));
            prop_assert!(!fits(0, u32::try_from(standing.room).unwrap() + 1));
            prop_assert!(fits(standing.full_in, u32::try_from(units).unwrap()));
        }

        #[test]
        fn a_refund_undoes_a_charge(units in 1_u64..20, used in 0_u32..20, cost in 0_u32..100) {
            let (window, now) = (Window::of_terms(units, SECOND), 5 * SECOND / 2);
            let state = window.charge(0, now, used);
            prop_assert_eq!(window.refund(window.charge(state, now, cost), now, cost), state);
        }

        #[test]
        fn takes_any_value(
            units in 1..=u64::from(Window::MOST_UNITS), period in Window::SHORTEST.., state in 0..1_u64 << 60,
            now: u64, cost: u32,
        ) {
            let window = Window::of_terms(units, period);
            let (next, verdict) = window.take(state, now, cost, 0);
            prop_assert_eq!(next.is_some(), verdict.allowed);
            prop_assert!(verdict.room <= units);
            let _ = (window.charge(state, now, cost), window.refund(state, now, cost));
        }
    }
}
