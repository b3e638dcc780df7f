//! The algorithms as functions: what they promise for any sample, and their published steps.

mod control;

use super::algorithm::{Algorithm, Estimate, Sample};
use super::unloaded::Unloaded;
use super::{Aimd, Gradient2, Vegas};
use proptest::prelude::*;
use std::ops::RangeInclusive;

const MS: f64 = 1e6;
const WIDE: RangeInclusive<f64> = 1.0..=1_000_000.0;

fn algorithms() -> [Algorithm; 3] {
    [
        Algorithm::Gradient2(Gradient2::new()),
        Algorithm::Vegas(Vegas::new()),
        Algorithm::Aimd(Aimd::new()),
    ]
}

/// With all of the limit in use.
fn sample(limit: f64, unloaded: f64, round_trip: f64) -> Sample {
    Sample {
        round_trip,
        unloaded,
        in_flight: limit,
        overloaded: false,
    }
}

fn steady(limit: f64) -> Estimate {
    Estimate {
        limit,
        slow_start: false,
    }
}

/// From below one to more than a day.
fn time() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), 1.0..1e14]
}

prop_compose! {
    fn any_sample()(
        round_trip in time(),
        unloaded in time(),
        in_flight in 0.0..1e7,
        overloaded: bool,
    ) -> Sample {
        Sample { round_trip, unloaded, in_flight, overloaded }
    }
}

prop_compose! {
    fn any_algorithm()(
        which in 0..3,
        tolerance in 1.0..=10.0,
        smoothing in 0.01..=1.0,
        queue in 0.0..=100.0,
        alpha in 0.0..=100.0,
        more in 0.0..=100.0_f64,
        threshold in 0.0..=100.0,
        ratio in 0.5..=0.99,
    ) -> Algorithm {
        match which {
            0 => {
                let gradient2 = Gradient2::new().tolerance(tolerance).smoothing(smoothing);
                Algorithm::Gradient2(gradient2.queue(queue))
            }
            1 => {
                let vegas = Vegas::new().queue(alpha, (alpha + more).min(100.0));
                Algorithm::Vegas(vegas.threshold(threshold))
            }
            _ => Algorithm::Aimd(Aimd::new().back_off(ratio)),
        }
    }
}

proptest! {
    #[test]
    fn a_limit_stays_within_its_bounds(
        algorithm in any_algorithm(),
        floor in 1_u32..1_000,
        room in 0_u32..100_000,
        slow_start: bool,
        at in 0.0..=1.0,
        samples in prop::collection::vec(any_sample(), 1..50),
    ) {
        let bounds = f64::from(floor)..=f64::from(floor + room);
        let limit = f64::from(floor) + at * f64::from(room);
        let mut estimate = Estimate { limit, slow_start };
        for sample in samples {
            estimate = estimate.next(&algorithm, &bounds, sample);
            prop_assert!(bounds.contains(&estimate.limit), "{estimate:?} after {sample:?}");
        }
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow(
        algorithm in any_algorithm(),
        limit in 1.0..100_000.0,
        slow_start: bool,
        used in 0.0..0.49,
        sample in any_sample(),
    ) {
        let before = Estimate { limit, slow_start };
        let sample = Sample { in_flight: used * limit, ..sample };
        prop_assert!(before.next(&algorithm, &WIDE, sample).limit <= limit);
    }

    #[test]
    fn a_limit_falls_with_overload(
        algorithm in any_algorithm(),
        limit in 2.0..100_000.0,
        slow_start: bool,
        sample in any_sample(),
    ) {
        let before = Estimate { limit, slow_start };
        let after = before.next(&algorithm, &WIDE, Sample { overloaded: true, ..sample });
        prop_assert!(after.limit <= limit - 1.0 && !after.slow_start || after.limit == 1.0);
    }

    /// More of a queue never makes for a higher limit.
    #[test]
    fn a_longer_round_trip_never_raises_a_limit(
        algorithm in any_algorithm(),
        limit in 1.0..100_000.0,
        unloaded in time(),
        times in (1.0..100.0_f64, 1.0..100.0_f64),
    ) {
        let after = |times: f64| {
            let sample = sample(limit, unloaded, unloaded * times);
            steady(limit).next(&algorithm, &WIDE, sample).limit
        };
        let (short, long) = (times.0.min(times.1), times.0.max(times.1));
        prop_assert!(after(long) <= after(short));
    }

    #[test]
    fn the_unloaded_round_trip_is_one_that_was_seen_or_between(
        first in time(),
        seen in prop::collection::vec((time(), any::<bool>()), 1..100),
    ) {
        let mut unloaded = Unloaded::new(first);
        let (mut low, mut high) = (first, first);
        for (round_trip, alone) in seen {
            low = low.min(round_trip);
            high = high.max(round_trip);
            unloaded = if alone { unloaded.measured(round_trip) } else { unloaded.observed(round_trip, 600) };
            prop_assert!((low * 0.9..=high).contains(&unloaded.round_trip()));
        }
    }
}

#[test]
fn gradient2_settles_at_the_tolerated_queue() {
    let algorithm = Algorithm::Gradient2(Gradient2::new().tolerance(1.2).queue(0.0));
    for begin in [10.0, 1_000.0] {
        let mut estimate = steady(begin);
        for _ in 0..200 {
            // 100 are worked on at once, the others queue.
            let round_trip = 50.0 * MS * (estimate.limit / 100.0).max(1.0);
            let sample = sample(estimate.limit, 50.0 * MS, round_trip);
            estimate = estimate.next(&algorithm, &WIDE, sample);
        }
        assert!((estimate.limit - 120.0).abs() < 0.1, "{estimate:?}");
    }
}

#[test]
fn gradient2_goes_part_of_the_way() {
    let next = |round_trip| {
        let gradient2 = Gradient2::new().tolerance(1.0).queue(1.0).smoothing(0.2);
        gradient2.next(100.0, sample(100.0, 50.0, round_trip))
    };
    // log10(100) = 2 to spare, and a fifth of the way.
    assert!((next(50.0) - 100.4).abs() < 1e-9);
    assert!((next(62.5) - (100.0 + 0.2 * (82.0 - 100.0))).abs() < 1e-9);
    // At most twice, at least half.
    assert!((next(1.0) - (100.0 + 0.2 * (202.0 - 100.0))).abs() < 1e-9);
    assert!((next(1e12) - (100.0 + 0.2 * (52.0 - 100.0))).abs() < 1e-9);
}

#[test]
fn vegas_steps_by_the_length_of_the_queue() {
    let vegas = Vegas::new().queue(3.0, 6.0).threshold(1.0);
    // log10(100) = 2.
    for (queue, limit) in [
        (0.0, 112.0),
        (1.9, 112.0),
        (2.1, 102.0),
        (5.9, 102.0),
        (6.1, 100.0),
        (11.9, 100.0),
        (12.1, 98.0),
        (23.9, 98.0),
        (24.1, 88.0),
        (90.0, 88.0),
    ] {
        let unloaded = 100.0 - queue;
        let next = vegas.next(100.0, sample(100.0, unloaded, 100.0));
        assert!((next - limit).abs() < 1e-9, "{queue}: {next}");
    }
}

#[test]
fn aimd_grows_by_one_and_falls_by_a_ratio() {
    let algorithm = Algorithm::Aimd(Aimd::new().back_off(0.8));
    let fine = sample(100.0, MS, MS);
    let overloaded = Sample {
        overloaded: true,
        ..fine
    };
    let next = |sample| steady(100.0).next(&algorithm, &WIDE, sample).limit;
    assert_eq!(next(fine), 101.0);
    assert_eq!(next(overloaded), 80.0);
    // By one at least.
    let last = steady(3.0).next(&algorithm, &WIDE, overloaded).limit;
    assert_eq!(last, 2.0);
}

#[test]
fn slow_start_doubles_until_there_is_a_queue_and_leaves_it_at_once() {
    for algorithm in &algorithms()[..2] {
        let mut estimate = Estimate::new(10.0);
        let mut limits = Vec::new();
        while estimate.slow_start {
            let round_trip = 50.0 * MS * (estimate.limit / 100.0).max(1.0);
            let sample = sample(estimate.limit, 50.0 * MS, round_trip);
            estimate = estimate.next(algorithm, &WIDE, sample);
            limits.push(estimate.limit);
        }
        assert_eq!(limits[..4], [20.0, 40.0, 80.0, 160.0]);
        assert!((100.0..106.0).contains(&limits[4]), "{limits:?}");
        assert_eq!(limits.len(), 5);
    }
}

#[test]
fn slow_start_goes_no_further_than_twice_what_is_in_flight() {
    let sample = Sample {
        in_flight: 6.0,
        ..sample(10.0, MS, MS)
    };
    for algorithm in algorithms() {
        let next = Estimate::new(10.0).next(&algorithm, &WIDE, sample);
        assert!((11.0..=13.0).contains(&next.limit), "{next:?}");
    }
}

#[test]
fn from_the_floor_it_is_slow_start_again() {
    for algorithm in algorithms() {
        let mut estimate = steady(100.0);
        let overloaded = Sample {
            overloaded: true,
            ..sample(100.0, MS, MS)
        };
        for _ in 0..60 {
            estimate = estimate.next(&algorithm, &(4.0..=1_000.0), overloaded);
        }
        assert_eq!(estimate, Estimate::new(4.0));
    }
}
