//! What the store counts by: time and uses.

use super::policy::{UseClock, Uses};
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Clock {
    start: Instant,
    uses: UseClock,
    max_idle: Option<u64>,
}

impl Clock {
    pub(super) fn new(max_idle: Option<Duration>) -> Self {
        Self {
            start: Instant::now(),
            uses: UseClock::default(),
            // Not zero: a hit counts for a moment at least.
            max_idle: max_idle.map(|idle| (idle.as_millis() as u64).max(1)),
        }
    }

    /// Milliseconds since the store was made.
    pub(super) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    pub(super) fn at(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.start).as_millis() as u64
    }

    /// When something ends: not before it does.
    pub(super) fn end(&self, instant: Instant) -> u64 {
        self.at(instant + Duration::from_nanos(999_999))
    }

    /// Of an entry that is put in.
    pub(super) fn uses(&self) -> Uses {
        Uses::new(self.uses.tick(), self.now())
    }

    /// Takes note of a hit, and says how many there were with it.
    pub(super) fn hit(&self, uses: &Uses, now: Instant) -> u32 {
        if self.max_idle.is_some() {
            uses.see(self.at(now));
        }
        uses.hit(&self.uses)
    }

    /// Whether entries that nobody asks for are to leave.
    pub(super) fn minds_idling(&self) -> bool {
        self.max_idle.is_some()
    }

    pub(super) fn max_idle(&self) -> u64 {
        self.max_idle.unwrap_or(u64::MAX)
    }
}
