//! Requests that wait for their units.

use crate::support::{hello, request, send};
use http::{Request, Response, StatusCode};
use ratelimit_layer::{Algorithm, Policy, Quota, RateLimitLayer};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn requests_go_in_order_at_the_rate() {
    let layer = RateLimitLayer::new(Quota::per_second(1)).wait_up_to(3 * SECOND);
    let handle = layer.handle();
    let began = Instant::now();
    let log = Arc::new(Mutex::new(Vec::new()));
    let service = {
        let log = Arc::clone(&log);
        service_fn(move |request: Request<()>| {
            let number: u32 = request.uri().path()[1..].parse().unwrap();
            log.lock()
                .unwrap()
                .push((number, began.elapsed().as_secs()));
            std::future::ready(Ok::<_, Infallible>(Response::new(
                http_body_util::Full::from("hello"),
            )))
        })
    };
    let mut service = layer.layer(service);
    let mut futures = Vec::new();
    for number in 0..6 {
        let mut request = request(1);
        *request.uri_mut() = format!("/{number}").parse().unwrap();
        futures.push(tokio::spawn(service.ready().await.unwrap().call(request)));
    }
    tokio::task::yield_now().await;
    assert_eq!(handle.stats().waiting, 3);
    let mut statuses = Vec::new();
    for future in futures {
        let Ok(response) = future.await.unwrap();
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    assert_eq!(*log.lock().unwrap(), [(0, 0), (1, 1), (2, 2), (3, 3)]);
    let stats = handle.stats();
    assert_eq!((stats.allowed, stats.refused, stats.waiting), (4, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_from_the_end_gives_its_place_back() {
    let layer = RateLimitLayer::new(Quota::per_second(1)).wait_up_to(2 * SECOND);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    assert_eq!(
        send(&mut service, request(1)).await.status(),
        StatusCode::OK
    );
    let first = service.ready().await.unwrap().call(request(1));
    let second = service.ready().await.unwrap().call(request(1));
    assert_eq!(send(&mut service, request(1)).await.status(), 429);
    drop(second);
    assert_eq!(handle.stats().waiting, 1);
    let third = service.ready().await.unwrap().call(request(1));
    assert_eq!(send(&mut service, request(1)).await.status(), 429);
    // From the middle: those behind have their times already.
    drop(first);
    assert_eq!(send(&mut service, request(1)).await.status(), 429);
    let began = Instant::now();
    let Ok(response) = third.await;
    assert_eq!(
        (response.status(), began.elapsed()),
        (StatusCode::OK, 2 * SECOND)
    );
    assert_eq!(handle.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may() {
    let layer = RateLimitLayer::new(Quota::per_second(1))
        .wait_up_to(60 * SECOND)
        .max_waiting(2);
    let mut service = layer.layer(service_fn(hello));
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(service.ready().await.unwrap().call(request(1)));
    }
    // Other clients, too; and a place that was not had costs nothing.
    let _first = send(&mut service, request(2)).await;
    assert_eq!(send(&mut service, request(2)).await.status(), 429);
    drop(waiting.pop());
    let began = Instant::now();
    assert_eq!(
        send(&mut service, request(2)).await.status(),
        StatusCode::OK
    );
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn several_policies_are_all_waited_for() {
    let layer = RateLimitLayer::new(Quota::per_second(1))
        .policy(Policy::new("minute", Quota::per_minute(20).burst(2)))
        .wait_up_to(10 * SECOND);
    let mut service = layer.layer(service_fn(hello));
    let began = Instant::now();
    let mut at = Vec::new();
    let futures: Vec<_> = {
        let mut futures = Vec::new();
        for _ in 0..6 {
            futures.push(service.ready().await.unwrap().call(request(1)));
        }
        futures
    };
    for future in futures {
        let Ok(response) = future.await;
        let second = began.elapsed().as_secs();
        at.push((response.status().as_u16(), second));
    }
    // A burst of two every second, then one every three seconds; ten seconds are the most.
    assert_eq!(
        at,
        [(200, 0), (200, 1), (200, 3), (200, 6), (200, 9), (429, 9)]
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_more_than_the_quota_whoever_leaves() {
    let layer = RateLimitLayer::new(Quota::per_second(10).burst(3)).wait_up_to(SECOND);
    let times = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();
    let service = {
        let times = Arc::clone(&times);
        service_fn(move |_: Request<()>| {
            times.lock().unwrap().push(began.elapsed());
            hello(Request::new(()))
        })
    };
    let mut service = layer.layer(service);
    let mut seed = 7_u64;
    let mut futures = Vec::new();
    for _ in 0..2_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match seed >> 61 {
            0..4 => futures.push(tokio::spawn(
                service.ready().await.unwrap().call(request(1)),
            )),
            4 if !futures.is_empty() => {
                let leaver = (seed >> 32) as usize % futures.len();
                futures.swap_remove(leaver).abort();
            }
            _ => advance(Duration::from_millis(seed >> 40 & 127)).await,
        }
        tokio::task::yield_now().await;
    }
    let times = times.lock().unwrap();
    assert!(times.len() > 300, "{}", times.len());
    for (index, from) in times.iter().enumerate() {
        for (more, to) in times[index..].iter().enumerate() {
            // Timers round up to a millisecond, so one may come that much closer to the next.
            let stretch = *to - *from + Duration::from_millis(2);
            let most = 3.0 + stretch.as_secs_f64() * 10.0;
            assert!((more + 1) as f64 <= most, "{} in {stretch:?}", more + 1);
        }
    }
}

#[test]
#[should_panic(expected = "requests cannot wait for policy \"window\"")]
fn only_buckets_are_waited_for() {
    let policy = Policy::new("window", Quota::per_second(1));
    let _ = RateLimitLayer::new(Quota::per_second(1))
        .policy(policy.algorithm(Algorithm::SlidingWindowCounter))
        .wait_up_to(SECOND);
}

#[test]
#[should_panic(expected = "a wait of up to 3601s cannot be used")]
fn nobody_waits_for_hours() {
    let _ = RateLimitLayer::new(Quota::per_second(1)).wait_up_to(3_601 * SECOND);
}

#[test]
#[should_panic(expected = "0 waiting requests cannot be used")]
fn somebody_may_wait() {
    let _ = RateLimitLayer::new(Quota::per_second(1)).max_waiting(0);
}
