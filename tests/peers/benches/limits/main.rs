//! ratelimit-layer beside `governor`, its keyed store on DashMap, and `tower_governor`: what a check and
//! a layer cost, what clients take up, and whether all get what they should, in a flood and under two
//! threads' hammer.
//!
//! `cargo bench --manifest-path tests/peers/Cargo.toml --bench limits` (add `-- --quick` for a short run,
//! and one or more of `checks`, `layers`, `memory`, `floods` and `exactness` for these parts alone)
#![allow(unsafe_code, reason = "counts allocations")]
#![allow(unreachable_pub, reason = "the support is ratelimit-layer's own")]
#![allow(clippy::disallowed_types, reason = "measures real time")]

#[path = "../../../../ratelimit-layer/benches/support/mod.rs"]
mod support;

mod checks;
mod exactness;
mod floods;
mod layers;
mod memory;

use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

type Part = (&'static str, fn(bool));

fn main() {
    let parts: [Part; 5] = [
        ("checks", checks::run),
        ("layers", layers::run),
        ("memory", memory::run),
        ("floods", floods::run),
        ("exactness", exactness::run),
    ];
    let (mut quick, mut names) = (false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // cargo's own.
            "--bench" => {}
            "--quick" => quick = true,
            memory::CHILD => return memory::child(arguments),
            name if parts.iter().any(|(part, _)| *part == name) => names.push(argument),
            _ => {
                let known = parts.map(|(part, _)| part).join(" | ");
                eprintln!("usage: [--quick] [{known}]...");
                std::process::exit(2);
            }
        }
    }
    for (part, run) in parts {
        if names.is_empty() || names.iter().any(|name| name == part) {
            run(quick);
        }
    }
}

/// Units per second, and at once.
#[derive(Clone, Copy)]
struct Rate {
    per_second: u32,
    burst: u32,
}

type Governor = governor::RateLimiter<u64, DashMapStateStore<u64>, DefaultClock>;

impl Rate {
    /// So wide that nothing is refused.
    const WIDE: Self = Self {
        per_second: 1_000_000,
        burst: 1_000_000_000,
    };

    fn ours(self) -> ratelimit_layer::Quota {
        ratelimit_layer::Quota::per_second(self.per_second).burst(self.burst)
    }

    /// governor's store of keys, as it comes by default.
    fn governor(self) -> Governor {
        let [per_second, burst] =
            [self.per_second, self.burst].map(|units| NonZeroU32::new(units).unwrap());
        Governor::dashmap(governor::Quota::per_second(per_second).allow_burst(burst))
    }

    /// Units that come in so many nanoseconds.
    fn given(self, nanoseconds: u64) -> f64 {
        f64::from(self.per_second) * nanoseconds as f64 / 1e9
    }

    /// What a client gets exactly that is asked for without a pause, whenever the machine lets the
    /// threads run: from the burst and what comes between the end of the first round and the begin of
    /// the last, to the burst and what comes in all.
    fn exact(self, rounds: &Rounds) -> RangeInclusive<f64> {
        let Rounds {
            began,
            first_done,
            last_began,
            ended,
        } = *rounds;
        let least = self.given(last_began.saturating_sub(first_done)).floor();
        let burst = f64::from(self.burst);
        burst + least..=burst + self.given(ended - began)
    }
}

/// When rounds of checks were made, in nanoseconds.
struct Rounds {
    began: u64,
    first_done: u64,
    last_began: u64,
    ended: u64,
}

impl Rounds {
    /// Rounds, each of which is told when it begins, for so long.
    fn run(origin: Instant, time: Duration, mut round: impl FnMut(u64)) -> Self {
        let now = || origin.elapsed().as_nanos() as u64;
        let began = now();
        round(began);
        let first_done = now();
        let (mut last_began, mut ended) = (began, first_done);
        while ended < began + time.as_nanos() as u64 {
            last_began = ended;
            round(last_began);
            ended = now();
        }
        Self {
            began,
            first_done,
            last_began,
            ended,
        }
    }
}

/// How far units are off what is exact, in units.
fn off(units: f64, exact: &RangeInclusive<f64>) -> f64 {
    (exact.start() - units).max(units - exact.end()).max(0.0)
}
