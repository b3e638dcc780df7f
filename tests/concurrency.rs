//! Places at real clients: slow readers keep theirs, others wait in line, who never reads lends it.

use std::time::Duration;

use axum::{Router, body::Body as AxumBody, routing::get};
use bytes::Bytes;
use end_to_end::{
    body::{self, Feed},
    client::{Client, request},
    echo::{EchoClient, echo, words},
    serve::Server,
    wait::{soon, until},
};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use ratelimit_layer::{ConcurrencyHandle, ConcurrencyLimitLayer};
use tokio::sync::mpsc;

/// More than the windows and buffers between server and client take.
const PIECES: usize = 512;
const PIECE: usize = 64 << 10;

/// A service whose answers are 32 MiB in pieces.
fn large() -> Router {
    Router::new().route(
        "/",
        get(|| async {
            let (mut feed, body) = body::fed();
            tokio::spawn(async move {
                let piece = Bytes::from(vec![b'x'; PIECE]);
                for _ in 0..PIECES {
                    if feed.send_data(piece.clone()).await.is_err() {
                        break;
                    }
                }
            });
            AxumBody::new(body)
        }),
    )
}

async fn in_flight(handle: &ConcurrencyHandle, expected: u64) {
    until("requests in flight", async || {
        handle.stats().in_flight == expected
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_holds_its_place_until_it_ends() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let server = Server::axum(large().layer(layer)).await;
    for client in [Client::http2(), Client::http1()] {
        let ask = || client.send(request(Method::GET, &server.url("/")));
        let mut slow = ask().await.expect("a head").into_body();
        let mut read = 0;
        // At half of it, nothing has come free.
        while read < PIECES * PIECE / 2 {
            let frame = soon("a piece", slow.frame()).await.expect("more");
            read += frame.expect("whole").into_data().expect("data").len();
        }
        assert_eq!(handle.stats().in_flight, 1);
        let refused = ask().await.expect("a head");
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        drop(refused);
        let rest = soon("the rest", slow.collect()).await.expect("a good end");
        assert_eq!(read + rest.to_bytes().len(), PIECES * PIECE);
        in_flight(&handle, 0).await;
    }
}

#[tokio::test]
async fn who_never_reads_lends_its_place_and_misses_nothing() {
    let layer = ConcurrencyLimitLayer::new(1).max_idle(Duration::from_millis(100));
    let handle = layer.handle();
    let server = Server::axum(large().layer(layer)).await;
    for client in [Client::http2(), Client::http1()] {
        let ask = async |client: &Client| {
            let asked = client.send(request(Method::GET, &server.url("/")));
            asked.await.expect("a head").into_body()
        };
        let before = handle.stats().lent;
        let unread = ask(&client).await;
        until("the place is lent", async || handle.stats().lent > before).await;
        assert_eq!(handle.stats().in_flight, 0);
        // Another has it, and leaves.
        drop(ask(&Client::http1()).await);
        let whole = soon("all of it", unread.collect())
            .await
            .expect("a good end");
        assert_eq!(whole.to_bytes().len(), PIECES * PIECE);
        in_flight(&handle, 0).await;
    }
}

/// A service whose answers the test feeds.
fn by_hand() -> (Router, mpsc::UnboundedReceiver<Feed>) {
    let (feeds, fed) = mpsc::unbounded_channel();
    let answer = move || {
        let (feed, body) = body::fed();
        feeds.send(feed).expect("the test takes it");
        async { AxumBody::new(body) }
    };
    (Router::new().route("/", get(answer)), fed)
}

#[tokio::test]
async fn requests_wait_in_line() {
    let layer = ConcurrencyLimitLayer::new(1).wait(2, Duration::from_secs(60));
    let handle = layer.handle();
    let (router, mut fed) = by_hand();
    let server = Server::axum(router.layer(layer)).await;
    for client in [Client::http1(), Client::http2()] {
        let ask = || {
            let (client, url) = (client.clone(), server.url("/"));
            tokio::spawn(async move { client.send(request(Method::GET, &url)).await })
        };
        let line = async |expected| {
            until("requests in line", async || {
                handle.stats().waiting == expected
            })
            .await;
        };
        let first = ask().await.expect("no panic").expect("a head");
        let first_feed = fed.recv().await.expect("a feed");
        let second = ask();
        line(1).await;
        let third = ask();
        line(2).await;
        let refused = ask().await.expect("no panic").expect("a head");
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        // The second client leaves: its request leaves the line.
        second.abort();
        line(1).await;
        assert!(!third.is_finished() && fed.is_empty());
        drop((first, first_feed));
        let third = soon("its turn", third).await;
        let third = third.expect("no panic").expect("a head");
        assert_eq!(third.status(), StatusCode::OK);
        drop(fed.recv().await.expect("a feed"));
        assert!(
            third
                .collect()
                .await
                .expect("a good end")
                .to_bytes()
                .is_empty()
        );
        in_flight(&handle, 0).await;
        assert_eq!((handle.stats().waiting, handle.stats().clients), (0, 0));
    }
}

#[tokio::test]
async fn a_call_waits_for_a_stream_to_end() {
    let layer = ConcurrencyLimitLayer::new(1).wait(1, Duration::from_secs(60));
    let handle = layer.handle();
    let (echo, open) = echo();
    let server = Server::tonic(|incoming| {
        let mut server = tonic::transport::Server::builder().layer(layer);
        server.add_service(echo).serve_with_incoming(incoming)
    });
    let server = server.await;
    let client = EchoClient::connect(server.url("")).await;
    let mut client = client.expect("a connection");
    let held = client.hold(words("first")).await.expect("admitted");
    let mut waits = {
        let mut client = client.clone();
        tokio::spawn(async move { client.say(words("second")).await })
    };
    until("the call waits", async || handle.stats().waiting == 1).await;
    let full = client.say(words("third")).await.expect_err("a full line");
    assert_eq!(full.code(), tonic::Code::ResourceExhausted);
    drop((held, open));
    let said = soon("its turn", &mut waits).await.expect("no panic");
    assert_eq!(said.expect("admitted").into_inner().text, "second");
    in_flight(&handle, 0).await;
}
