//! When the allocator is purged: at Hard, off the async workers, and for a small part of the time.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use memguard_layer::{Level, MemGuardHandle, MemGuardLayer};
use support::{Knob, guard};
use tokio::{
    task::yield_now,
    time::{Instant, advance},
};

/// A guard of 100 bytes that counts its purges.
fn counting() -> (MemGuardLayer, Knob, Arc<AtomicUsize>) {
    let purges = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&purges);
    let (layer, knob) = guard(100);
    let layer = layer.purge_with(move || {
        count.fetch_add(1, SeqCst);
    });
    (layer, knob, purges)
}

/// Until `handle` has seen so many purges end. The clock stands still meanwhile.
async fn until(handle: &MemGuardHandle, purges: u64) {
    while handle.stats().purges < purges {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn hard_purges_and_rests_for_a_second() {
    let (layer, knob, purges) = counting();
    let handle = layer.handle();
    knob.set(94);
    assert_eq!(handle.level(), Level::Soft);
    knob.set(95);
    assert_eq!(handle.level(), Level::Hard);
    until(&handle, 1).await;
    advance(Duration::from_millis(999)).await;
    assert_eq!(handle.level(), Level::Hard);
    assert_eq!(handle.stats().purges, 1, "it rests");
    advance(Duration::from_millis(1)).await;
    assert_eq!(handle.level(), Level::Hard);
    until(&handle, 2).await;
    assert_eq!(purges.load(SeqCst), 2, "and never at Soft");
}

#[tokio::test(start_paused = true)]
async fn a_slow_purge_takes_a_twentieth_of_the_time() {
    let (started, starts) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let ends = std::sync::Mutex::new(ends);
    let (layer, knob) = guard(100);
    let layer = layer.purge_with(move || {
        started.send(Instant::now()).unwrap();
        ends.lock().unwrap().recv().unwrap();
    });
    let handle = layer.handle();
    knob.set(100);
    assert_eq!(handle.level(), Level::Hard);
    let first = starts.recv().unwrap();
    advance(Duration::from_secs(2)).await;
    assert_eq!(handle.level(), Level::Hard, "one runs at a time");
    end.send(()).unwrap();
    until(&handle, 1).await;
    advance(Duration::from_millis(37_999)).await;
    assert_eq!(handle.level(), Level::Hard);
    assert!(starts.try_recv().is_err(), "it rests");
    advance(Duration::from_millis(1)).await;
    assert_eq!(handle.level(), Level::Hard);
    let second = starts.recv().unwrap();
    assert!(second - first >= Duration::from_secs(40));
    end.send(()).unwrap();
    until(&handle, 2).await;
}

#[test]
fn without_a_runtime_nothing_is_purged() {
    let (layer, knob, purges) = counting();
    knob.set(100);
    assert_eq!(layer.handle().level(), Level::Hard);
    assert_eq!(purges.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_panics_rests_like_any_other() {
    let (layer, knob) = guard(100);
    let layer = layer.purge_with(|| panic!("on purpose"));
    let handle = layer.handle();
    knob.set(100);
    for purges in 1..=2 {
        assert_eq!(handle.level(), Level::Hard);
        until(&handle, purges).await;
        advance(Duration::from_secs(1)).await;
    }
}
