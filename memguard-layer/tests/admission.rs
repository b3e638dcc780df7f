//! What is reserved for a request, when it moves to the heap, and when it is given back.

mod support;

use std::pin::pin;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use memguard_layer::{Heap, Level, MemGuardLayer, Overloaded, OverloadedKind};
use support::{at_once, collect, echo, get, guard, poll_once, request, upload};
use tower::{Layer, Service, ServiceExt};

const KIB: u64 = 1024;

#[tokio::test]
async fn a_body_of_known_length_moves_from_promised_to_counted() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    heap.set(100);
    let (feed, body) = upload(Some(200));
    let mut body = layer
        .layer(echo())
        .oneshot(request(body))
        .await
        .unwrap()
        .into_body();
    assert_eq!(handle.reserved(), 400, "twice its length");

    feed.data(50);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(
        handle.reserved(),
        350,
        "the frame is in the heap; one copy of it and the rest are to come"
    );
    drop(frame);
    assert_eq!(handle.reserved(), 300, "nobody can copy it any more");

    feed.data(150);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(handle.reserved(), 150, "all has arrived");
    let slice = frame.into_data().unwrap().slice(..1);
    drop(body);
    assert_eq!(
        handle.reserved(),
        150,
        "a slice keeps the whole frame alive"
    );
    drop(slice);
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_body_of_unknown_length_grows_frame_by_frame() {
    let (layer, _heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload(None);
    let mut body = layer
        .body_factor(3)
        .layer(echo())
        .oneshot(request(body))
        .await
        .unwrap()
        .into_body();
    assert_eq!(
        handle.reserved(),
        64 * KIB,
        "what the connection may read ahead"
    );
    feed.data(100 * 1024);
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(handle.reserved(), 264 * KIB);
    feed.data(1024);
    let second = body.frame().await.unwrap().unwrap();
    assert_eq!(handle.reserved(), 266 * KIB);
    drop(first);
    assert_eq!(handle.reserved(), 66 * KIB);
    drop(feed);
    assert!(body.frame().await.is_none());
    assert_eq!(
        handle.reserved(),
        2 * KIB,
        "it has ended, one frame is alive"
    );
    drop(second);
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_streaming_handler_may_pass_more_than_the_budget() {
    let (layer, _heap) = guard(256 * KIB);
    let handle = layer.handle();
    let (feed, body) = upload(None);
    let mut body = layer
        .layer(echo())
        .oneshot(request(body))
        .await
        .unwrap()
        .into_body();
    for _ in 0..100 {
        feed.data(64 * 1024);
        body.frame().await.unwrap().unwrap();
    }
    drop(feed);
    assert!(body.frame().await.is_none());
    assert_eq!((handle.reserved(), handle.rejected()), (0, 0));
}

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
async fn a_growth_that_does_not_fit_ends_the_body_and_replaces_the_answer() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let mut service = layer.layer(collect());
    let (feed, body) = upload(None);
    let mut response = pin!(service.call(request(body)));
    feed.data(100 * 1024);
    assert!(poll_once(response.as_mut()).is_pending());
    assert_eq!(handle.reserved(), 164 * KIB);
    heap.set(900 * KIB);
    feed.data(1024);
    let response = response.await.unwrap();
    assert_eq!(
        response.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "and not the handler's 400"
    );
    assert_eq!(
        (
            handle.reserved(),
            handle.rejected(),
            handle.stats().bodies_ended
        ),
        (0, 1, 1)
    );
}

#[tokio::test]
async fn a_handler_that_swallows_the_error_is_overruled() {
    let (layer, heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let mut service = layer.layer(tower::service_fn(
        |request: Request<memguard_layer::RequestBody<_>>| async {
            let error = request
                .into_body()
                .collect()
                .await
                .expect_err("the guard ended it");
            assert!(error.is::<Overloaded>(), "{error}");
            Ok::<_, std::convert::Infallible>(http::Response::new("fine".to_owned()))
        },
    ));
    let (feed, body) = upload(None);
    let response = service.call(request(body));
    heap.set(1000 * KIB);
    feed.data(1);
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((handle.reserved(), handle.rejected()), (0, 1));
}

#[tokio::test]
async fn a_service_that_fails_on_the_error_is_overruled_too() {
    let (layer, heap) = guard(1000 * KIB);
    let mut service = layer.layer(tower::service_fn(
        |request: Request<memguard_layer::RequestBody<_>>| async {
            let body = request.into_body().collect().await?;
            Ok::<_, support::BoxError>(http::Response::new(Full::new(body.to_bytes())))
        },
    ));
    let (feed, body) = upload(None);
    let response = service.call(request(body));
    heap.set(1000 * KIB);
    feed.data(1);
    assert_eq!(
        response.await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn an_ended_body_stays_ended() {
    let (layer, heap) = guard(1000 * KIB);
    let (feed, body) = upload(None);
    let mut body = layer
        .layer(echo())
        .oneshot(request(body))
        .await
        .unwrap()
        .into_body();
    heap.set(1000 * KIB);
    feed.data(1);
    feed.data(1);
    assert!(body.frame().await.unwrap().is_err());
    assert!(http_body::Body::is_end_stream(&body));
    heap.set(0);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn an_admitted_body_is_ended_only_when_the_heap_alone_is_over_the_budget() {
    let (layer, heap) = guard(1000);
    let handle = layer.handle();
    let mut service = layer.layer(echo());
    let (feed, body) = upload(Some(400));
    let mut body = service.call(request(body)).await.unwrap().into_body();
    heap.set(1000);
    feed.data(10);
    assert!(
        body.frame().await.unwrap().is_ok(),
        "800 reserved and 1000 in the heap, yet it was promised"
    );
    heap.set(1001);
    feed.data(10);
    assert!(body.frame().await.unwrap().is_err());
    drop(body);
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn more_than_the_declared_length_must_be_reserved_like_any_frame() {
    let (layer, _heap) = guard(1000);
    let handle = layer.handle();
    let (feed, body) = upload(None);
    let mut long = request(body);
    long.headers_mut().insert("content-length", 10.into());
    let mut body = layer.layer(echo()).oneshot(long).await.unwrap().into_body();
    assert_eq!(handle.reserved(), 20);
    feed.data(600);
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(handle.reserved(), 600, "its copy");
    feed.data(600);
    assert!(body.frame().await.unwrap().is_err());
    drop((frame, body));
    assert_eq!(handle.reserved(), 0);
}

#[tokio::test]
async fn a_body_that_ends_early_or_fails_gives_the_rest_back() {
    let (layer, _heap) = guard(1000);
    let handle = layer.handle();
    let mut service = layer.layer(collect());
    for fails in [false, true] {
        let (feed, body) = upload(Some(300));
        let response = service.call(request(body));
        assert_eq!(handle.reserved(), 600);
        feed.data(10);
        if fails {
            feed.fail();
        }
        drop(feed);
        let response = response.await.unwrap();
        assert_eq!(response.status().as_u16(), if fails { 400 } else { 200 });
        assert_eq!((handle.reserved(), handle.rejected()), (0, 0));
    }
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
async fn a_body_of_unknown_length_that_fills_the_budget_alone_is_too_large() {
    let (layer, _heap) = guard(256 * KIB);
    let mut service = layer.layer(collect());
    let (feed, body) = upload(None);
    let response = service.call(request(body));
    for _ in 0..100 {
        feed.data(16 * 1024);
    }
    assert_eq!(
        response.await.unwrap().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
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
        .exempt(|parts| parts.uri.path() == "/healthz")
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
async fn a_dropped_future_gives_back_what_it_held() {
    let (layer, _heap) = guard(1000 * KIB);
    let handle = layer.handle();
    let mut service = layer.layer(collect());
    for length in [None, Some(200 * KIB)] {
        let (feed, body) = upload(length);
        let mut response = Box::pin(service.call(request(body)));
        assert!(handle.reserved() > 0, "before the first poll");
        assert!(poll_once(response.as_mut()).is_pending());
        feed.data(50 * 1024);
        assert!(poll_once(response.as_mut()).is_pending());
        assert!(handle.reserved() > 0);
        drop(response);
        assert_eq!(handle.reserved(), 0);
    }
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
        "budget_bytes is 0, but must be from 1 to 281474976710655 (256 TiB)"
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
    assert_eq!(
        message(|| MemGuardLayer::new(1).body_factor(0)),
        "body_factor is 0, but must be at least 1"
    );
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
