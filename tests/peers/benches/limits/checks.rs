//! A check beside governor's, both with their default clocks and hashes.

use super::Rate;
use crate::support::compare::median;
use crate::support::threads::{Effort, Load};
use ratelimit_layer::RateLimiter;

pub(super) fn run(quick: bool) {
    let Effort { rounds, round } = Effort::new(quick);
    println!(
        "\nA check of a known client, within its quota, ns; medians of {rounds} rounds, in turns\n"
    );
    println!(
        "| clients | threads | ratelimit-layer | governor, keyed | ratio of a round | allocations |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for keys in [1, 10_000, 1_000_000] {
        // The default table, or one for twice the clients.
        let slots = (2 * keys as usize).max(65_536);
        let ours = RateLimiter::new(Rate::WIDE.ours()).max_clients(slots);
        let governor = Rate::WIDE.governor();
        let ours = |key: u64| ours.check(&key).is_allowed();
        let governor = |key: u64| governor.check_key(&key).is_ok();
        assert!((0..keys).all(|key| ours(key) && governor(key)));
        for threads in [1, 2] {
            let load = Load {
                keys,
                threads,
                time: round,
                answer: true,
            };
            let each: Vec<_> = (0..rounds)
                .map(|_| (load.cost(&ours), load.cost(&governor)))
                .collect();
            let figure = |figure: fn(f64, f64) -> f64| {
                let of = each
                    .iter()
                    .map(|(ours, governor)| figure(ours.nanoseconds, governor.nanoseconds));
                median(of.collect())
            };
            let allocations = each.iter().map(|(ours, _)| ours.allocations);
            println!(
                "| {keys} | {threads} | {:.1} | {:.1} | {:.2} | {} |",
                figure(|ours, _| ours),
                figure(|_, governor| governor),
                figure(|ours, governor| ours / governor),
                allocations.fold(0.0, f64::max)
            );
        }
    }
    println!("\nasked: 0.60 at most, no allocation");
}
