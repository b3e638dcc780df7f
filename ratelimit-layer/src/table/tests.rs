//! The table, one thread at a time and under a hammer.

use super::Table;
use crate::algorithm::{Act, Gcra, OneWord, Question, Verdict};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SECOND: u64 = 1_000_000_000;

fn gcra(per_second: u64, burst: u32) -> Gcra {
    Gcra::new(SECOND / per_second, burst)
}

/// What a check came to, and the arrival time that is kept.
struct Checked {
    verdict: Verdict,
    tat: Option<u64>,
    evicted_in_debt: bool,
}

fn check(table: &Table, hash: u64, now: u64, cost: u32, gcra: Gcra) -> Checked {
    let question = Question {
        algorithm: gcra,
        now,
        act: Act::Take(cost),
    };
    let asked = table.ask(hash, question);
    let verdict = asked.answer;
    Checked {
        verdict,
        tat: verdict.allowed.then(|| now.saturating_add(verdict.full_in)),
        evicted_in_debt: asked.evicted_in_debt,
    }
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
            assert!(check(&table, client(number), now, 1, gcra).tat.is_some());
        }
    }
    let ninth = check(&table, client(9), now, 1, gcra);
    assert!(ninth.evicted_in_debt);
    assert_eq!(ninth.tat, Some(now + SECOND));
    // The first, with one unit of debt, was forgotten; the others were not.
    for number in 2..=8 {
        assert_eq!(
            check(&table, client(number), now, 1, gcra).tat,
            Some(now + (number + 1) * SECOND)
        );
    }
}

#[test]
fn a_client_with_a_full_bucket_is_forgotten_without_loss() {
    let (table, gcra) = (Table::new(8), gcra(1, 1));
    for number in 1..=1_000 {
        // Each comes when the one eight before it is fresh again.
        let checked = check(
            &table,
            client(number),
            SECOND + number * SECOND / 7,
            1,
            gcra,
        );
        assert!(
            checked.tat.is_some() && !checked.evicted_in_debt,
            "client {number}"
        );
    }
}

#[test]
fn more_than_a_burst_is_refused_and_takes_no_slot() {
    let (table, gcra) = (Table::new(8), gcra(1, 10));
    assert_eq!(check(&table, client(1), SECOND, 11, gcra).tat, None);
    assert_eq!(table.tenants(), []);
}

#[test]
fn time_ends_without_overflow() {
    let (table, gcra) = (Table::new(8), gcra(1, 10));
    for now in [u64::MAX >> 4, u64::MAX - 1, u64::MAX] {
        let _ = check(&table, client(1), now, 1, gcra);
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
                    if check(table, hash, now, 1, gcra).tat.is_some() {
                        allowed[number as usize].fetch_add(1, Relaxed);
                    }
                    if step % 16 == 0 {
                        let newcomer = (step << 1 | thread).wrapping_mul(0xd133_7a51_0c2e_89a7);
                        let checked = check(table, newcomer, now, 1, gcra);
                        assert!(checked.tat.is_some());
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

/// Reads of a client that is not known take no slot; a client can be forgotten, and all be changed.
#[test]
fn other_questions() {
    let (table, gcra, now) = (Table::new(8), gcra(1, 10), SECOND);
    let ask = |act| {
        let question = Question {
            algorithm: gcra,
            now,
            act,
        };
        table.ask(client(1), question).answer
    };
    assert!(ask(Act::Peek(10)).allowed && !ask(Act::Peek(11)).allowed);
    assert_eq!(ask(Act::Refund(1)).room, 10 * SECOND);
    assert_eq!(table.tenants(), []);

    assert_eq!(ask(Act::Charge(12)).full_in, 12 * SECOND);
    assert_eq!(ask(Act::Take(1)).wait, 3 * SECOND);
    assert_eq!(table.count(|state| state > now), 1);
    assert_eq!(ask(Act::Refund(5)).room, 3 * SECOND);
    // Not the last state any more, and the last.
    assert_eq!(ask(Act::Undo(1, now + 12 * SECOND)).full_in, 7 * SECOND);
    assert_eq!(ask(Act::Undo(1, now + 7 * SECOND)).full_in, 6 * SECOND);

    table.change_all(|state| state + SECOND);
    assert_eq!(ask(Act::Peek(0)).full_in, 7 * SECOND);
    table.change_all(|_| 0);
    assert_eq!((ask(Act::Peek(0)).full_in, table.count(|_| true)), (0, 0));
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
            let checked = check(&table, client(number), now, cost, gcra);
            if checked.evicted_in_debt {
                break;
            }
            let tat = model.entry(number).or_insert(0);
            let (next, expected) = gcra.take(*tat, now, cost, 0);
            *tat = next.unwrap_or(*tat);
            prop_assert_eq!(checked.verdict, expected);
        }
    }
}
