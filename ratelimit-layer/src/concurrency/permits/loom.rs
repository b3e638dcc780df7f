//! The counts' source, compiled against loom's atomics and locks, under all interleavings with up
//! to three preemptions.
//!
//! `cargo test -p ratelimit-layer --lib permits::loom` runs the models alone; they need no flags.

#[path = "counts.rs"]
#[allow(clippy::duplicate_mod, dead_code, unreachable_pub)]
// The model is the source itself, not a copy of it.
mod counts;
#[path = "line.rs"]
#[allow(clippy::duplicate_mod, dead_code, unreachable_pub)]
mod line;

mod sync {
    pub(super) use ::loom::sync::atomic::{AtomicUsize, Ordering};
    pub(super) use ::loom::sync::{Mutex, MutexGuard};

    pub(super) const SHARDS: usize = 1;
}

use ::loom::{model::Builder, sync::Notify, thread};
use counts::{Limits, Permit, Permits};
use line::Turn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

const A: u64 = 0x10;
const B: u64 = 0x20;

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn permits(per_client: usize, total: usize) -> Arc<Permits> {
    Permits::new(Limits {
        per_client,
        total,
        waiting: 2,
        waiting_total: 4,
    })
}

/// Wakes a thread that stands still in [`block_on`].
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

fn block_on(turn: Turn) -> Permit {
    let bell = Arc::new(Bell(Notify::new()));
    let waker = Waker::from(Arc::clone(&bell));
    let mut turn = pin!(turn);
    loop {
        if let Poll::Ready(permit) = turn.as_mut().poll(&mut Context::from_waker(&waker)) {
            return permit;
        }
        bell.0.wait();
    }
}

/// In, at once or in line.
fn enter(permits: &Arc<Permits>, client: u64) -> Result<Permit, Turn> {
    permits
        .acquire(client)
        .map_err(|_| permits.line_up(client).expect("the line is not full"))
}

/// In, however long it takes: a lost wake-up would be a deadlock here.
fn pass(permits: &Arc<Permits>, client: u64) {
    let permit = enter(permits, client).unwrap_or_else(block_on);
    assert!(permits.in_flight() <= permits.total());
    drop(permit);
}

fn empty(permits: &Permits) {
    assert_eq!(
        (permits.in_flight(), permits.waiting(), permits.clients()),
        (0, 0, 0)
    );
    assert!(!permits.anybody_has_a_turn());
}

/// Two clients, one place: the one that leaves and the one that lines up see each other.
#[test]
fn no_wake_up_is_lost_for_the_total() {
    check(|| {
        let permits = permits(1, 1);
        let other = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || pass(&permits, B))
        };
        pass(&permits, A);
        other.join().unwrap();
        empty(&permits);
    });
}

/// One client with one place of its own, twice.
#[test]
fn no_wake_up_is_lost_for_one_client() {
    check(|| {
        let permits = permits(1, 2);
        let other = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || pass(&permits, A))
        };
        pass(&permits, A);
        other.join().unwrap();
        empty(&permits);
    });
}

/// A place is handed to a waiter that is just dropped: it goes to the one behind it.
#[test]
fn a_place_given_to_nobody_goes_to_the_next() {
    check(|| {
        let permits = permits(1, 1);
        let held = permits.acquire(A).unwrap();
        let (gone, next) = (permits.line_up(B).unwrap(), permits.line_up(A).unwrap());
        let leaver = thread::spawn(move || drop(gone));
        let holder = thread::spawn(move || drop(held));
        drop(block_on(next));
        leaver.join().unwrap();
        holder.join().unwrap();
        empty(&permits);
    });
}

/// The same within one client's line.
#[test]
fn a_dropped_waiter_does_not_hold_up_its_line() {
    check(|| {
        let permits = permits(1, 2);
        let held = permits.acquire(A).unwrap();
        let (gone, next) = (permits.line_up(A).unwrap(), permits.line_up(A).unwrap());
        let leaver = thread::spawn(move || drop(gone));
        drop(held);
        drop(block_on(next));
        leaver.join().unwrap();
        empty(&permits);
    });
}

/// The total grows while somebody lines up.
#[test]
fn more_room_lets_in_who_just_lined_up() {
    check(|| {
        let permits = permits(2, 1);
        let held = permits.acquire(A).unwrap();
        let grower = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.set_total(2))
        };
        drop(enter(&permits, B).unwrap_or_else(block_on));
        grower.join().unwrap();
        drop(held);
        empty(&permits);
    });
}

/// Newcomers refused at once never push the count over the limit, nor leave anything behind.
#[test]
fn without_waiting_nobody_is_over_the_limit() {
    check(|| {
        let permits = permits(1, 1);
        let other = {
            let permits = Arc::clone(&permits);
            thread::spawn(move || permits.acquire(B).ok())
        };
        let mine = permits.acquire(A).ok();
        let theirs = other.join().unwrap();
        assert_eq!(
            usize::from(mine.is_some()) + usize::from(theirs.is_some()),
            1
        );
        drop((mine, theirs));
        empty(&permits);
    });
}
