//! Requests of low priority are given up before others have to be, and not before caches have given what they have.

mod support;

use std::{sync::Mutex, sync::mpsc, time::Duration};

use http::{Request, StatusCode};
use memguard_layer::{Head, MemGuardLayer, Overloaded, OverloadedKind, Priority};
use support::{Upload, at_once, echo, guard, upload};
use tower::{Layer, Service};

/// By the first letter of the path.
fn priority(head: &Head<'_>) -> Priority {
    match head.uri.path() {
        "/low" => Priority::Low,
        _ => Priority::Normal,
    }
}

fn request(path: &str, length: u64) -> Request<Upload> {
    Request::get(path).body(upload(Some(length)).1).unwrap()
}

/// How many of 1000 requests without a body are refused, and why.
fn refused(layer: &MemGuardLayer, path: &str) -> usize {
    let mut service = layer.layer(echo());
    let refused = (0..1000).filter(|_| {
        let response = at_once(service.call(request(path, 0))).unwrap();
        let why = response.extensions().get::<Overloaded>();
        assert!(why.is_none_or(|why| why.kind() == OverloadedKind::Shed));
        assert_eq!(
            why.is_some(),
            response.status() == StatusCode::SERVICE_UNAVAILABLE
        );
        why.is_some()
    });
    refused.count()
}

#[test]
fn more_are_shed_the_shorter_memory_gets() {
    let (layer, heap) = guard(1000);
    let layer = layer.priority(priority);
    // Nine standard deviations around each share.
    for (used, least, most) in [
        (0, 0, 0),
        (850, 0, 0),
        (875, 125, 375),
        (900, 360, 640),
        (925, 625, 875),
        (949, 960, 1000),
    ] {
        heap.set(used);
        assert_eq!(refused(&layer, "/normal"), 0, "normal ones at {used}");
        let low = refused(&layer, "/low");
        assert!((least..=most).contains(&low), "{low} of 1000 at {used}");
    }
}

#[test]
fn with_a_body_all_that_is_promised_counts() {
    let (layer, _heap) = guard(1000);
    let layer = layer.priority(priority);
    let handle = layer.handle();
    let mut service = layer.layer(echo());
    let mut kind = |path, length| {
        let response = at_once(service.call(request(path, length))).unwrap();
        response
            .extensions()
            .get::<Overloaded>()
            .map(Overloaded::kind)
    };
    let job = handle.reserve(800).unwrap();
    assert_eq!(
        kind("/low", 75),
        Some(OverloadedKind::Shed),
        "800 and 2 * 75"
    );
    assert_eq!(kind("/low", 25), None);
    assert_eq!(kind("/normal", 75), None);
    assert_eq!(kind("/low", 0), None, "it needs no room");
    assert_eq!(
        kind("/low", 501),
        Some(OverloadedKind::TooLarge),
        "another reason comes first"
    );
    drop(job);
    assert_eq!(handle.rejected(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_shed_while_caches_give_back() {
    let (layer, heap) = guard(1000);
    let cache = heap.clone();
    let (gate, closed) = mpsc::channel::<()>();
    let closed = Mutex::new(closed);
    let layer = layer.priority(priority).reclaim_with(move |bytes| {
        let _ = closed.lock().unwrap().recv();
        cache.free(bytes, 900)
    });
    heap.set(949);
    assert_eq!(refused(&layer, "/low"), 0);
    drop(gate);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(heap.get(), 900, "the cache has given what it had");
    assert!(refused(&layer, "/low") > 0);
}
