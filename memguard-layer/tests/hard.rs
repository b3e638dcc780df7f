//! What happens at Hard to those who are in: the largest bodies end, and a long stay shows in readiness.

mod support;

use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::BodyExt;
use memguard_layer::{Level, MemGuardHandle, MemGuardLayer, Overloaded, ResponseBody};
use support::{Feed, Knob, collect, get, guard, request, upload};
use tokio::{
    task::{JoinHandle, yield_now},
    time::{advance, sleep},
};
use tower::{Layer, Service, ServiceExt};

const KIB: u64 = 1024;

/// An upload that is held by its handler, with `kib` of it read and more to come.
struct Held {
    _feed: Feed,
    answer: JoinHandle<Response<ResponseBody<String>>>,
}

async fn hold(layer: &MemGuardLayer, kib: usize, length: Option<u64>) -> Held {
    let (feed, body) = upload(length);
    let future = layer.layer(collect()).oneshot(request(body));
    let answer = tokio::spawn(async { future.await.unwrap() });
    feed.data(kib * 1024);
    for _ in 0..10 {
        yield_now().await;
    }
    Held {
        _feed: feed,
        answer,
    }
}

/// Bodies of which some KiB are read, of an unknown length.
async fn holding(layer: &MemGuardLayer, kib: [usize; 4]) -> Vec<Held> {
    let mut held = Vec::new();
    for kib in kib {
        held.push(hold(layer, kib, None).await);
    }
    held
}

fn ended(held: &[Held]) -> Vec<bool> {
    held.iter().map(|held| held.answer.is_finished()).collect()
}

/// Makes it Hard, and gives the guard time to see that it stays so.
async fn crowd(handle: &MemGuardHandle, heap: &Knob, kib: u64) {
    heap.set(kib * KIB);
    assert_eq!(handle.level(), Level::Hard);
    sleep(Duration::from_millis(101)).await;
}

#[tokio::test(start_paused = true)]
async fn the_largest_bodies_end_until_enough_is_free() {
    // Hard is left below 880: what is too much by then, and what ends for it.
    for (heap_kib, expected) in [
        (950, [false, false, true, false]),
        (1000, [false, false, true, false]),
        (1080, [false, true, true, false]),
        (1500, [true, true, true, false]),
    ] {
        let (layer, heap) = guard(1000 * KIB);
        let handle = layer.handle();
        let held = holding(&layer, [70, 100, 150, 60]).await;
        crowd(&handle, &heap, heap_kib).await;
        assert_eq!(ended(&held), expected, "at {heap_kib}");
        heap.set(0);
        for held in held {
            if held.answer.is_finished() {
                let response = held.answer.await.unwrap();
                assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
                let why = response.extensions().get::<Overloaded>().unwrap();
                assert_eq!(why.level(), Level::Hard);
            } else {
                held.answer.abort();
            }
        }
        let expected = expected.iter().filter(|ended| **ended).count() as u64;
        assert_eq!(handle.stats().bodies_ended, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_made_up_for_by_others() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let held = holding(&layer, [100, 200, 100, 100]).await;
    heap.set(950 * KIB);
    assert_eq!(handle.level(), Level::Hard);
    // The heap falls when the handler has let go, a little later.
    sleep(Duration::from_millis(101)).await;
    assert_eq!(ended(&held), [false, true, false, false]);
    heap.set(800 * KIB);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(ended(&held), [false, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_has_been_read_is_left_to_its_handler() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload(Some(100 * KIB));
    let mut service = layer.layer(support::echo());
    let mut whole = service.call(request(body)).await.unwrap().into_body();
    feed.data(100 * 1024);
    let frame = whole.frame().await.unwrap().unwrap();
    drop(feed);
    let part = hold(&layer, 70, Some(100 * KIB)).await;
    crowd(&handle, &heap, 960).await;
    assert!(part.answer.is_finished());
    assert_eq!(
        handle.stats().bodies_ended,
        1,
        "not the one that is complete"
    );
    assert!(whole.frame().await.is_none());
    drop(frame);
}

#[tokio::test(start_paused = true)]
async fn nobody_ends_while_caches_give_back_or_if_it_is_not_wanted() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let cache = heap.clone();
    let layer = layer.reclaim_with(move |bytes| cache.free(bytes, 0));
    let held = holding(&layer, [100; 4]).await;
    crowd(&handle, &heap, 960).await;
    assert_eq!(ended(&held), [false; 4]);
    assert_eq!(heap.get(), 750 * KIB);

    let (layer, heap) = guard(1000 * KIB);
    let layer = layer.end_bodies_at_hard(false);
    let handle = layer.handle();
    let held = holding(&layer, [100; 4]).await;
    crowd(&handle, &heap, 2000).await;
    assert_eq!(ended(&held), [false; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_short_peak_ends_nobody() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let held = holding(&layer, [100; 4]).await;
    heap.set(990 * KIB);
    assert_eq!(handle.level(), Level::Hard);
    sleep(Duration::from_millis(50)).await;
    heap.set(700 * KIB);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(ended(&held), [false; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_long_stay_shows_in_readiness() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(949);
    sleep(Duration::from_secs(100)).await;
    assert!(handle.ready(), "Soft refuses nobody");
    heap.set(950);
    assert!(handle.ready());
    advance(Duration::from_millis(9_999)).await;
    assert!(handle.ready());
    advance(Duration::from_millis(1)).await;
    assert!(!handle.ready());
    heap.set(880);
    assert!(!handle.ready(), "still Hard");
    heap.set(879);
    assert!(handle.ready(), "at once");
    heap.set(950);
    advance(Duration::from_secs(5)).await;
    assert!(handle.ready(), "a stay begins anew");

    let (layer, heap) = guard(1000);
    let handle = layer.unready_after(Duration::ZERO).handle();
    assert!(handle.ready());
    heap.set(950);
    assert!(!handle.ready());
}

#[tokio::test(start_paused = true)]
async fn readiness_comes_back_without_requests() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(1000);
    let refused = layer.layer(collect()).oneshot(get()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_secs(11)).await;
    assert!(!handle.ready());
    heap.set(0);
    assert!(handle.ready());
}
