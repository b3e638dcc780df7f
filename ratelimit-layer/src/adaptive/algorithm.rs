//! What the algorithms have in common: bounds, back-off, slow start, and no growth without use.

use super::aimd::{Aimd, BACK_OFF};
use super::gradient2::Gradient2;
use super::vegas::Vegas;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How a limit follows the service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Algorithm {
    Gradient2(Gradient2),
    Vegas(Vegas),
    Aimd(Aimd),
}

impl Algorithm {
    /// Over how many windows the long average of round trips goes; `None`: they do not matter.
    pub(super) fn long_window(&self) -> Option<u32> {
        match self {
            Self::Gradient2(gradient2) => Some(gradient2.long_windows()),
            Self::Vegas(_) => Some(Gradient2::default().long_windows()),
            Self::Aimd(_) => None,
        }
    }

    /// By how much the limit is lowered to see a round trip without a queue. A limit that was taken
    /// too high, for a round trip with a queue in it, comes down by half with each measurement.
    pub(super) fn measuring(&self, limit: f64) -> f64 {
        match self {
            Self::Gradient2(gradient2) => limit / (2.0 * gradient2.tolerated()),
            Self::Vegas(_) | Self::Aimd(_) => limit / 2.0,
        }
    }

    /// A longer round trip is a sign of overload.
    pub(super) fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Gradient2(_) | Self::Vegas(_) => None,
            Self::Aimd(aimd) => Some(aimd.longest()),
        }
    }

    /// After overload: less by a ratio, and by one at least.
    fn back_off(&self, limit: f64) -> f64 {
        let ratio = match self {
            Self::Gradient2(_) | Self::Vegas(_) => BACK_OFF,
            Self::Aimd(aimd) => aimd.ratio(),
        };
        (limit * ratio).min(limit - 1.0)
    }

    fn next(&self, limit: f64, sample: Sample) -> f64 {
        match self {
            Self::Gradient2(gradient2) => gradient2.next(limit, sample),
            Self::Vegas(vegas) => vegas.next(limit, sample),
            Self::Aimd(_) => Aimd::next(limit),
        }
    }
}

/// What a window of requests came to. Times in nanoseconds, above 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Mean round trip.
    pub(super) round_trip: f64,
    /// What it would be without a queue.
    pub(super) unloaded: f64,
    /// Mean of the requests in flight when one ended, itself included.
    pub(super) in_flight: f64,
    /// There were signs of overload; then the round trips say nothing.
    pub(super) overloaded: bool,
}

/// log10 of the limit, and at least 1: what the algorithms take for a few.
pub(super) fn head_room(limit: f64) -> f64 {
    limit.log10().max(1.0)
}

/// A limit between its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub(super) limit: f64,
    /// Nothing is known of the service's capacity yet: the limit doubles with each window.
    pub(super) slow_start: bool,
}

impl Estimate {
    pub(super) fn new(limit: f64) -> Self {
        Self {
            limit,
            slow_start: true,
        }
    }

    /// The limit after one more window.
    ///
    /// As in TCP (Jacobson 1988), it doubles until the algorithm does not want it to rise for the first
    /// time, and it does so again from the floor, where nothing is left of what was known.
    pub(super) fn next(
        self,
        algorithm: &Algorithm,
        bounds: &RangeInclusive<f64>,
        sample: Sample,
    ) -> Self {
        let Self { limit, slow_start } = self;
        let wanted = if sample.overloaded {
            algorithm.back_off(limit)
        } else if !in_use(limit, sample.in_flight) {
            // Round trips say nothing about a limit that nobody comes near.
            return self;
        } else {
            algorithm.next(limit, sample)
        };
        let rises = wanted > limit;
        let wanted = match (slow_start, rises) {
            (true, true) => wanted.max((2.0 * limit).min(2.0 * sample.in_flight)),
            // Of those in flight, so many were worked on and did not queue (Little's law).
            (true, false) => {
                wanted.min(limit * sample.unloaded / sample.round_trip + head_room(limit))
            }
            (false, _) => wanted,
        };
        let limit = wanted.clamp(*bounds.start(), *bounds.end());
        Self {
            limit,
            slow_start: slow_start && rises || limit <= *bounds.start(),
        }
    }
}

/// Whether so many in flight say anything about the limit: half of it, as all three originals have
/// it.
fn in_use(limit: f64, in_flight: f64) -> bool {
    2.0 * in_flight >= limit
}
