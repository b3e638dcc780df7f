//! The reservation word's source, compiled against loom's atomics, under every interleaving that the memory model allows.
//!
//! `cargo test -p memguard-layer --lib admission::loom` runs the models alone; they need no flags.

#[path = "budget.rs"]
#[allow(clippy::duplicate_mod, dead_code, unreachable_pub)]
// The model is the source itself, not a copy of it.
mod budget;

mod sync {
    pub(super) use ::loom::sync::atomic::{AtomicU64, Ordering};
}

use ::loom::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};
use budget::{Asker, Budget, LARGEST, Queue};

const BUDGET: u64 = 10;
const _: () = assert!(BUDGET <= LARGEST);

struct Process {
    budget: Budget,
    heap: AtomicU64,
}

impl Process {
    fn new(heap: u64) -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(BUDGET),
            heap: AtomicU64::new(heap),
        })
    }

    fn reserve(&self, bytes: u64) -> bool {
        self.reserve_as(Asker::Newcomer, bytes)
    }

    fn reserve_as(&self, asker: Asker, bytes: u64) -> bool {
        let heap = || self.heap.load(Relaxed);
        self.budget.reserve(bytes, asker, heap).is_ok()
    }

    /// A frame arrives: first allocated, then no longer promised.
    fn arrive(&self, bytes: u64) {
        self.heap.fetch_add(bytes, Relaxed);
        assert!(!self.budget.release(bytes), "nobody waits");
    }

    fn used(&self) -> u64 {
        self.heap.load(Relaxed) + self.budget.reserved()
    }
}

#[test]
fn two_who_want_the_last_room_do_not_both_get_it() {
    ::loom::model(|| {
        let process = Process::new(3);
        let other = Arc::clone(&process);
        let theirs = thread::spawn(move || other.reserve(4));
        let ours = process.reserve(4);
        let theirs = theirs.join().unwrap();
        assert!(ours ^ theirs, "7 of 10 are free: one fits, and one does");
        assert_eq!(process.used(), 7);
    });
}

#[test]
fn a_frame_that_arrives_is_never_missing_from_the_sum() {
    ::loom::model(|| {
        let process = Process::new(0);
        assert!(process.reserve(6));
        let other = Arc::clone(&process);
        let arrival = thread::spawn(move || {
            other.arrive(3);
            other.arrive(3);
        });
        let admitted = process.reserve(5);
        arrival.join().unwrap();
        assert!(!admitted, "6 are promised or in the heap at every moment");
        assert_eq!((process.used(), process.budget.reserved()), (6, 0));
    });
}

#[test]
fn a_word_that_changed_and_changed_back_is_seen() {
    ::loom::model(|| {
        let process = Process::new(0);
        assert!(process.reserve(4));
        let other = Arc::clone(&process);
        // The word says 4 before and after, but 4 have moved to the heap in between.
        let swap = thread::spawn(move || {
            other.arrive(4);
            other.reserve(4)
        });
        let ours = process.reserve(6);
        let theirs = swap.join().unwrap();
        assert!(
            process.used() <= BUDGET,
            "{} used, ours {ours}, theirs {theirs}",
            process.used()
        );
        assert!(ours || theirs);
    });
}

#[test]
fn all_that_was_reserved_is_released() {
    ::loom::model(|| {
        let process = Process::new(2);
        let threads: Vec<_> = [3, 4]
            .into_iter()
            .map(|bytes| {
                let process = Arc::clone(&process);
                thread::spawn(move || {
                    if process.reserve(bytes) {
                        assert!(process.used() <= BUDGET);
                        assert!(!process.budget.release(1));
                        assert!(!process.budget.release(bytes - 1));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(
            (process.budget.reserved(), process.budget.bytes()),
            (0, BUDGET)
        );
    });
}

#[test]
fn who_waits_finds_what_is_released_or_is_told_of_it() {
    for (queue, first) in [
        (Queue::Newcomers, Asker::FirstNewcomer),
        (Queue::Bodies, Asker::FirstBody),
    ] {
        ::loom::model(move || {
            let process = Process::new(0);
            assert!(process.reserve(6));
            let other = Arc::clone(&process);
            let told = thread::spawn(move || other.budget.release(6));
            process.budget.bar(queue);
            let found = process.reserve_as(first, 5);
            let told = told.join().unwrap();
            assert!(found || told, "it would wait for ever");
            process.budget.unbar(queue);
            assert_eq!(process.budget.reserved(), if found { 5 } else { 0 });
        });
    }
}

#[test]
fn nobody_overtakes_a_line() {
    ::loom::model(|| {
        let process = Process::new(0);
        let other = Arc::clone(&process);
        let line = thread::spawn(move || {
            other.budget.bar(Queue::Bodies);
            let first = other.reserve_as(Asker::FirstBody, 6);
            other.budget.unbar(Queue::Bodies);
            first
        });
        let ours = process.reserve(6);
        let first = line.join().unwrap();
        assert!(
            ours ^ first,
            "one of them fits, and a newcomer gets it only if it came before the line"
        );
        assert_eq!(process.used(), 6);
    });
    ::loom::model(|| {
        let process = Process::new(0);
        process.budget.bar(Queue::Bodies);
        let other = Arc::clone(&process);
        let newcomers = thread::spawn(move || {
            other.reserve(1)
                || other.reserve_as(Asker::FirstNewcomer, 1)
                || other.reserve_as(Asker::Body, 1)
        });
        assert!(process.reserve_as(Asker::FirstBody, 1));
        assert!(!newcomers.join().unwrap());
    });
}
