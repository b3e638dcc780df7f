//! A minute of load that rises and falls under a guard, with a real cache that gives way: nobody is refused, the hot pages
//! stay, and the level does not flap.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use cache_layer::CacheLayer;
use http::{Request, StatusCode};
use memguard_layer::{Level, MemGuardLayer};
use tokio::time::{Instant, sleep};
use tower::{ServiceBuilder, ServiceExt};

const PAGE: u64 = 64 << 10;
const HOT: u64 = 16;
const FLOOR: u64 = 2 << 20;
const BUDGET: u64 = 16 << 20;
const PEAK: u64 = 10 << 20;
const TOOTH: Duration = Duration::from_secs(10);

/// The load `since` the start: it rises through each tooth and falls at its end.
fn load(since: Duration) -> u64 {
    let within = since.as_millis() as u64 % TOOTH.as_millis() as u64;
    PEAK * within / TOOTH.as_millis() as u64
}

#[tokio::test(start_paused = true)]
async fn the_level_changes_six_times_a_minute_at_most_while_the_cache_gives_way() {
    let cache = CacheLayer::new(12 << 20);
    let (source, reclaim, cached) = (cache.handle(), cache.handle(), cache.handle());
    let used = Arc::new(AtomicU64::new(0));
    let of_others = Arc::clone(&used);
    let guard = MemGuardLayer::new(BUDGET)
        .source(move || source.stats().bytes + of_others.load(SeqCst))
        .without_cgroup()
        .reclaim_with(move |bytes| {
            let spare = reclaim.stats().bytes.saturating_sub(FLOOR);
            reclaim.reclaim(bytes.min(spare))
        });
    let handle = guard.handle();
    let page = || async {
        (
            [("cache-control", "max-age=3600")],
            vec![b'x'; PAGE as usize],
        )
    };
    let app = Router::new()
        .route("/page/{n}", get(page))
        .layer(ServiceBuilder::new().layer(guard).layer(cache));
    // Whether a page is a hit; nobody is refused.
    let is_hit = async |n: u64| {
        let request = Request::get(format!("/page/{n}"))
            .header("host", "a.example")
            .body(Body::empty())
            .expect("valid");
        let answer = app.clone().oneshot(request).await.expect("infallible");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.headers()["cache-status"] == "cache-layer; hit"
    };
    for n in 0..300 {
        is_hit(n % HOT).await;
        is_hit(HOT + n).await;
    }
    let full = cached.stats().bytes;
    assert!(full > 11 << 20, "{full} bytes are cached");

    let (mut level, changes) = (handle.watch(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&changes);
    tokio::spawn(async move {
        while level.changed().await.is_ok() {
            counter.fetch_add(1, SeqCst);
        }
    });
    let (start, mut cold, mut highest, mut least) = (Instant::now(), HOT, Level::Normal, full);
    while start.elapsed() < 6 * TOOTH {
        used.store(load(start.elapsed()), SeqCst);
        for n in 0..HOT {
            assert!(is_hit(n).await, "page {n} is hot");
        }
        cold += 1;
        is_hit(HOT + cold % 300).await;
        highest = highest.max(handle.level());
        least = least.min(cached.stats().bytes);
        sleep(Duration::from_millis(100)).await;
    }
    let changes = changes.load(SeqCst);
    println!("{changes} changes, up to {highest:?}; {least} of {full} bytes were left");
    assert!((2..=6).contains(&changes), "{changes} changes");
    assert!(highest >= Level::Soft, "it was under pressure");
    assert!(
        least < full / 2 && least >= FLOOR - PAGE,
        "{least} bytes were left"
    );
    assert_eq!(handle.rejected(), 0);
}
