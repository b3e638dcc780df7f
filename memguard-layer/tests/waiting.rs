//! Who waits for room, in which order and for how long, and who does not.

mod support;

use std::{pin::pin, time::Duration};

use http::StatusCode;
use memguard_layer::{MemGuardLayer, Overloaded, OverloadedKind, Policy};
use support::{
    at_once, collect,
    delay::{delaying, send, settle},
    echo, get, guard, poll_once, request, upload,
};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service};

const KIB: u64 = 1024;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_policy_of_refusal_waits_for_nobody() {
    let (layer, heap) = guard(1000);
    let cache = heap.clone();
    let layer = layer
        .policy(Policy::Reject)
        .reclaim_with(move |bytes| cache.free(bytes, 0));
    heap.set(700);
    let response = at_once(layer.layer(echo()).call(request(upload(Some(200)).1))).unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(heap.get(), 700);
    heap.set(900);
    let response = at_once(layer.layer(echo()).call(get())).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    sleep(SECOND).await;
    assert_eq!(heap.get(), 750, "behind its back caches are asked");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_request_gets_the_room_that_another_gives_back() {
    let (layer, _heap) = delaying(1000);
    let handle = layer.handle();
    let job = handle.reserve(700).unwrap();
    let waits = send(&layer, 200).await;
    assert_eq!((handle.stats().waiting, waits.is_finished()), (1, false));
    let start = Instant::now();
    drop(job);
    settle().await;
    assert_eq!(waits.await.unwrap().status(), StatusCode::OK);
    assert_eq!(start.elapsed(), Duration::ZERO, "it is told of it");
    assert_eq!((handle.stats().waiting, handle.rejected()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_heap_that_falls_tells_nobody_and_is_seen_all_the_same() {
    let (layer, heap) = delaying(1000);
    heap.set(700);
    let waits = send(&layer, 200).await;
    heap.set(600);
    sleep(Duration::from_millis(11)).await;
    assert!(waits.is_finished());
    assert_eq!(waits.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_bounded() {
    let (layer, heap) = delaying(1000);
    let handle = layer.handle();
    heap.set(700);
    let start = Instant::now();
    let response = layer
        .layer(echo())
        .call(request(upload(Some(200)).1))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(start.elapsed().as_secs(), 10);
    let why = response.extensions().get::<Overloaded>().unwrap();
    assert_eq!((why.kind(), why.wanted()), (OverloadedKind::NoRoom, 400));
    assert_eq!((handle.stats().waiting, handle.rejected()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served_and_nobody_overtakes() {
    let (layer, heap) = delaying(1000);
    let handle = layer.handle();
    heap.set(100);
    let mut jobs: Vec<_> = (0..4).map(|_| handle.reserve(200).unwrap()).collect();
    let mut line = Vec::new();
    for length in [250, 10, 100] {
        line.push(send(&layer, length).await);
    }
    assert_eq!(handle.stats().waiting, 3);
    assert!(handle.reserve(1).is_none(), "nor does a job");
    let mut job = jobs[0].release(200);
    assert_eq!(job, 200);
    settle().await;
    assert!(
        line.iter().all(|answer| !answer.is_finished()),
        "20 would fit, 500 do not yet"
    );
    job += jobs[1].release(200);
    settle().await;
    assert_eq!(job, 400);
    assert!(line[0].is_finished(), "heap 100, jobs 400, 500");
    assert!(!line[1].is_finished());
    jobs.clear();
    settle().await;
    for answer in line {
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_line_is_bounded() {
    let (layer, heap) = delaying(1000);
    let handle = layer.handle();
    heap.set(960);
    let mut line = Vec::new();
    for n in 0..8 {
        line.push(send(&layer, n % 2).await);
    }
    assert_eq!(handle.stats().waiting, 8, "with a body and without");
    for length in [0, 1] {
        let response = at_once(layer.layer(echo()).call(request(upload(Some(length)).1))).unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    line.pop().unwrap().abort();
    settle().await;
    assert_eq!(handle.stats().waiting, 7, "one that is dropped leaves it");
    line.push(send(&layer, 1).await);
    heap.set(0);
    for answer in line {
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn who_needs_no_room_stands_in_no_line() {
    let (layer, heap) = delaying(1000);
    let handle = layer.handle();
    heap.set(960);
    let (large, bare) = (send(&layer, 400).await, send(&layer, 0).await);
    assert_eq!(handle.stats().waiting, 2);
    heap.set(800);
    sleep(Duration::from_millis(11)).await;
    assert!(bare.is_finished() && !large.is_finished(), "Hard has ended");
    assert_eq!(bare.await.unwrap().status(), StatusCode::OK);
    let passes = at_once(layer.layer(echo()).call(get())).unwrap();
    assert_eq!(passes.status(), StatusCode::OK);
    large.abort();
}

#[tokio::test(start_paused = true)]
async fn jobs_wait_in_line_with_requests() {
    let (layer, heap) = delaying(1000);
    let handle = layer.handle();
    heap.set(500);
    let request = send(&layer, 300).await;
    let job = tokio::spawn({
        let handle = handle.clone();
        async move { handle.reserve_within(100, 5 * SECOND).await }
    });
    settle().await;
    assert_eq!(handle.stats().waiting, 2);
    assert!(!job.is_finished(), "100 would fit");
    heap.set(300);
    sleep(Duration::from_millis(30)).await;
    assert!(request.is_finished());
    assert_eq!(job.await.unwrap().unwrap().bytes(), 100);

    let start = Instant::now();
    let never = handle.reserve_within(1001, SECOND).await.unwrap_err();
    assert_eq!(
        (never.kind(), start.elapsed()),
        (OverloadedKind::TooLarge, Duration::ZERO)
    );
    let late = handle.reserve_within(800, SECOND).await.unwrap_err();
    assert_eq!(
        (late.kind(), start.elapsed().as_secs()),
        (OverloadedKind::NoRoom, 1)
    );
    assert!(
        timeout(SECOND, handle.reserve_within(800, Duration::MAX))
            .await
            .is_err()
    );
    assert_eq!(handle.stats().waiting, 0, "it has left the line");
}

#[test]
fn without_a_runtime_nobody_waits() {
    let (layer, heap) = delaying(1000 * KIB);
    heap.set(960 * KIB);
    let response = at_once(layer.layer(echo()).call(get())).unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(at_once(layer.handle().reserve_within(100 * KIB, SECOND)).is_err());
    let (feed, body) = upload(None);
    heap.set(0);
    let mut response = pin!(layer.layer(collect()).call(request(body)));
    assert!(poll_once(response.as_mut()).is_pending());
    heap.set(1000 * KIB);
    feed.data(10);
    assert_eq!(
        at_once(response).unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[test]
fn policies_that_cannot_be_are_refused() {
    let wrong = |wait, max_waiting| {
        let policy = Policy::Delay { wait, max_waiting };
        MemGuardLayer::new(1000)
            .try_policy(policy)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        wrong(Duration::ZERO, 1),
        "wait is 0ns, but must be from 1 ms to an hour"
    );
    assert_eq!(
        wrong(3601 * SECOND, 1),
        "wait is 3601s, but must be from 1 ms to an hour"
    );
    assert_eq!(wrong(SECOND, 0), "max_waiting is 0, but must be at least 1");
    for policy in [Policy::Reject, Policy::default()] {
        assert!(MemGuardLayer::new(1000).try_policy(policy).is_ok());
    }
}
