//! A body that nobody reads lends its place, and takes its turn to go on.

use super::{Body, in_flight, poll_once, streaming};
use crate::support::request;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::channel::Sender;
use ratelimit_layer::{ConcurrencyHandle, ConcurrencyLimitLayer, ResponseBody};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{advance, sleep};
use tower::{Layer, Service, service_fn};

const IDLE: Duration = Duration::from_secs(10);

type Asked = (Sender<Bytes, &'static str>, Response<ResponseBody<Body>>);

/// A layer with one place and an idle limit, a client's way in, and its handle.
fn one_place() -> (ConcurrencyHandle, impl AsyncFnMut(u8) -> Asked) {
    let layer = ConcurrencyLimitLayer::new(1).max_total(1).max_idle(IDLE);
    let handle = layer.handle();
    let sender = Arc::new(Mutex::new(None));
    let last = Arc::clone(&sender);
    let mut service = layer.layer(service_fn(move |_: Request<()>| {
        let (new, response) = streaming();
        *last.lock().unwrap() = Some(new);
        async { Ok::<_, Infallible>(response) }
    }));
    let ask = async move |client| {
        let Ok(response) = service.call(request(client)).await;
        let sender = sender.lock().unwrap().take();
        // A refused request has no sender; nothing more will be sent to it.
        (sender.unwrap_or_else(|| streaming().0), response)
    };
    (handle, ask)
}

#[tokio::test(start_paused = true)]
async fn who_never_reads_holds_a_place_for_so_long() {
    let (handle, mut ask) = one_place();
    let (_sender, never_read) = ask(1).await;
    advance(IDLE - Duration::from_millis(2)).await;
    assert_eq!(in_flight(&handle), (1, 1));
    assert_eq!(ask(2).await.1.status(), StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_millis(5)).await;
    assert_eq!((in_flight(&handle), handle.stats().lent), ((0, 0), 1));
    let (_sender, other) = ask(2).await;
    assert_eq!(other.status(), StatusCode::OK);
    // What is dropped without its place gives nothing back a second time.
    drop(never_read);
    assert_eq!(in_flight(&handle), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_reads_again_takes_its_turn_and_misses_nothing() {
    let (handle, mut ask) = one_place();
    let (mut sender, mut late) = ask(1).await;
    sender.send_data(Bytes::from("one")).await.unwrap();
    sender.send_data(Bytes::from("two")).await.unwrap();
    let frame = late.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "one");
    sleep(2 * IDLE).await;
    assert_eq!(in_flight(&handle), (0, 0));
    let (other_sender, other) = ask(2).await;
    {
        let mut next = pin!(late.body_mut().frame());
        assert!(poll_once(next.as_mut()).is_pending());
        assert_eq!((handle.stats().in_flight, handle.stats().waiting), (1, 1));
        drop((other_sender, other));
        assert_eq!(next.await.unwrap().unwrap().into_data().unwrap(), "two");
    }
    assert_eq!((handle.stats().in_flight, handle.stats().waiting), (1, 0));
    drop(sender);
    assert!(late.body_mut().frame().await.is_none());
    assert_eq!(in_flight(&handle), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_is_dropped_in_line_leaves_it() {
    let (handle, mut ask) = one_place();
    let (_sender, mut late) = ask(1).await;
    sleep(2 * IDLE).await;
    let (_other_sender, other) = ask(2).await;
    assert!(poll_once(pin!(late.body_mut().frame())).is_pending());
    assert_eq!(handle.stats().waiting, 1);
    drop(late);
    assert_eq!((in_flight(&handle), handle.stats().waiting), ((1, 1), 0));
    drop(other);
    assert_eq!(in_flight(&handle), (0, 0));
}

/// The reader waits for the service, not the service for the reader.
#[tokio::test(start_paused = true)]
async fn a_slow_service_is_not_an_idle_client() {
    let (handle, mut ask) = one_place();
    let (mut sender, mut response) = ask(1).await;
    let mut frame = pin!(response.body_mut().frame());
    assert!(poll_once(frame.as_mut()).is_pending());
    sleep(100 * IDLE).await;
    assert_eq!(in_flight(&handle), (1, 1));
    sender.send_data(Bytes::from("at last")).await.unwrap();
    frame.await.unwrap().unwrap();
    // Slow, but not too slow: each piece begins the time anew.
    for _ in 0..10 {
        sleep(IDLE - Duration::from_secs(1)).await;
        sender.send_data(Bytes::from("more")).await.unwrap();
        response.body_mut().frame().await.unwrap().unwrap();
    }
    assert_eq!((in_flight(&handle), handle.stats().lent), ((1, 1), 0));
}
