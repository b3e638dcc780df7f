//! Two threads ask for the same clients as fast as they can: what each client gets, in all and in any
//! stretch of time.

use super::{Rate, Rounds, off};
use ratelimit_layer::RateLimiter;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const CLIENTS: usize = 100;
const RATE: Rate = Rate {
    per_second: 1_000,
    burst: 1_000,
};

pub(super) fn run(quick: bool) {
    let time = Duration::from_secs(if quick { 1 } else { 5 });
    println!(
        "\nTwo threads, {CLIENTS} clients with {} a second and a burst of {} each, {time:?}\n",
        RATE.per_second, RATE.burst
    );
    println!(
        "| limiter | checks | a client's units | exact | furthest off, % | most in a second | most beyond burst + rate, in any stretch |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let (ours, governor) = (RateLimiter::new(RATE.ours()), RATE.governor());
    let off = report("ratelimit-layer", time, |client| {
        ours.check(&client).is_allowed()
    });
    report("governor, keyed", time, |client| {
        governor.check_key(&client).is_ok()
    });
    println!("\nasked: at most 0.1 % off, no unit beyond burst + rate");
    // The limiter's clock and this one differ by millionths, which is a part of a unit.
    assert!(off.total <= 0.1 && off.beyond < 0.5, "exact");
}

/// How far a limiter is off: of what a client gets in all, in per cent, and beyond a stretch's quota, in
/// units.
struct Off {
    total: f64,
    beyond: f64,
}

fn report(name: &str, time: Duration, check: impl Fn(u64) -> bool + Sync) -> Off {
    let (start, began) = (Barrier::new(2), Instant::now());
    let hammers = std::thread::scope(|scope| {
        let hammer = || {
            start.wait();
            Hammer::new(began, time, &check)
        };
        [scope.spawn(hammer), scope.spawn(hammer)].map(|thread| thread.join().unwrap())
    });
    let first = |time: fn(&Rounds) -> u64| {
        hammers
            .iter()
            .map(|hammer| time(&hammer.rounds))
            .min()
            .unwrap()
    };
    let last = |time: fn(&Rounds) -> u64| {
        hammers
            .iter()
            .map(|hammer| time(&hammer.rounds))
            .max()
            .unwrap()
    };
    // Whichever thread is on the processor asks.
    let exact = RATE.exact(&Rounds {
        began: first(|rounds| rounds.began),
        first_done: first(|rounds| rounds.first_done),
        last_began: last(|rounds| rounds.last_began),
        ended: last(|rounds| rounds.ended),
    });
    let checks: u64 = hammers.iter().map(|hammer| hammer.checks).sum();
    let [one, other] = hammers.map(|hammer| hammer.admitted);
    let clients: Vec<_> = one
        .into_iter()
        .zip(other)
        .map(|(one, other)| Admitted::new([one, other].concat()))
        .collect();
    let units = || clients.iter().map(|client| client.0.len());
    let largest =
        |figure: &dyn Fn(&Admitted) -> f64| clients.iter().map(figure).fold(f64::MIN, f64::max);
    let off = Off {
        total: largest(&|client| 100.0 * off(client.0.len() as f64, &exact) / exact.end()),
        beyond: largest(&Admitted::beyond),
    };
    println!(
        "| {name} | {checks} | {} to {} | {:.1} to {:.1} | {:.3} | {} of {} | {:+.2} |",
        units().min().unwrap(),
        units().max().unwrap(),
        exact.start(),
        exact.end(),
        off.total,
        largest(&|client| client.most_within(1_000_000_000) as f64),
        RATE.burst + RATE.per_second,
        off.beyond
    );
    off
}

/// What one thread did; times in nanoseconds.
struct Hammer {
    rounds: Rounds,
    checks: u64,
    /// For each client, times surely before and after each admission.
    admitted: Vec<Vec<(u64, u64)>>,
}

impl Hammer {
    fn new(origin: Instant, time: Duration, check: impl Fn(u64) -> bool) -> Self {
        let mut admitted = vec![Vec::new(); CLIENTS];
        let mut checks = 0;
        let rounds = Rounds::run(origin, time, |mut before| {
            for (client, admitted) in admitted.iter_mut().enumerate() {
                if check(client as u64) {
                    let after = origin.elapsed().as_nanos() as u64;
                    admitted.push((before, after));
                    before = after;
                }
            }
            checks += CLIENTS as u64;
        });
        Self {
            rounds,
            checks,
            admitted,
        }
    }
}

/// A client's admissions: when each came at the earliest, in order, and when it and all of the ones
/// ahead of it had come for sure.
struct Admitted(Vec<(u64, u64)>);

impl Admitted {
    fn new(mut times: Vec<(u64, u64)>) -> Self {
        times.sort_unstable();
        let mut all = 0;
        for (_, after) in &mut times {
            all = all.max(*after);
            *after = all;
        }
        Self(times)
    }

    /// The most that surely came within so many nanoseconds.
    fn most_within(&self, nanoseconds: u64) -> usize {
        let mut first = 0;
        let within = |(last, (_, after)): (usize, &(u64, u64))| {
            while after - self.0[first].0 > nanoseconds {
                first += 1;
            }
            last + 1 - first
        };
        self.0.iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// By how many units the fullest stretch of time, from any admission to any later one, goes beyond
    /// what burst and rate give in it.
    fn beyond(&self) -> f64 {
        let (mut best_start, mut beyond) = (f64::MAX, f64::MIN);
        for (index, (before, after)) in self.0.iter().enumerate() {
            best_start = best_start.min(index as f64 - RATE.given(*before));
            beyond = beyond.max((index + 1) as f64 - RATE.given(*after) - best_start);
        }
        beyond - f64::from(RATE.burst)
    }
}
