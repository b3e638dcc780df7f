//! The gauge's source, compiled against loom's atomics and a channel with loom's lock, under all interleavings.
//!
//! `cargo test -p memguard-layer --lib level::loom` runs the models alone; they need no flags.

#[path = "gauge.rs"]
#[allow(clippy::duplicate_mod, dead_code, unreachable_pub)]
// The model is the source itself, not a copy of it.
mod gauge;

mod sync {
    pub(super) use ::loom::sync::atomic::{AtomicU64, Ordering};

    /// What the gauge uses of tokio's channel: a value under a lock.
    pub(super) mod watch {
        use ::loom::sync::{Arc, Mutex};

        #[derive(Debug)]
        pub(in super::super) struct Sender<T>(Arc<Mutex<T>>);

        #[derive(Debug)]
        pub(in super::super) struct Receiver<T>(Arc<Mutex<T>>);

        impl<T: Copy> Sender<T> {
            pub(in super::super) fn new(value: T) -> Self {
                Self(Arc::new(Mutex::new(value)))
            }

            pub(in super::super) fn send_if_modified(
                &self,
                modify: impl FnOnce(&mut T) -> bool,
            ) -> bool {
                modify(&mut self.0.lock().unwrap())
            }

            pub(in super::super) fn subscribe(&self) -> Receiver<T> {
                Receiver(Arc::clone(&self.0))
            }
        }

        impl<T: Copy> Receiver<T> {
            pub(in super::super) fn last(&self) -> T {
                *self.0.lock().unwrap()
            }
        }
    }
}

use std::time::Duration;

use ::loom::{sync::Arc, thread};
use gauge::Gauge;

use super::{Level, Level::*, Strain, Thresholds, controller, thresholds};

/// Threads see these heaps of 100, one each, at a time when any level may fall; hands over what they took the level for,
/// what it is, and what those who watch it were told.
fn race(before: u64, heaps: [u64; 2], check: fn([Level; 2], Level, Level)) {
    ::loom::model(move || {
        let now = || Duration::from_secs(100);
        let gauge = Arc::new(Gauge::new(100, &Thresholds::new()));
        let told = gauge.watch();
        gauge.observe(before, Strain::default(), || Duration::ZERO);
        let other = {
            let gauge = Arc::clone(&gauge);
            thread::spawn(move || gauge.observe(heaps[1], Strain::default(), now))
        };
        let ours = gauge.observe(heaps[0], Strain::default(), now);
        let theirs = other.join().unwrap();
        // A reading between all thresholds of a level changes none.
        let last = gauge.observe(
            [72, 72, 82, 90][told.last() as usize],
            Strain::default(),
            now,
        );
        check([ours, theirs], last, told.last());
    });
}

#[test]
fn the_last_level_is_the_one_that_is_told() {
    race(0, [76, 96], |seen, last, told| {
        assert_eq!(last, told);
        assert!(seen.contains(&last));
    });
    race(86, [10, 96], |seen, last, told| {
        assert_eq!(last, told);
        assert!(seen.contains(&last));
        assert!([Elevated, Soft, Hard].contains(&last), "a fall is by one");
    });
}

#[test]
fn two_that_see_the_same_fall_make_it_once() {
    race(96, [10, 10], |seen, last, told| {
        assert_eq!((seen, last, told), ([Soft, Soft], Soft, Soft));
    });
}
