//! While memory is short.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use clap::Parser;
use memguard_layer::MemGuardLayer;
use ratelimit_layer::RateLimitLayer;

use super::{Flags, get, start};
use crate::{cache, rate};

#[tokio::test(start_paused = true)]
async fn out_of_memory_shows_in_readiness_before_long() {
    // Less than any process holds.
    let app = start(&["--heap-budget", "1"]);
    let refused = get(&app, "/items/1").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&app, "/readyz").await.body, b"ready\n");
    tokio::time::advance(Duration::from_secs(11)).await;
    let ready = get(&app, "/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&app, "/healthz").await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_is_new_stays_out_of_the_cache_while_memory_is_getting_short() {
    let heap = Arc::new(AtomicU64::new(0));
    let source = Arc::clone(&heap);
    let guard = MemGuardLayer::new(100)
        .source(move || source.load(Relaxed))
        .without_cgroup();
    let cache = cache::layer(&Flags::parse_from(["axum-api"]), &guard.handle()).unwrap();
    let page = || async { ([("cache-control", "max-age=60")], "page") };
    let app = Router::new()
        .route("/{page}", axum::routing::get(page))
        .layer(cache)
        .layer(guard);
    for (bytes, path, outcome) in [
        (74, "/old", "fwd=uri-miss; stored"),
        (75, "/new", "fwd=uri-miss"),
        (75, "/new", "fwd=uri-miss"),
        (75, "/old", "hit"),
        (69, "/new", "fwd=uri-miss; stored"),
        (69, "/new", "hit"),
    ] {
        heap.store(bytes, Relaxed);
        // Longer than a level lasts that nothing calls for.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let answer = get(&app, path).await;
        assert_eq!(answer.cache(), format!("cache-layer; {outcome}"), "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_have_less_of_their_quotas_while_memory_is_short() {
    for (heap, admitted) in [(84, 8), (85, 4), (95, 2)] {
        let guard = MemGuardLayer::new(100)
            .source(move || heap)
            .without_cgroup();
        let limit = RateLimitLayer::new("8/h".parse().unwrap());
        let app = Router::new()
            .route("/", axum::routing::get(|| async {}))
            .layer(rate::scaled(limit, guard.handle()));
        for turn in 0..10 {
            let status = get(&app, "/").await.status;
            assert_eq!(status == StatusCode::OK, turn < admitted, "{heap}: {turn}");
        }
    }
}
