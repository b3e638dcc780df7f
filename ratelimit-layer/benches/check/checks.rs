//! A check of a client that is known already.

use super::support::compare::median;
use super::support::threads::{Cost, Effort, Load};
use super::{narrow, wide};
use ratelimit_layer::RateLimiter;

pub(crate) fn checks(effort: Effort) {
    println!(
        "A check of a known client, medians of {} rounds\n",
        effort.rounds
    );
    println!(
        "|   clients | threads | allowed, ns | refused, ns | refused / allowed | allocations |"
    );
    println!(
        "| --------: | ------: | ----------: | ----------: | ----------------: | ----------: |"
    );
    for keys in [1, 10_000, 1_000_000] {
        // The default table, or one for twice the clients.
        let slots = (2 * keys as usize).max(65_536);
        let [allowing, refusing] = [(wide(), true), (narrow(), false)].map(|(quota, answer)| {
            let limiter = RateLimiter::new(quota).max_clients(slots);
            let check = move |key: u64| limiter.check(&key).is_allowed();
            assert!((0..keys).all(&check), "all clients are new");
            (check, answer)
        });
        for threads in [1, 2] {
            let costs = |check: &_, answer| {
                let time = effort.round;
                Load {
                    keys,
                    threads,
                    time,
                    answer,
                }
                .cost(check)
            };
            let (allowed, refused): (Vec<Cost>, Vec<Cost>) = (0..effort.rounds)
                .map(|_| {
                    (
                        costs(&allowing.0, allowing.1),
                        costs(&refusing.0, refusing.1),
                    )
                })
                .unzip();
            let each = || allowed.iter().zip(&refused);
            let ratios = each().map(|(allowed, refused)| refused.nanoseconds / allowed.nanoseconds);
            let nanoseconds =
                |costs: &[Cost]| median(costs.iter().map(|cost| cost.nanoseconds).collect());
            let allocations =
                each().map(|(allowed, refused)| allowed.allocations + refused.allocations);
            println!(
                "| {keys:>9} | {threads:>7} | {:>11.1} | {:>11.1} | {:>17.2} | {:>11.4} |",
                nanoseconds(&allowed),
                nanoseconds(&refused),
                median(ratios.collect()),
                allocations.fold(0.0, f64::max)
            );
        }
    }
}
