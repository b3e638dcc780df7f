//! The table's source, compiled against loom's atomics and a set of two slots, under all
//! interleavings with up to two preemptions and all values that weak memory may show.
//!
//! `cargo test -p ratelimit-layer --lib table::loom` runs the models alone; they need no flags.

// The model is the source itself, not a copy of it.
#[path = "slot.rs"]
#[allow(clippy::duplicate_mod, clippy::modulo_one, dead_code)]
mod slot;
#[path = "slots.rs"]
#[allow(clippy::duplicate_mod, clippy::modulo_one, dead_code)]
mod slots;

mod sync {
    pub(super) use ::loom::sync::atomic::{AtomicU64, Ordering, fence};
    pub(super) use ::loom::thread::yield_now as spin_loop;

    pub(super) const WAYS: usize = 2;
}

use super::{Ask, word};
use crate::algorithm::{Act, Gcra, Question, Verdict};
use ::loom::{model::Builder, sync::Arc, thread};
use slots::Table;

const A: u64 = 0x10;
const B: u64 = 0x20;
const C: u64 = 0x30;

const NOW: u64 = 1_000;
const UNIT: u64 = 10;

/// What a check came to: the arrival time that is kept, if it was allowed.
struct Checked {
    tat: Option<u64>,
    evicted_in_debt: bool,
}

fn check(table: &Table, hash: u64, now: u64, gcra: Gcra) -> Checked {
    let question = Question {
        algorithm: gcra,
        now,
        act: Act::Take(1),
    };
    let asked = table.ask(hash, question);
    let verdict: Verdict = asked.answer;
    Checked {
        tat: verdict.allowed.then(|| now + verdict.full_in),
        evicted_in_debt: asked.evicted_in_debt,
    }
}

/// Prepares the table with checks at given times, lets one thread per list check the clients in it,
/// and hands over what became of them, list by list, and the table.
fn race<const N: usize>(
    burst: u32,
    prepare: &'static [(u64, u64)],
    threads: [&'static [u64]; N],
    assert: impl Fn(Vec<Checked>, &Table) + Send + Sync + 'static,
) {
    let gcra = Gcra::new(UNIT, burst);
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let table = Arc::new(Table::new(2));
        for (client, at) in prepare {
            assert!(check(&table, *client, *at, gcra).tat.is_some());
        }
        let run = |clients: &'static [u64]| {
            let table = Arc::clone(&table);
            move || {
                clients
                    .iter()
                    .map(|client| check(&table, *client, NOW, gcra))
                    .collect::<Vec<_>>()
            }
        };
        let others: Vec<_> = threads[1..]
            .iter()
            .map(|clients| thread::spawn(run(clients)))
            .collect();
        let mut checked = run(threads[0])();
        checked.extend(others.into_iter().flat_map(|other| other.join().unwrap()));
        assert(checked, &table);
    });
}

fn allowed(checked: &[Checked]) -> usize {
    checked
        .iter()
        .filter(|checked| checked.tat.is_some())
        .count()
}

fn evicted(checked: &[Checked]) -> bool {
    checked.iter().any(|checked| checked.evicted_in_debt)
}

/// The settled clients and their times, in order of tags.
fn tenants(table: &Table) -> Vec<(u64, u64)> {
    let mut tenants = table.tenants();
    tenants.sort_unstable();
    tenants
}

#[test]
fn one_newcomer_twice_has_one_bucket() {
    race(1, &[], [&[A], &[A]], |checked, table| {
        assert_eq!(allowed(&checked), 1);
        assert_eq!(tenants(table), [(A | 1, NOW + UNIT)]);
    });
}

/// A's second bucket, if it has one for a moment, is gone when B needs the slot; while it is there
/// the set is full, and B may evict A in debt, but says so.
#[test]
fn a_newcomer_in_two_slots_leaves_one_to_the_next() {
    race(1, &[], [&[A, B], &[A]], |checked, table| {
        assert!(checked[1].tat.is_some());
        if !evicted(&checked) {
            assert_eq!(allowed(&checked), 2);
            assert_eq!(tenants(table), [(A | 1, NOW + UNIT), (B | 1, NOW + UNIT)]);
        }
    });
}

/// A's bucket is full when C needs a slot and A comes back: whoever is first, nothing is lost,
/// because B's bucket is full too and makes room.
#[test]
fn clients_that_fit_are_exact() {
    race(1, &[(A, 500), (B, 600)], [&[A], &[C]], |checked, table| {
        assert_eq!(allowed(&checked), 2);
        assert!(!evicted(&checked));
        assert_eq!(tenants(table), [(A | 1, NOW + UNIT), (C | 1, NOW + UNIT)]);
    });
}

/// A and B are in debt and C evicts A, the lesser debtor, while A is charged.
#[test]
fn nobody_pays_for_another() {
    race(
        3,
        &[(A, NOW), (B, NOW), (B, NOW)],
        [&[A], &[C]],
        |checked, table| {
            // C starts fresh: it has none of A's debt, and A's charge did not go to it.
            assert_eq!(checked[1].tat, Some(NOW + UNIT));
            assert!(
                tenants(table)
                    .iter()
                    .all(|(tag, time)| *tag != C | 1 || *time == NOW + UNIT)
            );
            // A was charged in its own slot, or had lost it and starts fresh.
            assert!([Some(NOW + UNIT), Some(NOW + 2 * UNIT)].contains(&checked[0].tat));
            assert!(evicted(&checked));
        },
    );
}

/// A is over its quota while C evicts B, the lesser debtor: A's refusal stands.
#[test]
fn eviction_beside_it_does_not_let_a_debtor_in() {
    race(
        2,
        &[(A, NOW), (A, NOW), (B, NOW)],
        [&[A], &[C]],
        |checked, table| {
            assert!(checked[0].tat.is_none() && checked[1].tat.is_some());
            assert_eq!(
                tenants(table),
                [(A | 1, NOW + 2 * UNIT), (C | 1, NOW + UNIT)]
            );
        },
    );
}

/// A hot client is charged by two threads while a newcomer takes the slot beside it.
#[test]
fn a_hot_client_is_exact_beside_a_newcomer() {
    race(
        3,
        &[(A, NOW), (B, 500)],
        [&[A], &[A], &[C]],
        |checked, table| {
            assert_eq!(allowed(&checked), 3);
            assert!(!evicted(&checked));
            assert_eq!(
                tenants(table),
                [(A | 1, NOW + 3 * UNIT), (C | 1, NOW + UNIT)]
            );
        },
    );
}

/// A's new slot is the least debtor's by the time its other check looks for a victim.
#[test]
fn a_newcomer_does_not_evict_itself() {
    race(3, &[(B, NOW), (B, NOW)], [&[A], &[A]], |checked, table| {
        assert_eq!(allowed(&checked), 2);
        if !evicted(&checked) {
            assert_eq!(
                tenants(table),
                [(A | 1, NOW + 2 * UNIT), (B | 1, NOW + 2 * UNIT)]
            );
        } else {
            // B, whose slot was taken while A was in none.
            assert_eq!(tenants(table), [(A | 1, NOW + 2 * UNIT)]);
        }
    });
}
