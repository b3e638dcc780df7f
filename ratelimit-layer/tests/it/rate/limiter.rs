//! The limiter without HTTP.

use ratelimit_layer::{Algorithm, Decision, Policy, Quota, RateLimiter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, advance};

/// How many of so many checks in a row are allowed.
fn allowed(limiter: &RateLimiter, key: &str, checks: u32) -> u32 {
    (0..checks)
        .map(|_| u32::from(limiter.check(key).is_allowed()))
        .sum()
}

/// The default clock, not tokio's.
#[test]
fn real_time_passes_too() {
    let limiter = RateLimiter::new(Quota::per(1, Duration::from_millis(1)));
    assert!(limiter.check(&1).is_allowed());
    let refused = limiter.check(&1);
    assert!(refused.is_allowed() || refused.wait() <= Duration::from_millis(1));
    while !limiter.check(&1).is_allowed() {
        std::hint::spin_loop();
    }
}

/// Two threads ask as fast as they can, on the default clock: never more than the quota gives, and
/// no less than a scheduler that takes a thread away now and then leaves.
#[test]
fn a_hammer_gets_what_the_quota_gives() {
    let limiter = RateLimiter::new(Quota::per_second(10_000).burst(5_000));
    let allowed = AtomicU32::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while began.elapsed() < Duration::from_millis(500) {
                    for _ in 0..100 {
                        allowed.fetch_add(u32::from(limiter.check("one").is_allowed()), Relaxed);
                    }
                }
            });
        }
    });
    let bound = 5_000.0 + 10_000.0 * began.elapsed().as_secs_f64();
    let allowed = f64::from(allowed.into_inner());
    assert!(
        allowed <= bound * 1.001 && allowed >= 0.95 * 10_000.0,
        "{allowed} of {bound}"
    );
}

#[tokio::test(start_paused = true)]
async fn several_policies_charge_all_or_none() {
    let limiter =
        RateLimiter::new(Quota::per_second(2)).policy(Policy::new("hourly", Quota::per_hour(5)));
    assert_eq!(allowed(&limiter, "a", 10), 2);
    advance(Duration::from_secs(1)).await;
    // The eight that were refused cost none of the five.
    assert_eq!(allowed(&limiter, "a", 10), 2);
    advance(Duration::from_secs(1)).await;
    assert_eq!(allowed(&limiter, "a", 10), 1);
    let refused = limiter.check("a");
    assert_eq!(refused.policy(), 1);
    assert_eq!(refused.wait(), Duration::from_secs(720 - 2));
    assert!(limiter.check("b").is_allowed());
}

#[tokio::test(start_paused = true)]
async fn costs_refunds_and_charges() {
    let limiter = RateLimiter::new(Quota::per_minute(60).burst(10));
    assert!(!limiter.check_n("a", 11).is_allowed());
    assert_eq!(limiter.check_n("a", 11).wait(), Duration::MAX);
    assert!(limiter.check_n("a", 0).is_allowed());
    let taken = limiter.check_n("a", 7);
    assert_eq!((taken.is_allowed(), taken.remaining()), (true, 3));
    assert_eq!(limiter.check_n("a", 5).wait(), Duration::from_secs(2));
    limiter.refund("a", 4);
    assert_eq!(limiter.peek("a").remaining(), 7);
    limiter.refund("a", 1_000);
    assert_eq!(limiter.peek("a").remaining(), 10);
    limiter.charge("a", 12);
    let peeked = limiter.peek("a");
    assert_eq!(
        (peeked.is_allowed(), peeked.wait()),
        (false, Duration::from_secs(3))
    );
    // Looking costs nothing.
    advance(Duration::from_secs(3)).await;
    assert!(limiter.peek("a").is_allowed());
    assert!(limiter.check("a").is_allowed() && !limiter.check("a").is_allowed());
    limiter.reset("a");
    assert_eq!(allowed(&limiter, "a", 20), 10);
}

#[tokio::test(start_paused = true)]
async fn windows_have_their_units_and_no_more() {
    for (algorithm, exact) in [
        (Algorithm::SlidingWindowLog, true),
        (Algorithm::SlidingWindowCounter, false),
    ] {
        let policy = Policy::new("window", Quota::per_second(10)).algorithm(algorithm);
        let limiter = RateLimiter::of_policy(policy);
        advance(Duration::from_millis(900)).await;
        assert_eq!(allowed(&limiter, "a", 20), 10, "{algorithm:?}");
        let refused = limiter.check("a");
        assert_eq!((refused.is_allowed(), refused.remaining()), (false, 0));
        // A token bucket would have given nine of ten back by then.
        advance(refused.wait() - Duration::from_nanos(1)).await;
        assert!(!limiter.check("a").is_allowed(), "{algorithm:?}");
        advance(Duration::from_nanos(1)).await;
        assert!(limiter.check("a").is_allowed(), "{algorithm:?}");
        if exact {
            assert_eq!(refused.wait(), Duration::from_secs(1));
        }
        assert!(limiter.check("b").is_allowed());
        assert_eq!(limiter.tracked_clients(), 2);
        advance(Duration::from_secs(3)).await;
        assert_eq!(limiter.tracked_clients(), 0);
        assert_eq!(allowed(&limiter, "a", 20), 10, "{algorithm:?}");
        limiter.reset("a");
        assert_eq!(allowed(&limiter, "a", 20), 10, "{algorithm:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_changes_and_debts_stay() {
    for algorithm in [
        Algorithm::TokenBucket,
        Algorithm::SlidingWindowLog,
        Algorithm::SlidingWindowCounter,
    ] {
        let policy = Policy::new("only", Quota::per_minute(10)).algorithm(algorithm);
        let limiter = RateLimiter::of_policy(policy);
        assert_eq!(allowed(&limiter, "a", 6), 6);
        limiter.set_quota("only", Quota::per_hour(8)).unwrap();
        assert_eq!(limiter.quota(), Quota::per_hour(8));
        assert_eq!(allowed(&limiter, "a", 20), 2, "{algorithm:?}");
        assert_eq!(allowed(&limiter, "b", 20), 8, "{algorithm:?}");
        // Nobody owes more than there is.
        limiter.set_quota("only", Quota::per_second(2)).unwrap();
        advance(Duration::from_secs(3)).await;
        assert_eq!(allowed(&limiter, "a", 20), 2, "{algorithm:?}");
    }
}

#[test]
fn a_quota_that_cannot_be_set_is_refused_with_what_can() {
    let policy = Policy::new("log", Quota::per_minute(10)).algorithm(Algorithm::SlidingWindowLog);
    let limiter = RateLimiter::of_policy(policy);
    for (name, quota, says) in [
        (
            "other",
            Quota::per_minute(1),
            r#"there is no policy "other": there are ["log"]"#,
        ),
        ("log", Quota::per_minute(11), "allowed are the 10 units"),
        (
            "log",
            Quota::per_minute(5).burst(10),
            "without a burst of their own",
        ),
    ] {
        let error = limiter.set_quota(name, quota).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(limiter.quota(), Quota::per_minute(10));
}

#[tokio::test(start_paused = true)]
async fn the_penalised_are_refused_until_their_time_is_up() {
    let limiter = RateLimiter::new(Quota::per_second(100));
    limiter.penalise("a", Duration::from_secs(60));
    limiter.penalise("a", Duration::from_secs(5));
    let refused = limiter.check("a");
    assert!(!refused.is_allowed() && refused.is_banned());
    assert_eq!(
        (refused.wait(), refused.remaining()),
        (Duration::from_secs(60), 0)
    );
    assert!(limiter.peek("a").is_banned() && limiter.check("b").is_allowed());
    assert_eq!(limiter.banned_clients(), 1);
    advance(Duration::from_secs(60)).await;
    assert!(limiter.check("a").is_allowed());
    assert_eq!(limiter.banned_clients(), 0);
    limiter.penalise("a", Duration::from_secs(60));
    limiter.reset("a");
    assert!(limiter.check("a").is_allowed());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_stop_is_banned() {
    let limiter = RateLimiter::new(Quota::per_second(1)).ban_after(
        5,
        Duration::from_secs(10),
        Duration::from_secs(600),
    );
    assert!(limiter.check("a").is_allowed());
    let refused: Vec<_> = (0..6).map(|_| limiter.check("a")).collect();
    assert!(refused.iter().all(|decision| !decision.is_allowed()));
    let banned: Vec<_> = refused.iter().map(Decision::is_banned).collect();
    assert_eq!(banned, [false, false, false, false, false, true]);
    advance(Duration::from_secs(599)).await;
    assert!(limiter.check("a").is_banned());
    advance(Duration::from_secs(1)).await;
    assert!(limiter.check("a").is_allowed());
    // Who is refused now and then is not.
    for _ in 0..20 {
        assert!(!limiter.check("a").is_banned());
        advance(Duration::from_secs(2)).await;
        assert!(limiter.check("a").is_allowed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_signal_scales_quotas_within_bounds() {
    let share = Arc::new(AtomicU64::new(1.0_f64.to_bits()));
    let asked = Arc::new(AtomicU32::new(0));
    let signal = {
        let (share, asked) = (Arc::clone(&share), Arc::clone(&asked));
        move || {
            asked.fetch_add(1, Relaxed);
            f64::from_bits(share.load(Relaxed))
        }
    };
    let limiter = RateLimiter::new(Quota::per_second(100))
        .policy(
            Policy::new("window", Quota::per_second(100))
                .algorithm(Algorithm::SlidingWindowCounter),
        )
        .scale_with(signal, 0.1..=2.0);
    for (says, gives) in [
        (1.0, 100),
        (0.5, 50),
        (0.0, 10),
        (-1.0, 10),
        (1.25, 125),
        (1e9, 200),
        (f64::NAN, 200),
        (f64::INFINITY, 200),
        (0.25, 25),
    ] {
        share.store(f64::to_bits(says), Relaxed);
        advance(Duration::from_secs(60)).await;
        let before = asked.load(Relaxed);
        assert_eq!(allowed(&limiter, "a", 1_000), gives, "{says}");
        assert_eq!(asked.load(Relaxed), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_refuses_nothing() {
    let limiter = RateLimiter::new(Quota::per_second(5))
        .policy(Policy::new("dry", Quota::per_hour(2)).dry_run(true));
    let decisions: Vec<_> = (0..6).map(|_| limiter.check("a")).collect();
    let allowed: Vec<_> = decisions.iter().map(Decision::is_allowed).collect();
    assert_eq!(allowed, [true, true, true, true, true, false]);
    let marked: Vec<_> = decisions.iter().map(Decision::would_refuse).collect();
    assert_eq!(marked, [false, false, true, true, true, true]);

    let alone = RateLimiter::of_policy(Policy::new("dry", Quota::per_hour(1)).dry_run(true));
    assert!(!alone.check("a").would_refuse());
    let second = alone.check("a");
    assert!(second.is_allowed() && second.would_refuse() && second.wait().is_zero());
}

/// Two threads ask for one client under two policies: neither is charged for what the other refused.
#[test]
fn a_hammer_on_two_policies_charges_both_alike() {
    let limiter = RateLimiter::new(Quota::per_hour(1_000))
        .policy(Policy::new("other", Quota::per_hour(1_000)));
    let given = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    given.fetch_add(u32::from(limiter.check("a").is_allowed()), Relaxed);
                }
            });
        }
    });
    // A unit comes back every 3.6 s.
    let given = given.into_inner();
    assert!((1_000..1_005).contains(&given), "{given}");
}

#[test]
#[should_panic(expected = "looks at requests")]
fn a_policy_over_requests_needs_a_layer() {
    let _ = RateLimiter::new(Quota::per_second(1))
        .policy(Policy::new("logins", Quota::per_hour(5)).only(|_| true));
}

#[test]
#[should_panic(expected = "two policies cannot both be called \"default\"")]
fn names_are_not_given_twice() {
    let _ =
        RateLimiter::new(Quota::per_second(1)).policy(Policy::new("default", Quota::per_hour(5)));
}

#[test]
#[should_panic(expected = "allowed are 8")]
fn there_are_eight_policies_at_most() {
    (0..8).fold(RateLimiter::new(Quota::per_second(1)), |limiter, number| {
        limiter.policy(Policy::new(&number.to_string(), Quota::per_hour(5)))
    });
}

#[test]
#[should_panic(expected = "allowed are up to 128 units")]
fn a_log_is_for_small_quotas() {
    let _ = Policy::new("log", Quota::per_hour(129)).algorithm(Algorithm::SlidingWindowLog);
}

#[test]
#[should_panic(expected = "over 1s or longer")]
fn a_window_counter_is_for_seconds() {
    let quota = Quota::per(1, Duration::from_millis(999));
    let _ = Policy::new("window", quota).algorithm(Algorithm::SlidingWindowCounter);
}

#[test]
#[should_panic(expected = "quotas cannot be scaled between 0 and 1")]
fn a_share_is_never_nothing() {
    let _ = RateLimiter::new(Quota::per_second(1)).scale_with(|| 1.0, 0.0..=1.0);
}

#[test]
#[should_panic(expected = "a ban of 0ns cannot be used")]
fn a_ban_takes_a_while() {
    let second = Duration::from_secs(1);
    let _ = RateLimiter::new(Quota::per_second(1)).ban_after(1, second, Duration::ZERO);
}
