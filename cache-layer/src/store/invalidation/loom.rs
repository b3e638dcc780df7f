//! The books' source, compiled against loom's atomics and one set of two ways, under all
//! interleavings (with up to three preemptions, where three threads race) and all values that weak
//! memory may show.
//!
//! `cargo test -p cache-layer --lib invalidation::loom` runs the models alone; they need no flags.

#[path = "book.rs"]
#[allow(clippy::duplicate_mod, dead_code)] // The model is the source itself, not a copy of it.
mod book;

mod sync {
    pub(super) use ::loom::sync::atomic::{AtomicU64, Ordering};

    pub(super) const WAYS: usize = 2;
}

use ::loom::sync::Arc;
use ::loom::{model::Builder, thread};
use book::{Claim, Invalidations, Place, Purge};
use sync::{AtomicU64, Ordering::*};

const A: u128 = 0;
const B: u128 = 1;
const C: u128 = 2;
const D: u128 = 3;

struct Books {
    all: Invalidations,
    /// What one thread tells another.
    told: AtomicU64,
}

impl Books {
    fn strike(&self, target: u128) {
        self.all.target(Place::of(target), Purge::Hard);
    }

    fn stands(&self, target: u128, number: u64) -> bool {
        self.all.stands(Claim {
            number,
            target: Place::of(target),
            groups: &[],
        })
    }

    /// Whether what began before all strikes is struck, and what begins now is not.
    fn are_struck(&self, targets: &[u128]) -> bool {
        let struck =
            |target: &u128| !self.stands(*target, 0) && self.stands(*target, self.all.now());
        targets.iter().all(struck)
    }
}

/// Strikes the targets given first, lets the threads do what they do, and hands over the books.
fn race<const N: usize>(first: &'static [u128], threads: [fn(&Books); N], after: fn(&Books)) {
    let mut builder = Builder::new();
    builder.preemption_bound = (N > 2).then_some(3);
    builder.check(move || {
        let books = Arc::new(Books {
            all: Invalidations::with_sets(1),
            told: AtomicU64::new(0),
        });
        first.iter().for_each(|target| books.strike(*target));
        let others: Vec<_> = threads[1..]
            .iter()
            .map(|run| {
                let (books, run) = (Arc::clone(&books), *run);
                thread::spawn(move || run(&books))
            })
            .collect();
        threads[0](&books);
        others.into_iter().for_each(|other| other.join().unwrap());
        after(&books);
    });
}

#[test]
fn one_target_struck_twice_at_once_takes_one_way() {
    let both: fn(&Books) = |books| books.strike(A);
    race(&[], [both, both, |books| books.strike(B)], |books| {
        assert!(books.are_struck(&[A, B]));
        assert!(!books.stands(A, 1), "the later number stays");
        assert!(books.stands(C, 0), "two targets fit");
    });
}

#[test]
fn the_last_way_goes_to_one_and_the_floor_covers_the_other() {
    race(
        &[A],
        [|books| books.strike(B), |books| books.strike(C)],
        |books| assert!(books.are_struck(&[A, B, C])),
    );
}

/// A's way is the one to be taken over while A is struck again.
#[test]
fn a_number_is_not_lost_beside_a_newcomer() {
    race(
        &[A, B],
        [|books| books.strike(A), |books| books.strike(C)],
        |books| {
            assert!(books.are_struck(&[A, B, C]));
            assert!(!books.stands(A, 2) && !books.stands(C, 2));
        },
    );
}

/// A's number may be drawn first and arrive last.
#[test]
fn a_strike_that_comes_late_costs_no_more_than_its_own_number() {
    race(
        &[],
        [
            |books| books.strike(A),
            |books| {
                let before = books.all.now();
                books.strike(B);
                books.strike(C);
                books.told.store(before, Relaxed);
            },
        ],
        |books| {
            let before = books.told.load(Relaxed);
            assert!(books.are_struck(&[A, B, C]));
            assert!(!books.stands(B, before) && !books.stands(C, before));
            assert!(before == 0 || books.stands(D, before), "two later ones fit");
        },
    );
}

#[test]
fn what_is_struck_stays_struck_while_its_way_changes_hands() {
    race(
        &[A],
        [
            |books| assert!(!books.stands(A, 0)),
            |books| {
                books.strike(B);
                books.strike(C);
            },
        ],
        |books| assert!(books.are_struck(&[A, B, C])),
    );
}

/// Two take the same way over, one after the other, before it is read.
#[test]
fn what_is_struck_stays_struck_whoever_the_reader_finds() {
    race(
        &[A, B, A],
        [
            |books| assert!(!books.stands(B, 0)),
            |books| books.strike(C),
            |books| books.strike(D),
        ],
        |books| assert!(books.are_struck(&[A, B, C, D])),
    );
}

#[test]
fn who_is_told_of_a_strike_sees_it() {
    race(
        &[B],
        [
            |books| {
                books.strike(A);
                books.told.store(1, Release);
            },
            |books| books.strike(C),
            |books| {
                if books.told.load(Acquire) == 1 {
                    assert!(!books.stands(A, 0));
                }
            },
        ],
        |books| assert!(books.are_struck(&[A, B, C])),
    );
}

#[test]
fn a_fill_numbered_after_a_strike_asks_after_the_write() {
    race(
        &[],
        [
            |books| {
                books.told.store(1, Relaxed);
                books.strike(A);
            },
            |books| {
                if books.all.now() == 1 {
                    assert_eq!(books.told.load(Relaxed), 1);
                }
            },
        ],
        |books| assert!(books.are_struck(&[A])),
    );
}
