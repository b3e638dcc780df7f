//! How short of memory the process is: a pure controller with hysteresis and a dwell time.

use std::time::Duration;

/// How much of the budget the heap holds, from most room to least.
///
/// | level | entered at | left below | what happens |
/// | --- | --- | --- | --- |
/// | `Normal` | | | everything that fits is admitted |
/// | `Elevated` | 75 % | 70 % | the same; a sign for caches to stop growing |
/// | `Soft` | 85 % | 80 % | reclaimers are asked in the background |
/// | `Hard` | 95 % | 88 % | reclaimers are asked, then every request that is not exempt is refused |
///
/// Levels rise at once. They fall after at least one second at a level, except that `Hard` is left for `Soft` at once:
/// it refuses work, and the room between its two thresholds is enough to keep it from flapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Below 75 % of the budget.
    Normal,
    /// From 75 % of the budget.
    Elevated,
    /// From 85 % of the budget.
    Soft,
    /// From 95 % of the budget.
    Hard,
}

impl Level {
    const ALL: [Self; 4] = [Self::Normal, Self::Elevated, Self::Soft, Self::Hard];

    pub(crate) const fn from_index(index: u64) -> Self {
        Self::ALL[(index & 3) as usize]
    }

    pub(crate) const fn index(self) -> u64 {
        self as u64
    }
}

/// The shortest stay at a level before it may fall.
pub(crate) const DWELL: Duration = Duration::from_secs(1);

/// Percent of the budget at which a level is entered, and below which it is left.
const PERCENT: [(u64, u64); 3] = [(75, 70), (85, 80), (95, 88)];

/// The level and since when it holds, counted from any fixed moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) level: Level,
    pub(crate) since: Duration,
}

/// The bytes at which levels are entered and left, for one budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    enter: [u64; 3],
    leave: [u64; 3],
}

impl Thresholds {
    pub(crate) fn of(budget: u64) -> Self {
        let part = |percent: u64| (u128::from(budget) * u128::from(percent)).div_ceil(100) as u64;
        Self {
            enter: PERCENT.map(|(enter, _)| part(enter)),
            leave: PERCENT.map(|(_, leave)| part(leave)),
        }
    }

    /// Where reclaim aims: below `Soft` by a tenth of the budget, so that it does not run for every request.
    pub(crate) const fn target(&self) -> u64 {
        self.enter[0]
    }

    /// The level that `heap` alone asks for while `level` holds; needs no clock, and nearly always equals `level`.
    pub(crate) fn wanted(&self, level: Level, heap: u64) -> Level {
        let entered = self
            .enter
            .iter()
            .take_while(|&&enter| heap >= enter)
            .count();
        let kept = self
            .leave
            .iter()
            .take_while(|&&leave| heap >= leave)
            .count();
        let held = (level as usize).min(kept);
        Level::ALL[entered.max(held)]
    }
}

impl State {
    /// The state after `wanted` was seen at `now`.
    pub(crate) fn towards(self, wanted: Level, now: Duration) -> Self {
        let stayed = now.saturating_sub(self.since) >= DWELL;
        let level = match wanted.cmp(&self.level) {
            std::cmp::Ordering::Less if !stayed => match self.level {
                Level::Hard => Level::Soft,
                level => level,
            },
            _ => wanted,
        };
        if level == self.level {
            self
        } else {
            Self { level, since: now }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(level: Level) -> State {
        State {
            level,
            since: Duration::ZERO,
        }
    }

    fn step(state: State, percent: u64, now: Duration) -> State {
        state.towards(Thresholds::of(100).wanted(state.level, percent), now)
    }

    #[test]
    fn levels_are_entered_and_left_where_the_table_says() {
        use Level::*;
        for (level, percent, expected) in [
            (Normal, 74, Normal),
            (Normal, 75, Elevated),
            (Normal, 85, Soft),
            (Normal, 95, Hard),
            (Elevated, 70, Elevated),
            (Elevated, 69, Normal),
            (Soft, 80, Soft),
            (Soft, 79, Elevated),
            (Soft, 69, Normal),
            (Hard, 88, Hard),
            (Hard, 87, Soft),
            (Hard, 79, Elevated),
            (Hard, 0, Normal),
        ] {
            assert_eq!(
                step(at(level), percent, SECOND).level,
                expected,
                "{level:?} at {percent} %"
            );
        }
    }

    #[test]
    fn a_level_dwells_before_it_falls_but_hard_is_left_at_once() {
        let early = SECOND / 2;
        assert_eq!(step(at(Level::Soft), 0, early), at(Level::Soft));
        let left = step(at(Level::Hard), 0, early);
        assert_eq!(
            left,
            State {
                level: Level::Soft,
                since: early
            }
        );
        assert_eq!(
            step(left, 0, SECOND),
            left,
            "the stay at Soft counts from its start"
        );
        assert_eq!(step(left, 0, early + SECOND).level, Level::Normal);
    }

    #[test]
    fn thresholds_of_extreme_budgets_do_not_overflow() {
        for budget in [1, 2, u64::MAX] {
            let thresholds = Thresholds::of(budget);
            assert_eq!(thresholds.wanted(Level::Normal, 0), Level::Normal);
            assert_eq!(thresholds.wanted(Level::Normal, budget), Level::Hard);
            assert_eq!(thresholds.wanted(Level::Hard, 0), Level::Normal);
        }
    }

    proptest! {
        #[test]
        fn rising_is_prompt_and_falling_is_rare(readings in prop::collection::vec((0..120_u64, 0..400_u64), 1..200)) {
            let mut state = at(Level::Normal);
            let mut now = Duration::ZERO;
            let mut fell: Option<Duration> = None;
            for (percent, millis) in readings {
                now += Duration::from_millis(millis);
                let next = step(state, percent, now);
                let entered = [75, 85, 95].iter().filter(|&&enter| percent >= enter).count();
                prop_assert!(next.level as usize >= entered, "{percent} % left the level at {:?}", next.level);
                let left_hard = state.level == Level::Hard && next.level == Level::Soft;
                if next.level < state.level && !left_hard {
                    prop_assert!(fell.is_none_or(|fell| now - fell >= DWELL), "two falls within the dwell");
                    fell = Some(now);
                }
                prop_assert_eq!(step(next, percent, now), next, "the same reading changes nothing more");
                state = next;
            }
            let settled = step(step(state, 0, now + DWELL), 0, now + 2 * DWELL);
            prop_assert_eq!(settled.level, Level::Normal);
        }
    }
}
