//! Caches that have nothing to give are left alone.

mod support;

use std::{sync::Mutex, time::Duration};

use http::StatusCode;
use support::{at_once, echo, get, guard};
use tokio::time::{Instant, sleep, sleep_until};
use tower::{Layer, Service};

#[tokio::test(start_paused = true)]
async fn eviction_in_vain_gives_way_to_refusals_that_do_not_wait() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(990);
    let start = Instant::now();
    let mut service = layer.reclaim_with(|_| 0).layer(echo());
    assert_eq!(
        service.call(get()).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        (
            handle.stats().reclaim_rounds,
            handle.stats().reclaim_in_vain
        ),
        (1, 1)
    );

    for _ in 0..100 {
        assert_eq!(
            at_once(service.call(get())).unwrap().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    assert_eq!(handle.stats().reclaim_rounds, 1);

    for (second, rounds) in [(1, 2), (2, 2), (3, 3), (6, 3), (7, 4)] {
        sleep_until(start + Duration::from_secs(second)).await;
        let response = service.call(get()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let asked = handle.stats().reclaim_rounds;
        assert_eq!(asked, rounds, "asked again after 1, 2, 4 seconds");
    }
    assert_eq!(handle.rejected(), 106);

    // Soon after memory is no longer short it does not matter how it was when it was.
    heap.set(760);
    sleep(Duration::from_secs(5)).await;
    heap.set(990);
    assert_eq!(
        service.call(get()).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(handle.stats().reclaim_rounds, 5);
}

#[tokio::test(start_paused = true)]
async fn a_tenth_of_what_was_asked_is_enough_to_be_asked_again() {
    for (frees, in_vain) in [(24, 0), (23, 1)] {
        let (layer, heap) = guard(1000);
        let handle = layer.handle();
        heap.set(990); // 240 above the target
        let cache = heap.clone();
        let mut first = Some(frees);
        let once = Mutex::new(move || first.take());
        let mut service = layer
            .reclaim_with(move |bytes| {
                once.lock().unwrap()().map_or(0, |most| cache.free(bytes.min(most), 0))
            })
            .layer(echo());
        let _ = service.call(get()).await.unwrap();
        assert_eq!(
            handle.stats().reclaim_in_vain,
            1,
            "the second round, or the first"
        );
        assert_eq!(
            handle.stats().reclaim_rounds,
            2 - in_vain,
            "{frees} of 240 freed"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_do_not_come_off_the_heap_are_not_believed() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(990);
    let mut service = layer.reclaim_with(|bytes| bytes).layer(echo());
    assert_eq!(
        service.call(get()).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let stats = handle.stats();
    assert_eq!(
        (stats.reclaim_rounds, stats.reclaim_in_vain),
        (3, 1),
        "three times in a row"
    );
}
