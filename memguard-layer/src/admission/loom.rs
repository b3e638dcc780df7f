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
use budget::{Budget, LARGEST};

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
        self.budget
            .reserve(bytes, || self.heap.load(Relaxed))
            .is_ok()
    }

    /// A frame arrives: first allocated, then no longer promised.
    fn arrive(&self, bytes: u64) {
        self.heap.fetch_add(bytes, Relaxed);
        self.budget.release(bytes);
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
                        process.budget.release(1);
                        process.budget.release(bytes - 1);
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
