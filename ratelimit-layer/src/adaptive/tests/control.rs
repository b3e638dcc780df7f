//! From windows to limits, measurements among them.

use super::super::Aimd;
use super::super::algorithm::Algorithm;
use super::super::control::{Control, Next, Order, Rules, Window};
use super::{MS, algorithms, any_algorithm};
use proptest::prelude::*;

proptest! {
    /// Whatever comes in, the windows go on and the orders can be followed.
    #[test]
    fn control_follows_any_window(
        algorithm in any_algorithm(),
        floor in 1_u32..1_000,
        room in 0_u32..100_000,
        share in 0.0..=0.5,
        windows in prop::collection::vec(
            (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), 0_u64..1_000_000_000_000),
            1..100,
        ),
    ) {
        let (floor, ceiling) = (f64::from(floor), f64::from(floor + room));
        let rules = Rules {
            algorithm,
            bounds: floor..=ceiling,
            window: 100_000_000,
            remeasure: 5_000_000_000,
            overload_share: share,
        };
        let (mut control, first) = Control::new(rules, floor, 1);
        let mut until = first.until;
        for (answered, time, in_flight, overloaded, late) in windows {
            let now = until.saturating_add(late);
            let order = control.next(Window { answered, time, in_flight, overloaded }, now);
            let allowed = floor as usize..=ceiling as usize;
            prop_assert!(allowed.contains(&order.limit) && allowed.contains(&order.total));
            prop_assert!(order.total <= order.limit);
            prop_assert!(order.next.until >= now && order.next.until >= order.next.from);
            until = order.next.until;
        }
    }
}

/// Windows of a service that works on `servers` at once and takes `time` for each.
fn windows(control: &mut Control, order: &mut Order, servers: f64, time: f64, count: usize) {
    for _ in 0..count {
        let total = order.total as f64;
        let round_trip = time * (total / servers).max(1.0);
        let window = Window {
            answered: 100,
            time: (100.0 * round_trip) as u64,
            in_flight: 100 * order.total as u64,
            overloaded: 0,
        };
        *order = control.next(window, order.next.until);
    }
}

fn begin(algorithm: Algorithm) -> (Control, Order) {
    let rules = Rules {
        algorithm,
        bounds: 1.0..=10_000.0,
        window: 100_000_000,
        remeasure: 5_000_000_000,
        overload_share: 0.01,
    };
    let (control, next) = Control::new(rules, 10.0, 1);
    let order = Order {
        limit: 10,
        total: 10,
        next,
    };
    (control, order)
}

/// A first round trip with a queue in it is found out by the next measurement.
#[test]
fn what_was_mistaken_for_the_floor_is_found_out() {
    for algorithm in &algorithms()[..2] {
        let (mut control, mut order) = begin(*algorithm);
        // 10 in flight, where 4 are worked on.
        windows(&mut control, &mut order, 4.0, 50.0 * MS, 2);
        assert!(order.limit > 9, "{order:?}");
        windows(&mut control, &mut order, 4.0, 50.0 * MS, 100);
        assert!((4..=7).contains(&order.limit), "{order:?}");
    }
}

#[test]
fn a_measurement_lowers_the_total_but_not_the_limit() {
    for algorithm in &algorithms()[..2] {
        let (mut control, mut order) = begin(*algorithm);
        let (mut measurements, mut windows_seen) = (0, 0);
        while order.next.until < 21_000_000_000 {
            windows(&mut control, &mut order, 100.0, 50.0 * MS, 1);
            windows_seen += 1;
            if order.total < order.limit {
                measurements += 1;
                assert!((0.4..0.51).contains(&(order.total as f64 / order.limit as f64)));
            }
        }
        // After the overshoot of the slow start, and then every five seconds.
        assert!(
            (4..=5).contains(&measurements),
            "{measurements} of {windows_seen}"
        );
    }
}

/// Twice the time and the same servers: the limit comes back, while half the servers halve it.
#[test]
fn a_slower_service_is_told_from_a_smaller_one() {
    for algorithm in &algorithms()[..2] {
        let (mut control, mut order) = begin(*algorithm);
        windows(&mut control, &mut order, 100.0, 50.0 * MS, 100);
        assert!((100..=110).contains(&order.limit), "{order:?}");
        windows(&mut control, &mut order, 100.0, 100.0 * MS, 100);
        assert!((100..=110).contains(&order.limit), "{order:?}");
        windows(&mut control, &mut order, 50.0, 100.0 * MS, 100);
        assert!((50..=56).contains(&order.limit), "{order:?}");
    }
}

/// No drift: an hour of overload later the limit is where it was.
#[test]
fn the_limit_does_not_creep_up() {
    for algorithm in &algorithms()[..2] {
        let (mut control, mut order) = begin(*algorithm);
        windows(&mut control, &mut order, 100.0, 50.0 * MS, 36_000);
        assert!((100..=110).contains(&order.limit), "{order:?}");
    }
}

#[test]
fn a_few_errors_are_no_overload() {
    let window = |overloaded| Window {
        answered: 100 - overloaded,
        time: (100 - overloaded) * 50_000_000,
        in_flight: 100 * 100,
        overloaded,
    };
    for (overloaded, falls) in [(0, false), (1, false), (2, true), (100, true)] {
        let (mut control, order) = begin(Algorithm::Aimd(Aimd::new()));
        let Next { until, .. } = order.next;
        let after = control.next(window(overloaded), until);
        assert_eq!(after.limit < 10, falls, "{overloaded}: {after:?}");
    }
}
