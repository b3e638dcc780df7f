//! What clients take up, each limiter in a process of its own so that peaks do not mix.

use super::Rate;
use crate::support::heap;
use ratelimit_layer::RateLimiter;
use std::env::current_exe;
use std::process::Command;

/// Asks this program to be the process of one limiter.
pub(super) const CHILD: &str = "--memory-of";

/// How it is called, and what becomes of it when so many distinct clients come.
type Limiter = (&'static str, fn(u64) -> Story);

const LIMITERS: [Limiter; 3] = [
    ("ratelimit-layer", |clients| ours(65_536, clients)),
    ("ratelimit-layer, `max_clients(1_000_000)`", |clients| {
        ours(1_000_000, clients)
    }),
    ("governor, keyed", governor),
];

pub(super) fn run(quick: bool) {
    let clients = if quick { 1_000_000 } else { 10_000_000 };
    println!(
        "\nHeap in bytes before and after {clients} distinct clients, and the process's peak\n"
    );
    println!(
        "| limiter | at construction | per client | growth | left after clean-up | peak, resident |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (index, (name, _)) in LIMITERS.iter().enumerate() {
        let child = Command::new(current_exe().unwrap())
            .args([CHILD, &index.to_string(), &clients.to_string()])
            .status();
        assert!(child.unwrap().success(), "{name}");
    }
    println!("\nasked: ratelimit-layer grows by 0");
}

pub(super) fn child(mut arguments: impl Iterator<Item = String>) {
    let mut number = || arguments.next().unwrap().parse().unwrap();
    let (name, limiter) = LIMITERS[number() as usize];
    let Story {
        built,
        per_client,
        growth,
        left,
    } = limiter(number());
    let left = left.map_or("nothing to clean up".into(), |left| left.to_string());
    println!(
        "| {name} | {built} | {per_client:.1} | {growth:+} | {left} | {} |",
        peak()
    );
}

struct Story {
    built: i64,
    per_client: f64,
    growth: i64,
    left: Option<i64>,
}

const RATE: Rate = Rate {
    per_second: 1_000,
    burst: 100,
};

fn ours(max_clients: usize, clients: u64) -> Story {
    let (limiter, built) = counted(|| RateLimiter::new(RATE.ours()).max_clients(max_clients));
    let ((), growth) =
        counted(|| (0..clients).for_each(|client| assert!(limiter.check(&client).is_allowed())));
    Story {
        built,
        per_client: built as f64 / limiter.capacity() as f64,
        growth,
        left: None,
    }
}

fn governor(clients: u64) -> Story {
    let (limiter, built) = counted(|| RATE.governor());
    let ((), growth) =
        counted(|| (0..clients).for_each(|client| assert!(limiter.check_key(&client).is_ok())));
    // All but the last have got their unit back by now, so they are forgotten.
    let ((), cleaned) = counted(|| {
        limiter.retain_recent();
        limiter.shrink_to_fit();
    });
    Story {
        built,
        per_client: growth as f64 / clients as f64,
        growth,
        left: Some(growth + cleaned),
    }
}

/// What comes of it, and by how many bytes the heap grows.
fn counted<T>(what: impl FnOnce() -> T) -> (T, i64) {
    let before = heap::live();
    let value = what();
    (value, heap::live() - before)
}

/// The most that this process has had resident, as Linux tells it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or("unknown".into(), |peak| peak.trim().into())
}
