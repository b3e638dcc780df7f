//! One thread asks for some hot clients as fast as it can; another sends newcomers, each of which
//! comes once.

use super::{Rate, Rounds, off};
use ratelimit_layer::RateLimiter;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const HOT: usize = 16;

pub(super) fn run(quick: bool) {
    let time = Duration::from_secs(if quick { 1 } else { 5 });
    let floods = [
        (
            "fast",
            Rate {
                per_second: 1_000,
                burst: 1_000,
            },
        ),
        // Whoever has come stays in debt for a second, far longer than a slot lasts.
        (
            "slow: all in debt",
            Rate {
                per_second: 1,
                burst: 100,
            },
        ),
    ];
    println!(
        "\nNewcomers, {time:?} long, into ratelimit-layer's default table of 65,536; {HOT} hot clients beside them\n"
    );
    println!(
        "| flood | quota | newcomers | refused | % | evicted in debt | units of a hot client | exact |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (name, rate) in floods {
        let limiter = RateLimiter::new(rate.ours());
        let start = Barrier::new(2);
        let ((admitted, rounds), (newcomers, refused)) = std::thread::scope(|scope| {
            let flood = scope.spawn(|| {
                start.wait();
                newcomers(&limiter, time)
            });
            start.wait();
            let hot = hot_clients(&limiter, time);
            (hot, flood.join().unwrap())
        });
        let exact = rate.exact(&rounds);
        let percent = 100.0 * refused as f64 / newcomers as f64;
        let (least, most) = (
            admitted.iter().min().unwrap(),
            admitted.iter().max().unwrap(),
        );
        println!(
            "| {name} | {} | {newcomers} | {refused} | {percent:.5} | {} | {least} to {most} | {:.1} to {:.1} |",
            limiter.quota(),
            limiter.evicted_in_debt(),
            exact.start(),
            exact.end()
        );
        assert!(percent <= 0.001, "newcomers are let in");
        let furthest = admitted
            .map(|units| off(units.into(), &exact))
            .into_iter()
            .fold(0.0, f64::max);
        assert!(
            furthest <= exact.end() / 1_000.0,
            "hot clients get their quota: {admitted:?}"
        );
    }
    println!("\nasked: at most 0.001 % of the newcomers refused, hot clients exact to 0.1 %");
}

/// What each was allowed, and when.
fn hot_clients(limiter: &RateLimiter, time: Duration) -> ([u32; HOT], Rounds) {
    let mut admitted = [0; HOT];
    let rounds = Rounds::run(Instant::now(), time, |_| {
        for (client, units) in admitted.iter_mut().enumerate() {
            *units += u32::from(limiter.check(&(client as u64)).is_allowed());
        }
    });
    (admitted, rounds)
}

/// How many came, and how many of them were refused.
fn newcomers(limiter: &RateLimiter, time: Duration) -> (u64, u64) {
    let (mut came, mut refused, began) = (0, 0, Instant::now());
    while began.elapsed() < time {
        for _ in 0..100 {
            came += 1;
            refused += u64::from(!limiter.check(&(HOT as u64 + came)).is_allowed());
        }
    }
    (came, refused)
}
