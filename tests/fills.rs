//! One upstream request per cold key, and what its readers see of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Body as AxumBody,
    extract::Request,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use cache_layer::{CacheHandle, CacheLayer};
use end_to_end::{
    body::{self, Feed},
    client::{Client, get_with, request},
    serve::Server,
    wait::{soon, until},
};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tower::util::MapRequestLayer;

/// A request that has reached the service, to be answered by the test.
struct Arrived {
    fields: HeaderMap,
    answer: oneshot::Sender<Response>,
}

impl Arrived {
    fn answer(self, response: Response) {
        // A client that is gone may have taken the service's future along.
        let _ = self.answer.send(response);
    }

    /// Answers with a head now and a body that is fed by the test.
    fn stream(self, cache_control: &str) -> Feed {
        let (feed, body) = body::fed();
        self.answer(([("cache-control", cache_control)], AxumBody::new(body)).into_response());
        feed
    }
}

/// A cached service that the test answers by hand.
struct ByHand {
    server: Server,
    arrivals: mpsc::UnboundedReceiver<Arrived>,
    handle: CacheHandle,
    /// Requests that have come to the cache.
    entered: Arc<AtomicUsize>,
}

async fn by_hand(layer: CacheLayer) -> ByHand {
    let (tell, arrivals) = mpsc::unbounded_channel();
    let handle = layer.handle();
    let service = move |request: Request| {
        let (answer, answered) = oneshot::channel();
        tell.send(Arrived {
            fields: request.headers().clone(),
            answer,
        })
        .expect("the test listens");
        async move {
            answered
                .await
                .unwrap_or_else(|_| StatusCode::IM_A_TEAPOT.into_response())
        }
    };
    let entered = Arc::new(AtomicUsize::new(0));
    let counter = entered.clone();
    let count = MapRequestLayer::new(move |request: Request| {
        counter.fetch_add(1, Ordering::SeqCst);
        request
    });
    let router = Router::new().fallback(service).layer(layer).layer(count);
    ByHand {
        server: Server::axum(router).await,
        arrivals,
        handle,
        entered,
    }
}

impl ByHand {
    /// The next request that reaches the service.
    async fn arrival(&mut self) -> Arrived {
        soon("a request arrives", self.arrivals.recv())
            .await
            .expect("it serves")
    }

    /// Waits until `clients` requests have come to the cache.
    async fn all_entered(&self, clients: usize) {
        until("every client comes", async || {
            self.entered.load(Ordering::SeqCst) >= clients
        })
        .await;
    }

    fn nothing_more_arrived(&mut self) {
        assert!(
            self.arrivals.try_recv().is_err(),
            "one more request reached the service"
        );
    }

    /// Starts a GET of its own connection.
    fn get(&self, path: &str) -> tokio::task::JoinHandle<http::Response<Incoming>> {
        let url = self.server.url(path);
        tokio::spawn(async move {
            Client::http1()
                .send(request(Method::GET, &url))
                .await
                .expect("a head")
        })
    }
}

async fn frame(response: &mut http::Response<Incoming>) -> Bytes {
    let frame = soon("a frame comes", response.frame()).await;
    frame
        .expect("more of the body")
        .expect("an unbroken body")
        .into_data()
        .expect("data")
}

#[tokio::test]
async fn the_first_byte_arrives_before_the_service_has_finished() {
    let mut service = by_hand(CacheLayer::new(8 << 20)).await;
    let first = service.get("/");
    let mut feed = service.arrival().await.stream("max-age=60");
    feed.send_data(Bytes::from_static(b"one "))
        .await
        .expect("read");
    let mut first = first.await.expect("a response");
    assert_eq!(frame(&mut first).await, "one ");

    // Who comes mid-way reads what is there and then follows.
    let mut second = service.get("/").await.expect("a response");
    assert_eq!(frame(&mut second).await, "one ");
    feed.send_data(Bytes::from_static(b"two"))
        .await
        .expect("read");
    assert_eq!(
        (frame(&mut first).await, frame(&mut second).await),
        ("two".into(), "two".into())
    );
    drop(feed);
    assert!(first.frame().await.is_none() && second.frame().await.is_none());

    let hit = Client::http1().get(&service.server.url("/")).await;
    assert_eq!(hit.text(), "one two");
    assert!(hit.field("age").is_some());
    service.nothing_more_arrived();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_clients_on_one_cold_slow_key_are_one_request() {
    let mut service = by_hand(CacheLayer::new(8 << 20)).await;
    let mut clients = JoinSet::new();
    for _ in 0..500 {
        let url = service.server.url("/cold");
        clients.spawn(async move { Client::http1().get(&url).await });
    }
    let arrived = service.arrival().await;
    // Slow means: not before every other client waits for this answer.
    service.all_entered(500).await;
    arrived.answer(([("cache-control", "max-age=60")], "shared").into_response());
    for answer in clients.join_all().await {
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "shared"));
    }
    service.nothing_more_arrived();
}

#[tokio::test]
async fn a_fill_outlives_the_client_that_began_it() {
    let mut service = by_hand(CacheLayer::new(8 << 20)).await;
    let first = service.get("/");
    let arrived = service.arrival().await;
    let second = service.get("/");
    first.abort();
    assert!(first.await.is_err(), "the first client has left");

    let mut feed = arrived.stream("max-age=60");
    feed.send_data(Bytes::from_static(b"all of "))
        .await
        .expect("the fill reads");
    let mut second = second.await.expect("a response");
    assert_eq!(frame(&mut second).await, "all of ");
    drop(second);
    // Now nobody reads, and the fill goes on all the same.
    feed.send_data(Bytes::from_static(b"it"))
        .await
        .expect("the fill reads");
    drop(feed);
    let third = Client::http1().get(&service.server.url("/")).await;
    assert_eq!(third.text(), "all of it");
    service.nothing_more_arrived();
}

#[tokio::test]
async fn followers_of_an_answer_that_turns_out_private_each_get_their_own() {
    let mut service = by_hand(CacheLayer::new(8 << 20)).await;
    let url = service.server.url("/me");
    let ask = |who: &'static str| {
        let url = url.clone();
        tokio::spawn(async move {
            Client::http1()
                .fetch(get_with(&url, "cookie", who))
                .await
                .expect("an answer")
        })
    };
    let first = ask("alice");
    let arrived = service.arrival().await;
    let followers = [ask("bob"), ask("carol"), ask("dave")];
    service.all_entered(4).await;
    let answer = |arrived: Arrived| {
        let who = arrived.fields["cookie"].to_str().expect("text").to_owned();
        arrived.answer(([("cache-control", "private")], who).into_response());
    };
    answer(arrived);
    for _ in 0..3 {
        let own = service.arrival().await;
        answer(own);
    }
    assert_eq!(first.await.expect("a client").text(), "alice");
    for (follower, who) in followers.into_iter().zip(["bob", "carol", "dave"]) {
        assert_eq!(follower.await.expect("a client").text(), who);
    }
    assert_eq!(service.handle.stats().entries, 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_for_every_reader_and_is_not_stored() {
    let mut service = by_hand(CacheLayer::new(8 << 20)).await;
    let first = service.get("/");
    let mut feed = service.arrival().await.stream("max-age=60");
    feed.send_data(Bytes::from_static(b"half"))
        .await
        .expect("read");
    let (mut first, mut second) = (
        first.await.expect("a response"),
        service.get("/").await.expect("a response"),
    );
    assert_eq!(
        (frame(&mut first).await, frame(&mut second).await),
        ("half".into(), "half".into())
    );
    feed.abort(std::io::Error::other("the disk is gone"));
    assert!(first.frame().await.expect("an end").is_err());
    assert!(second.frame().await.expect("an end").is_err());

    let after = service.get("/");
    service
        .arrival()
        .await
        .answer(([("cache-control", "max-age=60")], "whole").into_response());
    assert_eq!(
        after
            .await
            .expect("a response")
            .collect()
            .await
            .expect("whole")
            .to_bytes(),
        "whole"
    );
    assert_eq!(service.handle.stats().entries, 1);
}

#[tokio::test]
async fn a_body_over_the_entry_limit_streams_through_and_is_not_stored() {
    let mut service = by_hand(CacheLayer::new(8 << 20).max_entry_bytes(1000)).await;
    for _ in 0..2 {
        let client = service.get("/large");
        let mut feed = service.arrival().await.stream("max-age=60");
        let mut client = client;
        let mut read = Vec::new();
        let mut response = None;
        for part in 0..10_u8 {
            feed.send_data(vec![part; 300].into()).await.expect("read");
            if response.is_none() {
                response = Some((&mut client).await.expect("a response"));
            }
            // Each part arrives before the next is there: nothing is held back.
            while read.len() < (usize::from(part) + 1) * 300 {
                read.extend_from_slice(&frame(response.as_mut().expect("a response")).await);
            }
        }
        drop(feed);
        assert!(response.expect("a response").frame().await.is_none());
        let expected: Vec<u8> = (0..10).flat_map(|part| [part; 300]).collect();
        assert_eq!(read, expected);
    }
    assert_eq!(service.handle.stats().entries, 0);
}

#[tokio::test]
async fn a_fill_that_began_before_a_purge_is_not_kept() {
    let mut service = by_hand(CacheLayer::new(8 << 20)).await;
    let old = service.get("/");
    let arrived = service.arrival().await;
    service.handle.clear();
    arrived.answer(([("cache-control", "max-age=60")], "old").into_response());
    assert_eq!(
        old.await
            .expect("a response")
            .collect()
            .await
            .expect("whole")
            .to_bytes(),
        "old"
    );

    let new = service.get("/");
    service
        .arrival()
        .await
        .answer(([("cache-control", "max-age=60")], "new").into_response());
    assert_eq!(
        new.await
            .expect("a response")
            .collect()
            .await
            .expect("whole")
            .to_bytes(),
        "new"
    );
}
