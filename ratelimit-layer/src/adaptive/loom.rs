//! The windows' source, compiled against loom's atomics and locks, under all interleavings with up to
//! three preemptions.
//!
//! `cargo test -p ratelimit-layer --lib adaptive::loom` runs the models alone; they need no flags.

#[path = "windows.rs"]
#[allow(clippy::duplicate_mod, dead_code, unreachable_pub)]
// The model is the source itself, not a copy of it.
mod windows;

mod sync {
    pub(super) use ::loom::sync::Mutex;
    use ::loom::sync::atomic::Ordering::Relaxed;
    pub(super) use ::loom::sync::atomic::{AtomicU64, Ordering};

    /// With one stripe, so that all threads meet.
    pub(super) struct Counters<const N: usize>([AtomicU64; N]);

    impl<const N: usize> Counters<N> {
        pub(super) fn new() -> Self {
            Self(std::array::from_fn(|_| AtomicU64::new(0)))
        }

        pub(super) fn add_some(&self, counter: usize, _: u64, n: u64) {
            self.0[counter].fetch_add(n, Relaxed);
        }

        pub(super) fn sum(&self, counter: usize) -> u64 {
            self.0[counter].load(Relaxed)
        }
    }
}

use super::control;
use ::loom::{model::Builder, sync::Arc, thread};
use control::{Next, Window};
use windows::{Decide, Windows};

fn model(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Keeps the windows, each of at least so many requests.
struct Seen(Vec<Window>, u64);

impl Decide for Seen {
    fn next(&mut self, window: Window, now: u64) -> Next {
        self.0.push(window);
        Next {
            from: 0,
            until: now + 1,
            requests: self.1,
        }
    }
}

fn windows(requests: u64) -> Arc<Windows<Seen>> {
    let first = Next {
        from: 0,
        until: 1,
        requests,
    };
    Arc::new(Windows::new(Seen(Vec::new(), requests), first))
}

/// Two requests a thread end at the same time; a last one, later, ends the last window.
fn all_end(windows: &Arc<Windows<Seen>>) -> Vec<Window> {
    let other = {
        let windows = Arc::clone(windows);
        thread::spawn(move || {
            windows.add(0, Some(7), 2, 1);
            windows.add(0, None, 2, 2);
        })
    };
    windows.add(0, Some(7), 2, 1);
    other.join().unwrap();
    windows.add(0, Some(7), 2, 9);
    windows.decide(|seen| std::mem::take(&mut seen.0))
}

/// Whoever ends a window, in the end all that was added has been in one of them, once.
#[test]
fn nothing_is_lost_and_nothing_is_counted_twice() {
    model(|| {
        let seen = all_end(&windows(1));
        let sum = |part: fn(&Window) -> u64| seen.iter().map(part).sum::<u64>();
        assert_eq!(sum(|window| window.answered), 3);
        assert_eq!(sum(|window| window.time), 21);
        assert_eq!(sum(|window| window.overloaded), 1);
        assert_eq!(sum(|window| window.in_flight), 8);
    });
}

#[test]
fn no_window_ends_before_enough_have() {
    model(|| {
        let seen = all_end(&windows(2));
        assert!(seen.iter().all(|window| window.ended() >= 2), "{seen:?}");
        assert!(!seen.is_empty());
    });
}
