//! From windows of requests to limits: when to measure what, without a clock of its own.

use super::algorithm::{Algorithm, Estimate, Sample};
use super::unloaded::Unloaded;
use std::ops::RangeInclusive;

/// What has ended within a window; times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    /// Answers whose round trip counts.
    pub(super) answered: u64,
    /// Sum of their round trips.
    pub(super) time: u64,
    /// Sum, over all that has ended, of what was in flight then.
    pub(super) in_flight: u64,
    /// Signs of overload; their round trips are not in the sum.
    pub(super) overloaded: u64,
}

impl Window {
    /// How many have ended.
    pub(super) fn ended(&self) -> u64 {
        self.answered.saturating_add(self.overloaded)
    }

    /// Mean; `None` without an answer.
    fn round_trip(&self) -> Option<f64> {
        (self.answered > 0).then(|| (self.time as f64 / self.answered as f64).max(1.0))
    }
}

/// What to do until the next window has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Order {
    /// How many requests may be in flight, as the algorithm has it.
    pub(super) limit: usize,
    /// How many there may be meanwhile: fewer for a measurement.
    pub(super) total: usize,
    pub(super) next: Next,
}

/// The next window: what ends from one moment on, until another, and until so many have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Next {
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) requests: u64,
}

/// The part of the settings that decides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rules {
    pub(super) algorithm: Algorithm,
    pub(super) bounds: RangeInclusive<f64>,
    /// Nanoseconds.
    pub(super) window: u64,
    /// Nanoseconds.
    pub(super) remeasure: u64,
    /// Of the requests of a window.
    pub(super) overload_share: f64,
}

/// Requests that make a window (as with Netflix), and a measurement.
const WINDOW: u64 = 10;
const MEASUREMENT: u64 = 20;

/// Measurements are at least so many round trips apart, so that they cost a few percent at most.
const APART: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Control {
    rules: Rules,
    estimate: Estimate,
    /// `None` before the first answer, or where it does not matter.
    unloaded: Option<Unloaded>,
    measuring: bool,
    /// When the last measurement ended, if there was one.
    measured: Option<u64>,
    /// The highest limit since then.
    highest: f64,
}

impl Control {
    pub(super) fn new(rules: Rules, start: f64, now: u64) -> (Self, Next) {
        let first = Next {
            from: 0,
            until: now.saturating_add(rules.window),
            requests: WINDOW,
        };
        let control = Self {
            rules,
            estimate: Estimate::new(start),
            unloaded: None,
            measuring: false,
            measured: None,
            highest: start,
        };
        (control, first)
    }

    /// After a window that ended `now`.
    pub(super) fn next(&mut self, window: Window, now: u64) -> Order {
        if std::mem::take(&mut self.measuring) {
            self.finish_measurement(window, now)
        } else {
            self.move_limit(window, now)
        }
    }

    fn move_limit(&mut self, window: Window, now: u64) -> Order {
        let round_trip = window.round_trip();
        let share = window.overloaded as f64 / window.ended().max(1) as f64;
        let in_flight = window.in_flight as f64 / window.ended().max(1) as f64;
        if let (Some(long), Some(round_trip)) = (self.rules.algorithm.long_window(), round_trip) {
            self.unloaded = Some(match self.unloaded {
                Some(unloaded) => unloaded.observed(round_trip, long),
                None => Unloaded::new(round_trip),
            });
        }
        let overloaded = share > self.rules.overload_share;
        let round_trip = round_trip.unwrap_or(1.0);
        let sample = Sample {
            round_trip,
            unloaded: self.unloaded.map_or(round_trip, Unloaded::round_trip),
            in_flight,
            overloaded,
        };
        let Rules {
            algorithm, bounds, ..
        } = &self.rules;
        let reached = is_reached(self.estimate.limit, in_flight);
        self.estimate = self.estimate.next(algorithm, bounds, sample);
        self.highest = self.highest.max(self.estimate.limit);
        if reached && !overloaded && self.is_due(now) {
            return self.begin_measurement(round_trip, now);
        }
        // One overload lowers the limit once: what comes back next was sent before that.
        let settled = if overloaded {
            after(now, round_trip)
        } else {
            now
        };
        self.order(self.estimate.limit, settled, now)
    }

    /// Whether the unloaded round trip should be measured: when the limit no longer doubles, some time
    /// after that, or when it has fallen by a third, since all that may have happened is that the
    /// service works more slowly.
    fn is_due(&self, now: u64) -> bool {
        let Some(unloaded) = self.unloaded else {
            return false;
        };
        let Some(measured) = self.measured else {
            return !self.estimate.slow_start;
        };
        let ago = now.saturating_sub(measured);
        let apart = (APART * unloaded.round_trip()) as u64;
        ago >= self.rules.remeasure.max(apart)
            || self.has_fallen() && ago >= self.window().saturating_mul(4)
    }

    /// By a third since the last measurement.
    fn has_fallen(&self) -> bool {
        self.estimate.limit < self.highest * 2.0 / 3.0
    }

    fn begin_measurement(&mut self, round_trip: f64, now: u64) -> Order {
        self.measuring = true;
        let lower = self.rules.algorithm.measuring(self.estimate.limit);
        let mut order = self.order(lower, after(now, round_trip), now);
        // Longer than a window: the limit is as wrong as this is.
        let longer = order.next.from.saturating_add((3.0 * round_trip) as u64);
        order.next.until = order.next.until.max(longer);
        order.next.requests = MEASUREMENT;
        order
    }

    fn finish_measurement(&mut self, window: Window, now: u64) -> Order {
        let mut settled = now;
        if let (Some(round_trip), Some(before)) = (window.round_trip(), self.unloaded) {
            let unloaded = match self.measured {
                Some(_) => before.measured(round_trip),
                // The first round trips were few.
                None => Unloaded::new(round_trip),
            };
            // It was not the load that was too high: the service works more slowly, and may well bear as
            // much as before.
            self.estimate.slow_start |= self.has_fallen() && unloaded.is_above(before);
            self.unloaded = Some(unloaded);
            settled = after(now, round_trip);
        }
        self.measured = Some(now);
        self.highest = self.estimate.limit;
        self.order(self.estimate.limit, settled, now)
    }

    fn order(&self, total: f64, from: u64, now: u64) -> Order {
        // The bounds are whole numbers.
        let whole =
            |limit: f64| limit.clamp(*self.rules.bounds.start(), *self.rules.bounds.end()) as usize;
        Order {
            limit: whole(self.estimate.limit),
            total: whole(total),
            next: Next {
                from,
                until: from.max(now).saturating_add(self.window()),
                requests: WINDOW,
            },
        }
    }

    /// A round trip at least, so that a window shows what the limit before it did, and two where the
    /// limit doubles, as in TCP Vegas.
    fn window(&self) -> u64 {
        let unloaded = self.unloaded.map_or(0.0, Unloaded::round_trip);
        let round_trips = if self.estimate.slow_start { 2.0 } else { 1.0 };
        self.rules.window.max((round_trips * unloaded) as u64)
    }
}

/// Whether the limit holds requests back: with fewer in flight there is no queue to be taken for a
/// slow service, and nobody is to be refused for a measurement.
fn is_reached(limit: f64, in_flight: f64) -> bool {
    in_flight + 1.0 >= 0.9 * limit
}

/// When what was sent by now has come back, and what it queued behind is gone: after two round trips.
fn after(now: u64, round_trip: f64) -> u64 {
    now.saturating_add((2.0 * round_trip) as u64)
}
