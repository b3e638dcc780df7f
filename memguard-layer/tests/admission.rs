//! Who is admitted, what is reserved for whom, and what a wrong setting says.

mod support;

use http::{Request, StatusCode};
use memguard_layer::{Heap, Level, MemGuardLayer, Overloaded, OverloadedKind};
use support::{at_once, collect, echo, get, guard, request, upload};
use tower::{Layer, Service};

#[tokio::test]
async fn admission_is_exact_to_the_byte() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(100);
    let mut service = layer.layer(echo());
    let exact = service.call(request(upload(Some(450)).1)).await.unwrap();
    assert_eq!((exact.status(), handle.reserved()), (StatusCode::OK, 900));
    let (feed, body) = upload(Some(1));
    let over = service.call(request(body)).await.unwrap();
    assert_eq!(over.status(), StatusCode::SERVICE_UNAVAILABLE);
    let why = over
        .extensions()
        .get::<Overloaded>()
        .expect("the reason is in the extensions");
    assert_eq!(
        (why.kind(), why.wanted(), why.budget()),
        (OverloadedKind::NoRoom, 2, 1000)
    );
    drop((exact, feed));
    let (_feed, body) = upload(Some(1));
    assert_eq!(
        service.call(request(body)).await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(handle.rejected(), 1);
}

#[tokio::test]
async fn absurd_lengths_are_answered() {
    let (layer, _heap) = guard(1 << 20);
    let handle = layer.handle();
    let mut service = layer.layer(collect());
    let mut status = |length: &str| {
        let mut request = request(upload(None).1);
        request
            .headers_mut()
            .insert("content-length", length.parse().unwrap());
        at_once(service.call(request)).unwrap().status().as_u16()
    };
    for length in [
        "18446744073709551615",
        "9223372036854775808",
        "99999999999999999999999",
        "524289",
    ] {
        assert_eq!(
            status(length),
            413,
            "{length}: larger than the budget by itself"
        );
    }
    for length in ["524288", "-1", "ten", "", "5, 6"] {
        assert_eq!(status(length), 200, "{length}: fits, or counts as unknown");
    }
    assert_eq!((handle.reserved(), handle.rejected()), (0, 4));
}

#[tokio::test]
async fn requests_without_a_body_pass_until_the_level_is_hard() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let all = handle.reserve(1000).expect("nothing is in use");
    let mut service = layer.layer(echo());
    heap.set(949);
    assert_eq!(
        service.call(get()).await.unwrap().status(),
        StatusCode::OK,
        "at {:?}",
        handle.level()
    );
    heap.set(950);
    assert_eq!(
        service.call(get()).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(handle.level(), Level::Hard);
    heap.set(880);
    assert_eq!(
        service.call(get()).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    heap.set(879);
    assert_eq!(service.call(get()).await.unwrap().status(), StatusCode::OK);
    drop(all);
}

#[tokio::test]
async fn exempt_requests_pass_always_and_unmetered() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let mut service = layer
        .exempt(|head| head.uri.path() == "/healthz")
        .layer(collect());
    heap.set(5000);
    let (feed, body) = upload(None);
    feed.data(10_000);
    drop(feed);
    let health = Request::post("/healthz").body(body).unwrap();
    let response = service.call(health).await.unwrap();
    assert_eq!((response.status(), handle.reserved()), (StatusCode::OK, 0));
    assert_eq!(
        service.call(get()).await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn the_application_reserves_for_its_own_jobs() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(100);
    assert!(handle.reserve(901).is_none());
    let mut job = handle.reserve(800).unwrap();
    assert!(job.grow(100));
    assert!(!job.grow(1));
    assert_eq!((job.bytes(), handle.reserved()), (900, 900));
    assert_eq!(job.release(250), 250);
    assert_eq!(handle.reserved(), 650);
    assert_eq!(job.release(u64::MAX), 650);
    drop(job);
    let _ = handle.reserve(300);
    assert_eq!(handle.reserved(), 0, "dropped at once");
}

#[tokio::test]
async fn the_handle_outlives_the_service_and_shares_its_figures() {
    let (layer, heap) = guard(1000);
    let handle = layer.clone().handle();
    heap.set(850);
    let mut service = layer.layer(collect());
    let response = service.call(request(upload(Some(200)).1)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(service);
    let stats = handle.stats();
    assert_eq!(
        (stats.budget, stats.heap, stats.reserved, stats.rejected),
        (1000, 850, 0, 1)
    );
    assert_eq!(
        (stats.level, handle.budget(), handle.heap()),
        (Level::Soft, 1000, 850)
    );
}

#[test]
fn wrong_settings_say_what_is_allowed() {
    assert_eq!(
        MemGuardLayer::try_new(0).unwrap_err().to_string(),
        "budget_bytes is 0, but must be from 1 to 70368744177663 (64 TiB)"
    );
    assert!(
        MemGuardLayer::try_new(u64::MAX)
            .unwrap_err()
            .to_string()
            .contains("18446744073709551615")
    );
    assert!(MemGuardLayer::try_new(1).is_ok());
    let message = |build: fn() -> MemGuardLayer| {
        let panic = std::panic::catch_unwind(build).unwrap_err();
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
            .unwrap()
    };
    assert!(message(|| MemGuardLayer::new(0)).starts_with("budget_bytes is 0"));
    assert!(message(|| MemGuardLayer::new(1).source(|| 1).source(|| 2)).contains("set once"));
}

#[test]
fn without_a_heap_the_resident_set_is_the_source() {
    assert!(
        memguard_layer::heap::allocated().is_none(),
        "this binary installs none"
    );
    let handle = MemGuardLayer::new(1 << 30).handle();
    if cfg!(target_os = "linux") {
        assert!(handle.heap() > 100_000, "{} bytes resident", handle.heap());
    }
    let _counting: Heap = Heap::new();
}
