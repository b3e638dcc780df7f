//! What a round trip would take without a queue.

/// An estimate from measurements with few requests in flight and from a long average, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unloaded {
    measured: f64,
    long: f64,
}

/// Measurements that differ by less are taken for two of the same thing, and averaged.
const ALIKE: f64 = 0.25;

impl Unloaded {
    pub(super) fn new(round_trip: f64) -> Self {
        Self {
            measured: round_trip,
            long: round_trip,
        }
    }

    /// The lower of the two: a service that has become quicker is noticed by the average, one that has
    /// become slower by the next measurement only, since a queue looks the same until then.
    pub(super) fn round_trip(self) -> f64 {
        self.measured.min(self.long)
    }

    /// After a measurement with few requests in flight. The average begins anew.
    pub(super) fn measured(self, round_trip: f64) -> Self {
        let before = self.round_trip();
        Self::new(if (round_trip / before - 1.0).abs() < ALIKE {
            (before + round_trip) / 2.0
        } else {
            round_trip
        })
    }

    /// Not only by chance.
    pub(super) fn is_above(self, before: Self) -> bool {
        self.round_trip() > (1.0 + ALIKE) * before.round_trip()
    }

    /// After a window under whatever load: moves the exponential average over so many windows.
    ///
    /// It falls faster while it is more than twice too long, as Netflix's does.
    pub(super) fn observed(mut self, round_trip: f64, windows: u32) -> Self {
        self.long += (round_trip - self.long) * 2.0 / (f64::from(windows) + 1.0);
        if self.long > 2.0 * round_trip {
            self.long *= 0.9;
        }
        self
    }
}
