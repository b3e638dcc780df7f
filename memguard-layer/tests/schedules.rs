//! Ten thousand random schedules of admitting, growing, waiting, dropping and cancelling leave nothing reserved and nobody
//! waiting.

mod support;

use std::{convert::Infallible, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Empty};
use memguard_layer::{MemGuardLayer, Policy, RequestBody};
use support::{Feed, Knob, Upload, guard, poll_once, random::Random, upload};
use tokio::time::advance;
use tower::{Layer, Service, service_fn};

const KIB: u64 = 1024;
const BUDGET: u64 = 1024 * KIB;

/// Streams the body back, drops it, reads one frame, or collects it and swallows its error: by the request's path.
async fn handler(
    request: Request<RequestBody<Upload>>,
) -> Result<Response<Either<RequestBody<Upload>, Empty<Bytes>>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    match path.as_str() {
        "/stream" => return Ok(Response::new(Either::Left(body))),
        "/drop" => drop(body),
        "/first" => drop(body.frame().await),
        _ => {
            let collected = body.collect().await.map(|body| body.to_bytes());
            tokio::task::yield_now().await;
            drop(collected);
        }
    }
    Ok(Response::new(Either::Right(Empty::new())))
}

/// Refuses at once, asks a cache, or lets wait.
fn policy(layer: MemGuardLayer, heap: &Knob, random: &mut Random) -> MemGuardLayer {
    let cache = heap.clone();
    match random.below(4) {
        0 => layer.policy(Policy::Reject),
        1 => layer.reclaim_with(move |bytes| cache.free(bytes, 0)),
        _ => layer.policy(Policy::Delay {
            wait: Duration::from_millis(1 + random.below(100)),
            max_waiting: 1 + random.below(4) as usize,
        }),
    }
}

/// What a schedule saw, to be sure that it was worth its time.
#[derive(Default)]
struct Seen {
    admitted: usize,
    refused: usize,
    ended: u64,
    waited: usize,
    bodies_waited: usize,
}

async fn schedule(seed: u64, seen: &mut Seen) {
    let mut random = Random::new(seed);
    let (layer, heap) = guard(BUDGET);
    let handler_bytes = random.below(2) * random.below(100 * KIB);
    let layer = policy(layer, &heap, &mut random)
        .body_factor(random.below(4) as u32)
        .handler_bytes(move |_| handler_bytes);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(handler));
    let (mut responses, mut bodies, mut feeds, mut frames, mut jobs, mut waits) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..random.below(60) {
        match random.below(14) {
            0..=2 => {
                let length = [None, Some(random.below(300 * KIB)), Some(random.below(4))]
                    [random.below(3) as usize];
                let (feed, body) = upload(length);
                let path = ["/stream", "/drop", "/first", "/collect"][random.below(4) as usize];
                let request = Request::post(path).body(body).unwrap();
                responses.push(Box::pin(service.call(request)));
                feeds.push(feed);
            }
            3..=5 => feeds
                .iter()
                .for_each(|feed: &Feed| feed.data(random.below(80 * KIB) as usize)),
            6 => drop(random.take(&mut feeds).inspect(|feed| {
                if seed & 1 == 0 {
                    feed.fail();
                }
            })),
            7 | 8 => {
                // Poll one; a response that is ready hands its body on, one that is not may be cancelled.
                if let Some(mut response) = random.take(&mut responses) {
                    match poll_once(response.as_mut()) {
                        Poll::Ready(response) => {
                            let response = response.unwrap();
                            match response.status().is_success() {
                                true => seen.admitted += 1,
                                false => seen.refused += 1,
                            }
                            bodies.push(Box::pin(response.into_body()));
                        }
                        Poll::Pending if random.below(4) == 0 => {}
                        Poll::Pending => responses.push(response),
                    }
                }
            }
            9 => {
                if let Some(mut body) = random.take(&mut bodies) {
                    match poll_once(pin!(body.frame())) {
                        Poll::Ready(Some(Ok(frame))) => {
                            let data: Option<Bytes> = frame.into_data().ok();
                            frames.extend(data.map(|data| data.slice(..data.len() / 2)));
                            bodies.push(body);
                        }
                        Poll::Ready(_) => {}
                        // One that waits, for its client or for room, goes on or is cancelled.
                        Poll::Pending if random.below(4) == 0 => {}
                        Poll::Pending => bodies.push(body),
                    }
                }
            }
            10 => drop(random.take(&mut frames)),
            11 => {
                heap.set(random.below(BUDGET * 11 / 10));
                jobs.extend(handle.reserve(random.below(BUDGET)));
                jobs.truncate(2);
            }
            12 => {
                let (handle, bytes) = (handle.clone(), random.below(BUDGET));
                let wait = Duration::from_millis(random.below(100));
                let mut job = Box::pin(async move { handle.reserve_within(bytes, wait).await });
                match poll_once(job.as_mut()) {
                    Poll::Ready(reserved) => jobs.extend(reserved.ok()),
                    Poll::Pending => waits.push(job),
                }
                jobs.truncate(2);
                waits.truncate(2);
            }
            _ => advance(Duration::from_millis(random.below(50))).await,
        }
        let stats = handle.stats();
        seen.waited += usize::from(stats.waiting > 0);
        seen.bodies_waited += usize::from(stats.waiting_bodies > 0);
        // A response body that is being made is promised its 64 KiB whether they fit or not.
        let being_made = bodies.len() as u64 * 64 * KIB;
        assert!(stats.reserved <= BUDGET + being_made, "seed {seed}");
    }
    // What is left goes in any order.
    for turn in 0..6 {
        match (turn + seed) % 6 {
            0 => responses.clear(),
            1 => bodies.clear(),
            2 => feeds.clear(),
            3 => frames.clear(),
            4 => waits.clear(),
            _ => jobs.clear(),
        }
    }
    let stats = handle.stats();
    assert_eq!(stats.reserved, 0, "seed {seed}");
    assert_eq!((stats.waiting, stats.waiting_bodies), (0, 0), "seed {seed}");
    seen.ended += stats.bodies_ended;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_schedules_leave_nothing_reserved_and_nobody_waiting() {
    let mut seen = Seen::default();
    for seed in 0..10_000 {
        schedule(seed, &mut seen).await;
    }
    let Seen {
        admitted,
        refused,
        ended,
        waited,
        bodies_waited,
    } = seen;
    println!("{admitted} admitted, {refused} refused, {ended} ended midway");
    println!("steps while some waited: {waited}; while half-read bodies did: {bodies_waited}");
    assert!(admitted > 5000 && refused > 5000 && ended > 100);
    assert!(waited > 10_000 && bodies_waited > 1000);
}

/// Where a schedule may stop, systematically: after each number of polls of one upload, for each kind of handler.
#[test]
fn dropping_at_every_await_point_leaves_nothing_reserved() {
    for path in ["/stream", "/drop", "/first", "/collect"] {
        for length in [None, Some(30 * KIB)] {
            for polls in 0..8 {
                let (layer, _heap) = guard(BUDGET);
                let handle = layer.handle();
                let (feed, body) = upload(length);
                let mut service = layer.layer(service_fn(handler));
                let mut response = Box::pin(service.call(Request::post(path).body(body).unwrap()));
                assert!(handle.reserved() > 0);
                let mut answered = None;
                for _ in 0..polls {
                    match &mut answered {
                        None => {
                            if let Poll::Ready(response) = poll_once(response.as_mut()) {
                                answered = Some(Box::pin(response.unwrap().into_body()));
                            }
                        }
                        Some(body) => drop(poll_once(pin!(body.frame()))),
                    }
                    feed.data(10 * 1024);
                }
                drop(response);
                drop(answered);
                assert_eq!(
                    handle.reserved(),
                    0,
                    "{path} {length:?} after {polls} polls"
                );
            }
        }
    }
}
