//! The level controller: pure, with hysteresis and a dwell time that grows while the level goes up and down.

use std::{cmp::Ordering, time::Duration};

use super::thresholds::Bounds;

/// How much of the budget the heap holds, from most room to least.
///
/// | level | entered at | left below | what happens |
/// | --- | --- | --- | --- |
/// | `Normal` | | | everything that fits is admitted |
/// | `Elevated` | 75 % | 70 % | the same; a sign for caches to stop growing |
/// | `Soft` | 85 % | 80 % | reclaimers are asked in the background |
/// | `Hard` | 95 % | 88 % | reclaimers are asked, then every request that is not exempt is refused |
///
/// [`Thresholds`](crate::Thresholds) moves the numbers. The heap alone counts, not what is promised from it: slow uploads
/// whose bytes have not come take room from each other, not from requests that need none.
///
/// Levels rise at once. They fall one at a time, each after it has lasted for some seconds, so that readings that go up
/// and down, as caches give back and fill again, change the level 6 times a minute at most. `Hard` alone is left for
/// `Soft` without delay: it refuses work, and the room between its two thresholds keeps it from flapping.
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
    pub(super) const ALL: [Self; 4] = [Self::Normal, Self::Elevated, Self::Soft, Self::Hard];

    fn lower(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }
}

/// What else than the heap bears on the level: the process's cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strain {
    /// It uses nearly all that it may.
    pub(crate) over_ceiling: bool,
    /// Its tasks wait for memory.
    pub(crate) pressed: bool,
}

impl Strain {
    /// Pressure makes the level one higher, but never `Hard`: by itself it refuses nobody.
    fn raise(self, level: Level) -> Level {
        match level {
            _ if self.over_ceiling => Level::Hard,
            Level::Normal if self.pressed => Level::Elevated,
            Level::Elevated if self.pressed => Level::Soft,
            level => level,
        }
    }
}

/// Falls slow down up to here.
const MOST_FALLS: u8 = 2;

/// A level that has lasted for this many dwell times was calm: what comes after it starts anew.
const CALM: u32 = 20;

/// The level, since when it holds, counted from any fixed moment, and how often it fell since it was last calm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) level: Level,
    pub(super) since: Duration,
    pub(super) falls: u8,
}

impl Bounds {
    /// The level that `heap` and `strain` ask for while `level` holds; needs no clock, and nearly always equals `level`.
    pub(super) fn wanted(&self, level: Level, heap: u64, strain: Strain) -> Level {
        let entered = self.enter.iter().take_while(|&&at| heap >= at).count();
        let entered = strain.raise(Level::ALL[entered]);
        match level {
            Level::Normal => entered,
            _ if entered >= level => entered,
            _ if heap < self.leave[level as usize - 1] => level.lower(),
            _ => level,
        }
    }
}

impl State {
    pub(super) const START: Self = Self {
        level: Level::Normal,
        since: Duration::ZERO,
        falls: 0,
    };

    /// The state after `wanted` was seen at `now`.
    pub(super) fn towards(self, wanted: Level, now: Duration, dwell: Duration) -> Self {
        let stay = now.saturating_sub(self.since);
        let falls = match wanted.cmp(&self.level) {
            Ordering::Greater if stay >= dwell * CALM => 0,
            Ordering::Less if self.level == Level::Hard => self.falls,
            Ordering::Less if stay >= dwell * 4_u32.pow(self.falls.into()) => {
                MOST_FALLS.min(self.falls + 1)
            }
            Ordering::Greater => self.falls,
            Ordering::Less | Ordering::Equal => return self,
        };
        Self {
            level: wanted,
            since: now,
            falls,
        }
    }
}
