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
