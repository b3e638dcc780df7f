//! The level as others see it: told as it changes, falling when nobody looks, where the thresholds say.

mod support;

use std::time::Duration;

use http::StatusCode;
use memguard_layer::{Level, MemGuardLayer, Thresholds};
use support::{at_once, echo, get, guard};
use tokio::{
    runtime::Handle,
    time::{Instant, advance, sleep},
};
use tower::{Layer, Service};

#[tokio::test(start_paused = true)]
async fn whoever_watches_is_told_of_each_change() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let mut level = handle.watch();
    let mut service = layer.layer(echo());
    assert_eq!(*level.borrow(), Level::Normal);
    for (bytes, expected) in [
        (750, Level::Elevated),
        (850, Level::Soft),
        (950, Level::Hard),
    ] {
        heap.set(bytes);
        assert!(!level.has_changed().unwrap());
        let _ = at_once(service.call(get()));
        assert_eq!(*level.borrow_and_update(), expected);
        let _ = at_once(service.call(get()));
        assert!(!level.has_changed().unwrap(), "it is told once");
    }
    assert_eq!(*handle.watch().borrow(), Level::Hard, "who comes late too");
}

#[tokio::test(start_paused = true)]
async fn the_level_falls_when_nobody_looks() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let mut level = handle.watch();
    let mut service = layer.layer(echo());
    heap.set(950);
    let response = at_once(service.call(get())).unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    heap.set(0);
    let start = Instant::now();
    for (expected, seconds) in [
        (Level::Hard, 0),
        (Level::Soft, 0),
        (Level::Elevated, 3),
        (Level::Normal, 15),
    ] {
        assert_eq!(*level.borrow_and_update(), expected);
        assert_eq!(start.elapsed().as_secs(), seconds, "{expected:?}");
        if expected != Level::Normal {
            level.changed().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn caches_are_asked_when_nobody_comes() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let cache = heap.clone();
    let _layer = layer.reclaim_with(move |bytes| cache.free(bytes, 0));
    heap.set(760);
    assert_eq!(handle.level(), Level::Elevated);
    heap.set(930);
    sleep(Duration::from_millis(150)).await;
    assert_eq!((heap.get(), handle.stats().reclaimed), (750, 180));
}

#[tokio::test(start_paused = true)]
async fn one_task_looks_after_a_guard_and_ends_with_it() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    assert_eq!(tasks(), before);
    heap.set(800);
    for _ in 0..10 {
        assert_eq!(handle.level(), Level::Elevated);
    }
    assert_eq!(tasks(), before + 1);
    heap.set(0);
    sleep(Duration::from_secs(4)).await;
    heap.set(800);
    assert_eq!(handle.clone().level(), Level::Elevated);
    assert_eq!(tasks(), before + 1);
    drop((layer, handle));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks(), before);
}

#[test]
fn a_guard_may_outlive_the_runtime_that_looked_after_it() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    for _ in 0..2 {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap()
        };
        runtime().block_on(async {
            heap.set(800);
            assert_eq!(handle.level(), Level::Elevated);
            heap.set(0);
            handle
                .watch()
                .wait_for(|level| *level == Level::Normal)
                .await
                .unwrap();
        });
        heap.set(800);
        assert_eq!(handle.level(), Level::Elevated, "without a runtime too");
    }
}

#[tokio::test(start_paused = true)]
async fn thresholds_are_the_users() {
    let (layer, heap) = guard(1000);
    let cache = heap.clone();
    let thresholds = Thresholds::new()
        .elevated(40, 35)
        .soft(50, 45)
        .hard(60, 55)
        .dwell(Duration::from_secs(30));
    let layer = layer
        .thresholds(thresholds)
        .reclaim_with(move |bytes| cache.free(bytes, 0));
    let handle = layer.handle();
    let mut service = layer.layer(echo());
    heap.set(600);
    assert_eq!(handle.level(), Level::Hard);
    assert_eq!(service.call(get()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        (heap.get(), handle.level()),
        (400, Level::Soft),
        "freed down to Elevated"
    );
    heap.set(0);
    advance(Duration::from_secs(29)).await;
    assert_eq!(handle.level(), Level::Soft);
    advance(Duration::from_secs(1)).await;
    assert_eq!(handle.level(), Level::Elevated);
}

#[test]
fn thresholds_that_cannot_be_are_refused() {
    let error = MemGuardLayer::new(1000)
        .try_thresholds(Thresholds::new().hard(80, 70))
        .unwrap_err();
    assert!(error.to_string().contains("[75, 85, 80] %"), "{error}");
    let panic = |build: fn()| {
        *std::panic::catch_unwind(build)
            .unwrap_err()
            .downcast::<String>()
            .unwrap()
    };
    assert!(
        panic(|| drop(MemGuardLayer::new(1000).thresholds(Thresholds::new().soft(85, 90))))
            .starts_with("Soft is entered at 85 %")
    );
    let late = panic(|| {
        let layer = MemGuardLayer::new(1000);
        let _handle = layer.handle();
        drop(layer.thresholds(Thresholds::new()));
    });
    assert!(
        late.starts_with("a guard is set up before a handle"),
        "{late}"
    );
}
