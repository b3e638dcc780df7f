//! What the settings may be.

use ratelimit_layer::{Adaptive, Aimd, ConcurrencyLimitLayer, Gradient2, Vegas};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

fn limit(adaptive: Adaptive) -> u64 {
    let stats = ConcurrencyLimitLayer::new(1)
        .adaptive(adaptive)
        .handle()
        .stats();
    assert_eq!(stats.max_total, stats.adaptive_limit);
    stats.adaptive_limit.unwrap()
}

#[test]
fn the_limit_begins_between_floor_and_ceiling() {
    assert_eq!(limit(Adaptive::gradient2()), 10);
    assert_eq!(limit(Adaptive::vegas().start_at(7)), 7);
    assert_eq!(limit(Adaptive::aimd().between(20, 30)), 20);
    assert_eq!(
        limit(Adaptive::gradient2().start_at(99).between(20, 30)),
        30
    );
    assert_eq!(
        limit(Adaptive::gradient2().between(1_000_000, 1_000_000)),
        1_000_000
    );
    let stats = ConcurrencyLimitLayer::new(1).handle().stats();
    assert_eq!(stats.adaptive_limit, None);
}

#[test]
fn settings_at_their_edges() {
    let (ms, day) = (Duration::from_millis(1), Duration::from_secs(86_400));
    let gradient2 = Gradient2::new().tolerance(1.0).tolerance(10.0);
    let gradient2 = gradient2
        .smoothing(0.01)
        .smoothing(1.0)
        .queue(0.0)
        .queue(100.0);
    let _ = gradient2.long_window(1).long_window(1_000_000);
    let vegas = Vegas::new().queue(0.0, 0.0).queue(100.0, 100.0);
    let _ = vegas.threshold(0.0).threshold(100.0);
    let _ = Aimd::new()
        .back_off(0.5)
        .back_off(0.99)
        .timeout(ms)
        .timeout(day);
    let _ = Adaptive::gradient2()
        .window(10 * ms)
        .window(Duration::from_secs(60))
        .remeasure_every(Duration::from_secs(1))
        .remeasure_every(day)
        .overload_share(0.0)
        .overload_share(0.5)
        .ignore_below(Duration::ZERO)
        .ignore_below(Duration::from_secs(1));
}

#[test]
fn beyond_them_they_say_what_is_allowed() {
    let wrong: [(fn(), &str); 15] = [
        (
            || drop(Adaptive::gradient2().between(0, 1)),
            "the adaptive floor is 0, but must be 1 to 1000000",
        ),
        (
            || drop(Adaptive::gradient2().between(5, 4)),
            "the adaptive ceiling is 4, but must be 5 to 1000000",
        ),
        (
            || drop(Adaptive::gradient2().between(1, 1_000_001)),
            "the adaptive ceiling is 1000001, but must be 1 to 1000000",
        ),
        (
            || drop(Adaptive::gradient2().start_at(0)),
            "the limit to start at is 0, but must be 1 to 1000000",
        ),
        (
            || drop(Adaptive::gradient2().window(Duration::from_millis(9))),
            "the adaptive window is 9ms, but must be 10ms to 60s",
        ),
        (
            || drop(Adaptive::gradient2().remeasure_every(Duration::ZERO)),
            "the time between measurements is 0ns, but must be 1s to 86400s",
        ),
        (
            || drop(Adaptive::gradient2().overload_share(0.6)),
            "the overload share is 0.6, but must be 0.0 to 0.5",
        ),
        (
            || drop(Adaptive::gradient2().ignore_below(Duration::from_secs(2))),
            "the shortest round trip is 2s, but must be 0ns to 1s",
        ),
        (
            || {
                let _ = Gradient2::new().tolerance(f64::NAN);
            },
            "the gradient tolerance is NaN, but must be 1.0 to 10.0",
        ),
        (
            || {
                let _ = Gradient2::new().smoothing(0.0);
            },
            "the gradient smoothing is 0.0, but must be 0.01 to 1.0",
        ),
        (
            || {
                let _ = Gradient2::new().queue(-1.0);
            },
            "the gradient queue is -1.0, but must be 0.0 to 100.0",
        ),
        (
            || {
                let _ = Gradient2::new().long_window(0);
            },
            "the long window is 0, but must be 1 to 1000000",
        ),
        (
            || {
                let _ = Vegas::new().queue(3.0, 2.0);
            },
            "the Vegas beta is 2.0, but must be 3.0 to 100.0",
        ),
        (
            || {
                let _ = Aimd::new().back_off(1.0);
            },
            "the back-off ratio is 1.0, but must be 0.5 to 0.99",
        ),
        (
            || {
                let _ = Aimd::new().timeout(Duration::ZERO);
            },
            "the time-out is 0ns, but must be 1ms to 86400s",
        ),
    ];
    for (set, message) in wrong {
        let panic = catch_unwind(AssertUnwindSafe(set)).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), message);
    }
}
