//! What clients of a limited service see: how much they get, what they are told, when a place is free.

use std::time::Duration;

use axum::{Router, body::Body as AxumBody, routing::get};
use bytes::Bytes;
use end_to_end::{
    body,
    client::{Answer, Client, request},
    echo::{EchoClient, echo, words},
    serve::Server,
    wait::until,
};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use ratelimit_layer::{ConcurrencyHandle, ConcurrencyLimitLayer, Quota, RateLimitLayer};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic_types::StatusExt as _;

/// Asks again and again for `how_long`, from one address over four connections; answers how many
/// requests were admitted and over how many seconds.
async fn hammer(url: String, from: [u8; 4], how_long: Duration) -> (u32, f64) {
    let client = Client::http1_from(from);
    let started = Instant::now();
    let mut askers = JoinSet::new();
    for _ in 0..4 {
        let (client, url) = (client.clone(), url.clone());
        askers.spawn(async move {
            let mut admitted = 0;
            while started.elapsed() < how_long {
                let status = client.get(&url).await.status;
                assert!(
                    matches!(status, StatusCode::OK | StatusCode::TOO_MANY_REQUESTS),
                    "{status}"
                );
                admitted += u32::from(status == StatusCode::OK);
                // Often enough that no unit waits long for its asker.
                sleep(Duration::from_millis(2)).await;
            }
            admitted
        });
    }
    let admitted = askers.join_all().await.into_iter().sum();
    (admitted, started.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_two_addresses_gets_its_quota_exactly() {
    let (rate, burst) = (50, 20);
    let layer = RateLimitLayer::new(Quota::per_second(rate).burst(burst));
    let server = Server::axum(Router::new().route("/", get(|| async {})).layer(layer)).await;
    let five_seconds = Duration::from_secs(5);
    let (one, two) = tokio::join!(
        hammer(server.url("/"), [127, 0, 0, 1], five_seconds),
        hammer(server.url("/"), [127, 0, 0, 2], five_seconds),
    );
    for (admitted, seconds) in [one, two] {
        let exact = f64::from(burst) + f64::from(rate) * seconds;
        let off = (f64::from(admitted) - exact).abs() / exact;
        println!(
            "{admitted} admitted in {seconds:.3} s, exact {exact:.1}, off by {:.2} %",
            off * 100.0
        );
        assert!(off <= 0.01, "{admitted} of {exact:.1}");
    }
}

#[tokio::test]
async fn the_fields_count_down_and_tell_when_to_come_back() {
    let layer = RateLimitLayer::new(Quota::per_minute(6).burst(3));
    let server = Server::axum(Router::new().route("/", get(|| async {})).layer(layer)).await;
    let client = Client::http1();
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(client.get(&server.url("/")).await);
    }
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    let parameter = |answer: &Answer, field: &str, name: &str| -> u64 {
        let text = answer
            .field(field)
            .unwrap_or_else(|| panic!("no {field} in {answer:?}"))
            .to_owned();
        let value = text
            .split(';')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        value
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .expect("a number")
    };
    for (answer, left) in answers.iter().zip([2, 1, 0, 0]) {
        assert_eq!(parameter(answer, "ratelimit", "r"), left, "{answer:?}");
        assert_eq!(
            answer.field("ratelimit-policy"),
            answers[0].field("ratelimit-policy")
        );
        assert!(
            answer
                .field("ratelimit")
                .is_some_and(|field| field.starts_with('"')),
            "{answer:?}"
        );
    }
    let refused = &answers[3];
    let retry_after: u64 = refused
        .field("retry-after")
        .expect("a wait")
        .parse()
        .expect("seconds");
    assert!((9..=10).contains(&retry_after), "{retry_after}");
    assert!(
        parameter(refused, "ratelimit", "t") <= retry_after,
        "{refused:?}"
    );
    assert!(answers[0].field("retry-after").is_none());
}

#[tokio::test]
async fn a_tonic_client_over_its_quota_sees_resource_exhausted() {
    let layer = RateLimitLayer::new(Quota::per_hour(1).burst(2));
    let (echo, _open) = echo();
    let server = Server::tonic(|incoming| {
        let mut server = tonic::transport::Server::builder().layer(layer);
        server.add_service(echo).serve_with_incoming(incoming)
    });
    let server = server.await;
    let mut client = EchoClient::connect(server.url(""))
        .await
        .expect("a connection");
    for _ in 0..2 {
        client.say(words("hello")).await.expect("within the quota");
    }
    let refused = client
        .say(words("hello"))
        .await
        .expect_err("over the quota");
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    let millis = refused.metadata().get("grpc-retry-pushback-ms");
    let millis: u32 = millis
        .expect("there")
        .to_str()
        .expect("text")
        .parse()
        .expect("digits");
    let details = refused.get_error_details();
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    let delay = delay.expect("a delay");
    // A unit comes back each hour.
    assert!((3_590..=3_600).contains(&delay.as_secs()), "{delay:?}");
    assert_eq!(u128::from(millis), delay.as_nanos().div_ceil(1_000_000));
    let failure = details.quota_failure().expect("a failure");
    let [violation] = &failure.violations[..] else {
        panic!("{failure:?}");
    };
    assert_eq!(violation.subject, "policy:default");
    assert!(
        violation.description.contains("the quota is 1/h burst 2"),
        "{violation:?}"
    );
}

/// Waits until no request is in flight: a server learns late that a client has gone.
async fn all_free(handle: &ConcurrencyHandle) {
    until("no request is in flight", async || {
        handle.stats().in_flight == 0
    })
    .await;
}

#[tokio::test]
async fn a_grpc_stream_holds_its_place_until_it_ends() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let (echo, open) = echo();
    let server = Server::tonic(|incoming| {
        let mut server = tonic::transport::Server::builder().layer(layer);
        server.add_service(echo).serve_with_incoming(incoming)
    });
    let server = server.await;
    let mut client = EchoClient::connect(server.url(""))
        .await
        .expect("a connection");

    let mut left = client
        .hold(words("first"))
        .await
        .expect("admitted")
        .into_inner();
    assert_eq!(
        left.message().await.expect("a message").expect("one").text,
        "first"
    );
    let refused = client
        .say(words("second"))
        .await
        .expect_err("the place is taken");
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    drop(left);
    all_free(&handle).await;

    let mut ended = client
        .hold(words("third"))
        .await
        .expect("admitted again")
        .into_inner();
    assert_eq!(
        ended.message().await.expect("a message").expect("one").text,
        "third"
    );
    drop(open);
    assert!(ended.message().await.expect("a good end").is_none());
    all_free(&handle).await;
    client
        .say(words("fourth"))
        .await
        .expect("admitted once more");
}

#[tokio::test]
async fn an_http_body_holds_its_place_until_it_ends_or_its_client_leaves() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let (feeds, mut fed) = mpsc::unbounded_channel();
    let answer = move || {
        let (feed, body) = body::fed();
        feeds.send(feed).expect("the test takes it");
        async { AxumBody::new(body) }
    };
    let server = Server::axum(Router::new().route("/", get(answer)).layer(layer)).await;
    for client in [Client::http1(), Client::http2()] {
        let ask = || client.send(request(Method::GET, &server.url("/")));
        for leaves in [false, true] {
            let mut first = ask().await.expect("a head");
            assert_eq!(first.status(), StatusCode::OK);
            let mut feed = fed.recv().await.expect("a feed");
            feed.send_data(Bytes::from_static(b"part"))
                .await
                .expect("read");
            assert_eq!(
                first
                    .frame()
                    .await
                    .expect("more")
                    .expect("whole")
                    .into_data()
                    .expect("data"),
                "part"
            );
            assert_eq!(
                ask().await.expect("a head").status(),
                StatusCode::TOO_MANY_REQUESTS
            );
            if leaves {
                drop(first);
                // What is written to nobody tells the server that nobody is there.
                while feed.send_data(Bytes::from_static(b"more")).await.is_ok() {}
            } else {
                drop(feed);
                assert!(
                    first
                        .collect()
                        .await
                        .expect("a good end")
                        .to_bytes()
                        .is_empty()
                );
            }
            all_free(&handle).await;
        }
    }
}
