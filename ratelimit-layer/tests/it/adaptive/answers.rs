//! What the limit goes by, what it does to requests, and who may overrule it; on a paused clock.

use crate::support::{request, send, text};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use ratelimit_layer::{
    Adaptive, ConcurrencyHandle, ConcurrencyLimitLayer, ConcurrencyLimited, Outcome, Scope, Verdict,
};
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

/// Takes 10 ms, whatever is in flight: only its answers can tell of overload.
async fn steady(response: Response<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(10 * MS).await;
    Ok(response)
}

fn hello() -> Response<Full<Bytes>> {
    Response::new(Full::from("hello"))
}

/// Uses all of the limit for so long; what the limit is then.
async fn use_up<F, E>(
    layer: ConcurrencyLimitLayer,
    time: Duration,
    answer: impl Fn(Request<()>) -> F + Clone + Send + 'static,
) -> u64
where
    F: Future<Output = Result<Response<Full<Bytes>>, E>> + Send + 'static,
    E: Send + 'static,
{
    let service = layer.layer(service_fn(answer));
    let end = Instant::now() + time;
    let mut clients = JoinSet::new();
    for client in 0..60 {
        let service = service.clone();
        clients.spawn(async move {
            while Instant::now() < end {
                let _ = service.clone().oneshot(request(client)).await;
                sleep(4 * MS).await;
            }
        });
    }
    clients.join_all().await;
    layer.handle().stats().adaptive_limit.unwrap()
}

fn limit(adaptive: Adaptive) -> ConcurrencyLimitLayer {
    ConcurrencyLimitLayer::new(usize::MAX).adaptive(adaptive.between(2, 50).start_at(20))
}

fn each() -> [ConcurrencyLimitLayer; 3] {
    [Adaptive::gradient2(), Adaptive::vegas(), Adaptive::aimd()].map(limit)
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_or_an_error_it_grows_to_its_ceiling() {
    for layer in each() {
        assert!(use_up(layer, 2_000 * MS, |_| steady(hello())).await > 45);
    }
}

#[tokio::test(start_paused = true)]
async fn without_use_it_does_not_grow() {
    for layer in each() {
        let mut service = layer.layer(service_fn(|_| steady(hello())));
        for client in 0..200 {
            send(&mut service, request(client)).await;
        }
        assert_eq!(layer.handle().stats().adaptive_limit, Some(20));
    }
}

#[tokio::test(start_paused = true)]
async fn what_says_overload_makes_it_fall_to_its_floor() {
    let status = |status: StatusCode| {
        move |_| {
            let mut response = hello();
            *response.status_mut() = status;
            steady(response)
        }
    };
    let grpc = |code: &'static str| {
        move |_| {
            let mut response = hello();
            response
                .headers_mut()
                .insert("grpc-status", code.parse().unwrap());
            steady(response)
        }
    };
    let time = 2_000 * MS;
    for layer in each() {
        assert!(use_up(layer, time, status(StatusCode::SERVICE_UNAVAILABLE)).await <= 4);
    }
    for layer in each() {
        assert!(use_up(layer, time, status(StatusCode::GATEWAY_TIMEOUT)).await <= 4);
    }
    for layer in each() {
        assert!(use_up(layer, time, grpc("14")).await <= 4);
    }
    for layer in each() {
        let failing = |_| async {
            sleep(10 * MS).await;
            Err("broken")
        };
        assert!(use_up(layer, time, failing).await <= 4);
    }
    // Errors of another kind are answers like others.
    for answer in [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        for layer in each() {
            assert!(use_up(layer, time, status(answer)).await > 45);
        }
    }
    for layer in each() {
        assert!(use_up(layer, time, grpc("8")).await > 45);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closure_decides_what_says_overload() {
    let judged = |verdict: Verdict| {
        limit(Adaptive::aimd().judge_by(move |outcome| match outcome {
            Outcome::Answered(head) if head.status == 200 => verdict,
            _ => Verdict::Sample,
        }))
    };
    for (verdict, limits) in [
        (Verdict::Overload, 2..=4),
        (Verdict::Sample, 46..=50),
        (Verdict::Ignore, 20..=20),
    ] {
        let limit = use_up(judged(verdict), 4_000 * MS, |_| steady(hello())).await;
        assert!(limits.contains(&limit), "{verdict:?}: {limit}");
    }
}

/// Answers from a cache below.
#[tokio::test(start_paused = true)]
async fn answers_that_are_too_quick_say_nothing() {
    let quick = |_| std::future::ready(Ok::<_, Infallible>(hello()));
    for layer in each() {
        assert_eq!(use_up(layer, 500 * MS, quick).await, 20);
    }
}

/// A time-out above the layer drops its future: the service is too slow and never says so.
#[tokio::test(start_paused = true)]
async fn requests_that_are_given_up_count_for_as_long_as_they_took() {
    let slow = Duration::from_secs(3_600);
    let layer = limit(ratelimit_layer::Aimd::new().timeout(50 * MS).into());
    let service = layer.layer(service_fn(move |request: Request<()>| async move {
        // The first few are answered.
        sleep(if request.extensions().get::<bool>().is_some() {
            MS
        } else {
            slow
        })
        .await;
        Ok::<_, Infallible>(hello())
    }));
    for _ in 0..20 {
        let mut quick = request(1);
        quick.extensions_mut().insert(true);
        service.clone().oneshot(quick).await.unwrap();
        sleep(10 * MS).await;
    }
    let before = layer.handle().stats().adaptive_limit.unwrap();
    for _ in 0..20 {
        let requests: JoinSet<_> = (0..20)
            .map(|client| service.clone().oneshot(request(client)))
            .map(|request| timeout(60 * MS, request))
            .collect();
        requests.join_all().await;
    }
    let after = layer.handle().stats().adaptive_limit.unwrap();
    assert!(after < before / 2, "{before}, {after}");
    assert_eq!(layer.handle().stats().in_flight, 0);
}

async fn refused<S>(service: &mut S) -> (StatusCode, Scope, String)
where
    S: Service<
            Request<()>,
            Response = Response<ratelimit_layer::ResponseBody<Full<Bytes>>>,
            Error = Infallible,
        >,
{
    let response = send(service, request(9)).await;
    let why = response
        .extensions()
        .get::<ConcurrencyLimited>()
        .unwrap()
        .scope();
    (response.status(), why, text(response).await)
}

#[tokio::test(start_paused = true)]
async fn what_goes_beyond_is_told_of_reduced_capacity() {
    let layer = ConcurrencyLimitLayer::new(2).adaptive(Adaptive::gradient2().start_at(3));
    let mut service = layer.layer(service_fn(|_| async { Ok::<_, Infallible>(hello()) }));
    let mut held = Vec::new();
    for client in [1, 1, 2] {
        held.push(send(&mut service, request(client)).await);
    }
    let (status, scope, body) = refused(&mut service).await;
    assert_eq!(
        (status, scope),
        (StatusCode::SERVICE_UNAVAILABLE, Scope::Total)
    );
    assert!(body.contains("#temporary-reduced-capacity"), "{body}");
    // Each client has its own limit as well.
    held.pop();
    let response = send(&mut service, request(1)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn what_goes_beyond_waits_if_it_may() {
    let layer = ConcurrencyLimitLayer::new(9)
        .adaptive(Adaptive::gradient2().start_at(1))
        .wait(5, 1_000 * MS);
    let mut service = layer.layer(service_fn(|_| steady(hello())));
    let requests: Vec<_> = (0..4).map(|_| service.call(request(1))).collect();
    let began = Instant::now();
    for request in requests {
        assert_eq!(request.await.unwrap().status(), StatusCode::OK);
    }
    // One after the other: the limit is 1, and the time in line is not part of a round trip.
    assert!(began.elapsed() >= 40 * MS);
}

fn totals(handle: &ConcurrencyHandle) -> (u64, u64) {
    let stats = handle.stats();
    (stats.max_total.unwrap(), stats.adaptive_limit.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_number_overrules_it() {
    let layer = limit(Adaptive::aimd()).max_total(5);
    assert_eq!(totals(&layer.handle()), (5, 20));
    layer.handle().set_max_total(30);
    assert_eq!(totals(&layer.handle()), (20, 20));
    use_up(layer.clone(), 2_000 * MS, |_| steady(hello())).await;
    let (total, limit) = totals(&layer.handle());
    assert!(total == 30 && limit > 30, "{total}, {limit}");
}

/// Nothing is left of requests that were never polled, were dropped or panicked.
#[tokio::test(start_paused = true)]
async fn however_a_request_ends_its_permit_comes_back() {
    let layer = limit(Adaptive::gradient2());
    let mut service = layer.layer(service_fn(|request: Request<()>| async move {
        assert!(request.extensions().get::<bool>().is_none(), "as asked");
        steady(hello()).await
    }));
    drop(service.call(request(1)));
    assert!(timeout(MS, service.call(request(1))).await.is_err());
    let mut panics = request(1);
    panics.extensions_mut().insert(true);
    assert!(tokio::spawn(service.call(panics)).await.is_err());
    assert_eq!(layer.handle().stats().in_flight, 0);
}
