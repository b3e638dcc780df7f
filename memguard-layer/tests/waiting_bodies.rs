//! Half-read bodies that wait for room, and which of them end.

mod support;

use std::time::Duration;

use http::{Response, StatusCode};
use memguard_layer::{MemGuardLayer, ResponseBody};
use support::{
    Feed, collect,
    delay::{delaying, send, settle},
    guard, request, upload,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::{Layer, Service};

const KIB: u64 = 1024;

/// An upload without a length to a service that takes all of it.
fn upload_to_end(layer: &MemGuardLayer) -> (Feed, JoinHandle<Response<ResponseBody<String>>>) {
    let (feed, body) = upload(None);
    let future = layer.layer(collect()).call(request(body));
    (feed, tokio::spawn(async { future.await.unwrap() }))
}

#[tokio::test(start_paused = true)]
async fn half_read_bodies_come_before_newcomers() {
    let (layer, _heap) = delaying(1000 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload_to_end(&layer);
    let mut job = handle.reserve(900 * KIB).unwrap();
    let newcomer = send(&layer, 30 * KIB).await;
    feed.data(60 * 1024);
    settle().await;
    let stats = handle.stats();
    assert_eq!((stats.waiting_bodies, stats.waiting), (1, 1));
    job.release(24 * KIB);
    settle().await;
    assert_eq!(
        (handle.stats().waiting_bodies, handle.stats().waiting),
        (0, 1),
        "64, 60 and 876 are promised"
    );
    drop(feed);
    assert_eq!(body.await.unwrap().status(), StatusCode::OK);
    settle().await;
    assert!(newcomer.is_finished());
    drop((job, newcomer));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_in_vain_ends_with_the_guards_answer() {
    let (layer, _heap) = delaying(1000 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload_to_end(&layer);
    let job = handle.reserve(900 * KIB).unwrap();
    let start = Instant::now();
    feed.data(60 * 1024);
    assert_eq!(
        body.await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(
        (handle.stats().bodies_ended, handle.reserved()),
        (1, job.bytes())
    );
}

#[tokio::test(start_paused = true)]
async fn of_bodies_that_wait_for_each_other_the_largest_ends_at_once_but_for_the_first() {
    let (layer, _heap) = delaying(1000 * KIB);
    let handle = layer.handle();
    let start = Instant::now();
    let mut uploads: Vec<_> = (0..4).map(|_| upload_to_end(&layer)).collect();
    // 4 * 64 are promised at first, then 256 + 300 + 100 + 200 + 100.
    for (upload, kib) in [(0, 300), (1, 100), (2, 200), (3, 100)] {
        uploads[upload].0.data(kib * 1024);
        settle().await;
    }
    assert_eq!(
        (handle.reserved(), handle.stats().waiting_bodies),
        (956 * KIB, 0)
    );
    for (feed, _) in &uploads {
        feed.data(50 * 1024);
        settle().await;
    }
    let ended: Vec<_> = uploads
        .iter()
        .map(|(_, answer)| answer.is_finished())
        .collect();
    assert_eq!(
        ended,
        [false, false, true, false],
        "the first is larger, but the first"
    );
    assert_eq!(handle.stats().bodies_ended, 1);
    for (feed, answer) in uploads.drain(..) {
        drop(feed);
        let _ = answer.await.unwrap();
    }
    assert_eq!((start.elapsed(), handle.reserved()), (Duration::ZERO, 0));
    assert_eq!(handle.rejected(), 1, "all the others got through");
}

#[tokio::test(start_paused = true)]
async fn a_body_alone_that_can_never_fit_does_not_wait() {
    let (layer, _heap) = delaying(256 * KIB);
    let (feed, body) = upload_to_end(&layer);
    let start = Instant::now();
    for _ in 0..100 {
        feed.data(16 * 1024);
    }
    assert_eq!(body.await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn caches_make_room_for_half_read_bodies_too() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let cache = heap.clone();
    let layer = layer.reclaim_with(move |bytes| cache.free(bytes, 700 * KIB));
    let (feed, body) = upload_to_end(&layer);
    settle().await;
    heap.set(800 * KIB);
    for rest in [false, true] {
        feed.data(180 * 1024);
        settle().await;
        if !rest {
            sleep(Duration::from_millis(100)).await;
            assert!(!body.is_finished(), "64 and 180 fit beside 700 of the heap");
            assert!(heap.get() <= 756 * KIB);
        }
    }
    assert_eq!(
        body.await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "the cache had no more"
    );
    assert_eq!((handle.reserved(), heap.get()), (0, 700 * KIB));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_body_that_is_dropped_gives_all_back() {
    let (layer, _heap) = delaying(1000 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload_to_end(&layer);
    let job = handle.reserve(900 * KIB).unwrap();
    feed.data(60 * 1024);
    settle().await;
    assert_eq!(handle.stats().waiting_bodies, 1);
    body.abort();
    settle().await;
    assert_eq!(
        (handle.stats().waiting_bodies, handle.reserved()),
        (0, job.bytes())
    );
    drop(job);
    assert!(handle.reserve(1000 * KIB).is_some(), "nobody is in line");
}
