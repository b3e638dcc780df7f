//! Where levels begin and end, and how long they last.

use std::time::Duration;

use crate::ConfigError;

/// Where levels begin and end, in whole percent of the budget, and how long they last at least.
///
/// ```
/// use memguard_layer::{MemGuardLayer, Thresholds};
///
/// // Caches give back early, to leave room for large jobs.
/// let thresholds = Thresholds::new().elevated(50, 45).soft(60, 55);
/// let guard = MemGuardLayer::new(256 << 20).thresholds(thresholds);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "thresholds do nothing until a layer has them"]
pub struct Thresholds {
    /// Where `Elevated`, `Soft` and `Hard` are entered.
    enter: [u8; 3],
    /// Below what they are left.
    leave: [u8; 3],
    dwell: Duration,
}

impl Thresholds {
    /// The defaults: 75/70, 85/80 and 95/88 %, 3 s.
    pub const fn new() -> Self {
        Self {
            enter: [75, 85, 95],
            leave: [70, 80, 88],
            dwell: Duration::from_secs(3),
        }
    }

    /// Enters [`Level::Elevated`](crate::Level::Elevated) at `enter` percent and leaves it below `leave`. Default: 75, 70.
    ///
    /// What reclaim aims for is to get below `enter`.
    pub const fn elevated(mut self, enter: u8, leave: u8) -> Self {
        (self.enter[0], self.leave[0]) = (enter, leave);
        self
    }

    /// Enters [`Level::Soft`](crate::Level::Soft) at `enter` percent and leaves it below `leave`. Default: 85, 80.
    pub const fn soft(mut self, enter: u8, leave: u8) -> Self {
        (self.enter[1], self.leave[1]) = (enter, leave);
        self
    }

    /// Enters [`Level::Hard`](crate::Level::Hard) at `enter` percent and leaves it below `leave`. Default: 95, 88.
    pub const fn hard(mut self, enter: u8, leave: u8) -> Self {
        (self.enter[2], self.leave[2]) = (enter, leave);
        self
    }

    /// How long a level lasts before the first fall; a second fall takes four times as long, further ones sixteen times,
    /// until twenty times as long have passed without a rise. Default: 3 s, at most an hour; zero switches it off.
    ///
    /// [`Level::Hard`](crate::Level::Hard) is left without delay.
    pub const fn dwell(mut self, dwell: Duration) -> Self {
        self.dwell = dwell;
        self
    }

    /// What is wrong with them, if anything is.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let levels = ["Elevated", "Soft", "Hard"];
        for ((level, enter), leave) in levels.iter().zip(self.enter).zip(self.leave) {
            if !(1..=100).contains(&enter) || leave >= enter {
                return Err(ConfigError::new(format!(
                    "{level} is entered at {enter} % and left below {leave} %, but must be entered at 1 to 100 % and left below less"
                )));
            }
        }
        if !self.enter.is_sorted_by(|a, b| a < b) || !self.leave.is_sorted() {
            return Err(ConfigError::new(format!(
                "Elevated, Soft and Hard are entered at {:?} % and left below {:?} %, but each must be entered above the one \
                 before it, and not left below it",
                self.enter, self.leave
            )));
        }
        if self.dwell > Duration::from_secs(3600) {
            return Err(ConfigError::new(format!(
                "dwell is {:?}, but must be an hour at most",
                self.dwell
            )));
        }
        Ok(())
    }

    /// The same for one budget.
    pub(super) fn of(&self, budget: u64) -> Bounds {
        let part = |percent: u8| (u128::from(budget) * u128::from(percent)).div_ceil(100) as u64;
        Bounds {
            enter: self.enter.map(part),
            leave: self.leave.map(part),
            dwell: self.dwell,
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::new()
    }
}

/// [`Thresholds`] in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) enter: [u64; 3],
    pub(super) leave: [u64; 3],
    pub(super) dwell: Duration,
}
