//! The table, one thread at a time and under a hammer.

use super::Table;
use crate::gcra::Gcra;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SECOND: u64 = 1_000_000_000;

fn gcra(per_second: u64, burst: u32) -> Gcra {
    Gcra::new(SECOND / per_second, burst)
}

/// A hash in the table's only set.
fn client(number: u64) -> u64 {
    number << 1
}

#[test]
fn sizes_are_rounded_up_to_sets() {
    for (asked, got) in [
        (1, 8),
        (8, 8),
        (9, 16),
        (17, 32),
        (65_536, 65_536),
        (100_000, 131_072),
    ] {
        assert_eq!(Table::new(asked).slots(), got);
    }
}

#[test]
fn a_ninth_client_evicts_the_least_debtor_and_starts_fresh() {
    let (table, gcra, now) = (Table::new(8), gcra(1, 10), SECOND);
    for number in 1..=8 {
        for _ in 0..number {
            assert!(
                table
                    .check(client(number), now, 1, gcra)
                    .verdict
                    .tat
                    .is_some()
            );
        }
    }
    let ninth = table.check(client(9), now, 1, gcra);
    assert!(ninth.evicted_in_debt);
    assert_eq!(ninth.verdict.tat, Some(now + SECOND));
    // The first, with one unit of debt, was forgotten; the others were not.
    for number in 2..=8 {
        assert_eq!(
            table.check(client(number), now, 1, gcra).verdict.tat,
            Some(now + (number + 1) * SECOND)
        );
    }
}

#[test]
fn a_client_with_a_full_bucket_is_forgotten_without_loss() {
    let (table, gcra) = (Table::new(8), gcra(1, 1));
    for number in 1..=1_000 {
        // Each comes when the one eight before it is fresh again.
        let checked = table.check(client(number), SECOND + number * SECOND / 7, 1, gcra);
        assert!(
            checked.verdict.tat.is_some() && !checked.evicted_in_debt,
            "client {number}"
        );
    }
}

#[test]
fn more_than_a_burst_is_refused_and_takes_no_slot() {
    let (table, gcra) = (Table::new(8), gcra(1, 10));
    assert_eq!(table.check(client(1), SECOND, 11, gcra).verdict.tat, None);
    assert_eq!(table.tenants(), []);
}

#[test]
fn time_ends_without_overflow() {
    let (table, gcra) = (Table::new(8), gcra(1, 10));
    for now in [u64::MAX >> 4, u64::MAX - 1, u64::MAX] {
        let _ = table.check(client(1), now, 1, gcra);
    }
}

/// Two threads ask for ten clients as fast as they can, beside a stream of newcomers: each of the
/// ten gets exactly what one bucket gives.
#[test]
fn a_hammer_gets_what_the_quota_gives() {
    let (table, gcra) = (Table::new(4_096), gcra(1_000, 50));
    let clock = AtomicU64::new(SECOND);
    let allowed: [AtomicU64; 10] = std::array::from_fn(|_| AtomicU64::new(0));
    let steps = 400_000_u64;
    std::thread::scope(|scope| {
        for thread in 0..2_u64 {
            let (table, clock, allowed) = (&table, &clock, &allowed);
            scope.spawn(move || {
                for step in 0..steps {
                    // One clock for both threads, 1.25 µs further at each step: one second in all.
                    let now = clock.fetch_add(1_250, Relaxed);
                    let number = step % 10;
                    let hash = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    if table.check(hash, now, 1, gcra).verdict.tat.is_some() {
                        allowed[number as usize].fetch_add(1, Relaxed);
                    }
                    if step % 16 == 0 {
                        let newcomer = (step << 1 | thread).wrapping_mul(0xd133_7a51_0c2e_89a7);
                        let checked = table.check(newcomer, now, 1, gcra);
                        assert!(checked.verdict.tat.is_some());
                        // A thread held up for longer than a unit takes sees paid debts as debts.
                        let late = clock.load(Relaxed) - now > SECOND / 1_000;
                        assert!(late || !checked.evicted_in_debt);
                    }
                }
            });
        }
    });
    for allowed in &allowed {
        // A burst of 50, then 1,000 per second: 1,050, and one for a step at the edge.
        let allowed = allowed.load(Relaxed);
        assert!((1_049..=1_050).contains(&allowed), "{allowed}");
    }
}

proptest! {
    /// While no set is over-full of debtors the table is a map from client to arrival time.
    #[test]
    fn is_exact_while_nobody_in_debt_is_evicted(
        checks in prop::collection::vec((1_u64..30, 0..SECOND, 1_u32..3), 1..400),
    ) {
        let (table, gcra) = (Table::new(8), gcra(2, 4));
        let (mut model, mut now) = (HashMap::new(), SECOND);
        for (number, step, cost) in checks {
            now += step;
            let checked = table.check(client(number), now, cost, gcra);
            if checked.evicted_in_debt {
                break;
            }
            let tat = model.entry(number).or_insert(0);
            let expected = gcra.decide(*tat, now, cost);
            *tat = expected.tat.unwrap_or(*tat);
            prop_assert_eq!(checked.verdict, expected);
        }
    }
}
