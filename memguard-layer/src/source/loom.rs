//! The sample's source, compiled against loom's atomics, under every interleaving that the memory model allows.

#[path = "sample.rs"]
#[allow(clippy::duplicate_mod, dead_code, unreachable_pub)]
// The model is the source itself, not a copy of it.
mod sample;

mod sync {
    pub(super) use ::loom::sync::atomic::{AtomicU64, Ordering};
}

use ::loom::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
};
use sample::Sample;

#[test]
fn what_left_a_reservation_is_never_missing() {
    ::loom::model(|| {
        let sample = Arc::new(Sample::new());
        let heap = Arc::new(AtomicU64::new(0));
        let reserved = Arc::new(AtomicU64::new(1));
        let frame = {
            let (sample, heap) = (Arc::clone(&sample), Arc::clone(&heap));
            let reserved = Arc::clone(&reserved);
            thread::spawn(move || {
                heap.fetch_add(1, Relaxed);
                sample.release(1);
                reserved.fetch_sub(1, Release);
            })
        };
        let sampler = {
            let (sample, heap) = (Arc::clone(&sample), Arc::clone(&heap));
            thread::spawn(move || sample.take(|| heap.load(Relaxed)))
        };
        let promised = reserved.load(Acquire);
        let seen = sample.bytes();
        assert!(seen + promised >= 1, "{seen} + {promised}");
        frame.join().unwrap();
        sampler.join().unwrap();
        assert!((1..=2).contains(&sample.bytes()), "it errs upwards only");
        sample.take(|| heap.load(Relaxed));
        assert_eq!(sample.bytes(), 1, "until the next sample");
    });
}
