//! A check beside governor's.

use super::{ALLOCATIONS, Effort, median, mix};
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use ratelimit_layer::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

type Governor = governor::RateLimiter<u64, DashMapStateStore<u64>, DefaultClock>;

pub(crate) fn checks(effort: Effort) {
    println!(
        "A check, ns (median of {} rounds); allocations per check of a known client\n",
        effort.rounds
    );
    println!("|      keys | threads | ratelimit-layer | governor keyed | ratio | allocations |");
    println!("| --------: | ------: | --------------: | -------------: | ----: | ----------: |");
    for keys in [1_u64, 10_000, 1_000_000] {
        // So wide that nothing is refused: a refusal is cheaper.
        let (rate, burst) = (1_000_000, 1_000_000_000);
        // The default table, or one for twice the clients.
        let slots = (2 * keys as usize).max(65_536);
        let ours = RateLimiter::new(Quota::per_second(rate).burst(burst)).max_clients(slots);
        let quota = governor::Quota::per_second(NonZeroU32::new(rate).unwrap());
        let theirs = Governor::dashmap(quota.allow_burst(NonZeroU32::new(burst).unwrap()));
        let (ours, theirs) = (
            |key: u64| ours.check(&key).is_allowed(),
            |key: u64| theirs.check_key(&key).is_ok(),
        );
        for key in 0..keys {
            assert!(ours(mix(key)) && theirs(mix(key)));
        }
        for threads in [1, 2] {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            let mut allocations = 0.0;
            for round in 0..effort.rounds as u64 {
                let (cost, allocated) = run(&ours, keys, threads, round, effort.round);
                a.push(cost);
                allocations = allocated;
                b.push(run(&theirs, keys, threads, round, effort.round).0);
            }
            let (a, b) = (median(a), median(b));
            println!(
                "| {keys:>9} | {threads:>7} | {a:>15.1} | {b:>14.1} | {:>5.2} | {allocations:>11.4} |",
                a / b
            );
        }
    }
}

/// Nanoseconds each thread spends on one check, and allocations per check.
fn run(
    check: &(impl Fn(u64) -> bool + Sync),
    keys: u64,
    threads: u64,
    seed: u64,
    time: Duration,
) -> (f64, f64) {
    let (start, end) = (
        Barrier::new(threads as usize),
        Barrier::new(threads as usize),
    );
    let results: Vec<(f64, f64)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (start, end) = (&start, &end);
                scope.spawn(move || {
                    let mut random = mix(seed * threads + thread + 1) | 1;
                    start.wait();
                    let (began, before) = (Instant::now(), ALLOCATIONS.load(Relaxed));
                    let (mut checks, mut refused) = (0_u64, 0_u64);
                    while began.elapsed() < time {
                        for _ in 0..1_000 {
                            random ^= random << 13;
                            random ^= random >> 7;
                            random ^= random << 17;
                            let key = ((u128::from(random) * u128::from(keys)) >> 64) as u64;
                            refused += u64::from(!check(mix(key)));
                        }
                        checks += 1_000;
                    }
                    let spent = began.elapsed();
                    let allocated = ALLOCATIONS.load(Relaxed) - before;
                    end.wait();
                    assert_eq!(refused, 0, "the quota is so wide that nothing is refused");
                    (
                        spent.as_nanos() as f64 / checks as f64,
                        allocated as f64 / checks as f64,
                    )
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let mean =
        |values: fn(&(f64, f64)) -> f64| results.iter().map(values).sum::<f64>() / threads as f64;
    (mean(|result| result.0), mean(|result| result.1))
}
