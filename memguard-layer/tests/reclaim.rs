//! Caches give back before a request is refused.

mod support;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use http::StatusCode;
use memguard_layer::{Level, MemGuardHandle, MemGuardLayer};
use support::{Knob, at_once, collect, echo, get, guard, poll_once, request, upload};
use tokio::time::{Instant, advance};
use tower::{Layer, Service};

/// A gate, and how to wait until it is dropped: holds a round up for as long as a test wants.
fn gate() -> (mpsc::Sender<()>, impl Fn() + Send + Sync) {
    let (gate, closed) = mpsc::channel();
    let closed = Mutex::new(closed);
    (gate, move || {
        assert!(closed.lock().unwrap().recv().is_err())
    })
}

/// Lets rounds that are under way come to their end: whoever waits goes on as soon as there is room.
async fn rounds(handle: &MemGuardHandle, count: u64) {
    while handle.stats().reclaim_rounds < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_fit_waits_for_the_room_that_caches_make() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(700);
    let cache = heap.clone();
    let mut service = layer
        .reclaim_with(move |bytes| cache.free(bytes, 0))
        .layer(echo());
    let (_feed, body) = upload(Some(200));
    let response = service.call(request(body)).await.unwrap();
    assert_eq!(
        (response.status(), heap.get(), handle.reserved()),
        (StatusCode::OK, 600, 400)
    );
    rounds(&handle, 1).await;
    let stats = handle.stats();
    assert_eq!(
        (stats.reclaim_rounds, stats.reclaimed, stats.rejected),
        (1, 100, 0),
        "just what it needed"
    );
}

#[tokio::test(start_paused = true)]
async fn reclaimers_are_asked_in_order_for_what_is_left() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(980);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let reclaimer = |name: &'static str, has: u64| {
        let (asked, cache, stock) = (Arc::clone(&asked), heap.clone(), AtomicU64::new(has));
        move |bytes: u64| {
            asked.lock().unwrap().push((name, bytes));
            let freed = cache.free(bytes.min(stock.load(SeqCst)), 0);
            stock.fetch_sub(freed, SeqCst);
            freed
        }
    };
    let mut service = layer
        .reclaim_with(reclaimer("first", 100))
        .reclaim_with(reclaimer("second", 1000))
        .reclaim_with(reclaimer("third", 1000))
        .layer(echo());
    assert_eq!(service.call(get()).await.unwrap().status(), StatusCode::OK);
    rounds(&handle, 1).await;
    assert_eq!(
        *asked.lock().unwrap(),
        [("first", 230), ("first", 130), ("second", 130)],
        "each until it has no more, down to 75 %, well below Soft"
    );
}

#[tokio::test(start_paused = true)]
async fn much_is_asked_for_in_slices() {
    const MIB: u64 = 1 << 20;
    let (layer, heap) = guard(1000 * MIB);
    let handle = layer.handle();
    heap.set(980 * MIB);
    let (cache, slices) = (heap.clone(), Arc::new(Mutex::new(Vec::new())));
    let asked = Arc::clone(&slices);
    let mut service = layer
        .reclaim_with(move |bytes| {
            asked.lock().unwrap().push(bytes);
            cache.free(bytes, 0)
        })
        .layer(echo());
    assert_eq!(service.call(get()).await.unwrap().status(), StatusCode::OK);
    rounds(&handle, 1).await;
    let slices = slices.lock().unwrap();
    assert!(slices[0] < MIB && slices.len() >= 8, "{slices:?}");
    assert!(slices.is_sorted_by(|a, b| *b <= 2 * a), "{slices:?}");
    assert_eq!(slices.iter().sum::<u64>(), 230 * MIB);
    assert_eq!((heap.get(), handle.stats().reclaim_rounds), (750 * MIB, 1));
}

#[tokio::test(start_paused = true)]
async fn rounds_go_on_while_they_help() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(740);
    let (cache, calls) = (heap.clone(), AtomicUsize::new(0));
    let mut service = layer
        .reclaim_with(move |bytes| match calls.fetch_add(1, SeqCst) % 2 {
            0 => cache.free(bytes.min(50), 0),
            _ => 0,
        })
        .layer(echo());
    let (_feed, body) = upload(Some(200));
    let response = service.call(request(body)).await.unwrap();
    assert_eq!((response.status(), heap.get()), (StatusCode::OK, 600));
    rounds(&handle, 3).await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_bounded() {
    let (layer, heap) = guard(1000);
    heap.set(990);
    let (gate, wait_for_gate) = gate();
    let mut service = layer
        .reclaim_with(move |_| {
            wait_for_gate();
            0
        })
        .layer(echo());
    let start = Instant::now();
    let mut response = pin!(service.call(get()));
    assert!(poll_once(response.as_mut()).is_pending());
    advance(Duration::from_millis(249)).await;
    assert!(poll_once(response.as_mut()).is_pending());
    advance(Duration::from_millis(2)).await;
    assert_eq!(
        response.await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert!(start.elapsed() < Duration::from_millis(260));
    drop(gate);
}

#[tokio::test(start_paused = true)]
async fn one_round_serves_all_who_wait() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(990);
    let running = Arc::new(AtomicUsize::new(0));
    let (cache, calls) = (heap.clone(), Arc::clone(&running));
    let service = layer
        .reclaim_with(move |bytes| {
            assert_eq!(calls.fetch_add(1, SeqCst), 0, "one at a time");
            let freed = cache.free(bytes, 0);
            calls.fetch_sub(1, SeqCst);
            freed
        })
        .layer(echo());
    let waiting: Vec<_> = (0..50)
        .map(|_| tokio::spawn(service.clone().call(get())))
        .collect();
    for response in waiting {
        assert_eq!(response.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    rounds(&handle, 1).await;
    assert_eq!(heap.get(), 750);
}

/// As if a round had ended after a request read the heap, and before its own round began.
#[tokio::test(start_paused = true)]
async fn what_came_off_since_the_heap_was_read_is_not_asked_for_again() {
    for (by_then, asks) in [(900, vec![150]), (800, vec![50]), (750, vec![])] {
        let heap = Knob::default();
        heap.set(by_then);
        let (source, cache) = (heap.clone(), heap.clone());
        let (request, is_read) = (thread::current().id(), AtomicBool::new(false));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let calls = Arc::clone(&asked);
        let mut service = MemGuardLayer::new(1000)
            .source(move || {
                let by_round = thread::current().id() != request;
                match is_read.fetch_or(by_round, SeqCst) || by_round {
                    true => source.get(),
                    false => 990,
                }
            })
            .reclaim_with(move |bytes| {
                calls.lock().unwrap().push(bytes);
                cache.free(bytes, 0)
            })
            .layer(echo());
        assert_eq!(service.call(get()).await.unwrap().status(), StatusCode::OK);
        // It may have gone on before the round ended, which is the last to hold the reclaimer.
        drop(service);
        while Arc::strong_count(&asked) > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!((&*asked.lock().unwrap(), heap.get()), (&asks, 750));
    }
}

#[tokio::test(start_paused = true)]
async fn at_soft_caches_are_asked_in_the_background_and_nobody_waits() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let cache = heap.clone();
    let mut service = layer
        .reclaim_with(move |bytes| cache.free(bytes, 0))
        .layer(collect());
    heap.set(849);
    assert_eq!(
        at_once(service.call(get())).unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(
        (handle.level(), handle.stats().reclaim_rounds),
        (Level::Elevated, 0)
    );
    heap.set(850);
    assert_eq!(
        at_once(service.call(get())).unwrap().status(),
        StatusCode::OK
    );
    rounds(&handle, 1).await;
    assert_eq!((heap.get(), handle.stats().reclaimed), (750, 100));
    assert_eq!(
        at_once(service.call(get())).unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(
        handle.stats().reclaim_rounds,
        1,
        "still Soft by its dwell, but there is nothing to ask for"
    );
    assert_eq!(handle.level(), Level::Soft);
    advance(Duration::from_secs(3)).await;
    assert_eq!(handle.level(), Level::Elevated);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_fails_asks_in_the_background() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(700);
    let cache = heap.clone();
    let _layer = layer.reclaim_with(move |bytes| cache.free(bytes, 0));
    assert!(handle.reserve(500).is_none());
    rounds(&handle, 1).await;
    assert_eq!(
        handle.reserve(500).map(|reservation| reservation.bytes()),
        Some(500)
    );
}

#[tokio::test(start_paused = true)]
async fn a_reclaimer_that_panics_leaves_nobody_waiting() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(990);
    let mut service = layer
        .reclaim_with(|_| panic!("a broken cache"))
        .layer(echo());
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
}

#[tokio::test(start_paused = true)]
async fn what_can_never_fit_is_refused_without_asking() {
    let (layer, _heap) = guard(1000);
    let handle = layer.handle();
    let mut service = layer.reclaim_with(|bytes| bytes).layer(collect());
    let response = at_once(service.call(request(upload(Some(501)).1))).unwrap();
    assert_eq!(
        (response.status(), handle.stats().reclaim_rounds),
        (StatusCode::PAYLOAD_TOO_LARGE, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_while_it_waits_holds_nothing() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(990);
    let cache = heap.clone();
    let (gate, wait_for_gate) = gate();
    let mut service = layer
        .reclaim_with(move |bytes| {
            wait_for_gate();
            cache.free(bytes, 0)
        })
        .layer(echo());
    let (_feed, body) = upload(Some(100));
    let mut response = Box::pin(service.call(request(body)));
    assert!(poll_once(response.as_mut()).is_pending());
    drop(response);
    drop(gate);
    rounds(&handle, 1).await;
    assert_eq!(
        (handle.reserved(), heap.get(), handle.rejected()),
        (0, 750, 0),
        "the round itself runs to its end"
    );
}

#[test]
fn without_a_runtime_nobody_is_asked() {
    let layer = MemGuardLayer::new(1000)
        .source(|| 990)
        .reclaim_with(|bytes| bytes);
    let handle = layer.handle();
    let response = at_once(layer.layer(echo()).call(get())).unwrap();
    assert_eq!(
        (response.status(), handle.stats().reclaim_rounds),
        (StatusCode::SERVICE_UNAVAILABLE, 0)
    );
}
