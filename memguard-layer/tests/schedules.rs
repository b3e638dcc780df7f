//! Ten thousand random schedules of admitting, growing, dropping and cancelling leave nothing reserved.

mod support;

use std::{convert::Infallible, task::Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Empty};
use memguard_layer::RequestBody;
use support::{Feed, Upload, guard, poll_once, random::Random, upload};
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

fn schedule(seed: u64) {
    let mut random = Random::new(seed);
    let (layer, heap) = guard(BUDGET);
    let handle = layer.handle();
    let mut service = layer
        .body_factor(1 + random.below(3) as u32)
        .layer(service_fn(handler));
    let (mut responses, mut bodies, mut feeds, mut frames, mut jobs) =
        (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..random.below(60) {
        match random.below(12) {
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
                            bodies.push(Box::pin(response.unwrap().into_body()))
                        }
                        Poll::Pending if random.below(4) == 0 => {}
                        Poll::Pending => responses.push(response),
                    }
                }
            }
            9 => {
                if let Some(mut body) = random.take(&mut bodies)
                    && let Poll::Ready(Some(Ok(frame))) = poll_once(std::pin::pin!(body.frame()))
                {
                    frames.extend(
                        frame
                            .into_data()
                            .ok()
                            .map(|data: Bytes| data.slice(..data.len() / 2)),
                    );
                    bodies.push(body);
                }
            }
            10 => drop(random.take(&mut frames)),
            _ => {
                heap.set(random.below(BUDGET * 11 / 10));
                jobs.extend(handle.reserve(random.below(BUDGET)));
                jobs.truncate(2);
            }
        }
        assert!(handle.reserved() <= BUDGET, "seed {seed}");
    }
    // What is left goes in any order.
    for turn in 0..5 {
        match (turn + seed) % 5 {
            0 => responses.clear(),
            1 => bodies.clear(),
            2 => feeds.clear(),
            3 => frames.clear(),
            _ => jobs.clear(),
        }
    }
    assert_eq!(handle.reserved(), 0, "seed {seed}");
}

#[test]
fn ten_thousand_schedules_leave_nothing_reserved() {
    (0..10_000).for_each(schedule);
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
                        Some(body) => drop(poll_once(std::pin::pin!(body.frame()))),
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
