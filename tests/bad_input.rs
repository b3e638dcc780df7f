//! Clients and upstreams that misbehave, on raw connections to the gateway with every layer on: a
//! clear answer or an untouched pass-through, nothing stored, nothing leaked, the next one is served.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Bytes, http::Uri};
use end_to_end::{client::Client, process::Program, raw, serve::Server, wait::until};
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};

/// A gateway with every layer and the admin listener on, before `upstream`.
async fn gateway(upstream: &str, more: &[&str]) -> Program {
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--upstream",
        upstream,
        "--rate",
        "1000/s",
        "--concurrency",
        "8",
        "--heap-budget",
        "256MiB",
    ];
    Program::start("hyper-gateway", &[&flags, more].concat(), 2).await
}

async fn stats(gateway: &Program) -> serde_json::Value {
    let answer = Client::http1()
        .get(&format!("http://{}/stats", gateway.addrs[1]))
        .await;
    serde_json::from_slice(&answer.body).expect("stats are JSON")
}

/// The gateway serves the next client, and soon holds nothing for those before.
async fn is_sound(gateway: &Program, after: &str) {
    Client::http1().get(&gateway.url("/sound")).await;
    until(after, async || {
        let stats = stats(gateway).await;
        stats["memory"]["reserved"] == 0 && stats["concurrency"]["in_flight"] == 0
    })
    .await;
    assert!(
        !gateway.output().contains("panicked"),
        "after {after}: {}",
        gateway.output()
    );
}

/// A gateway before an upstream whose answers are all fresh for a minute.
struct Setup {
    gateway: Program,
    /// Requests that reached the upstream.
    seen: Arc<AtomicUsize>,
    _upstream: Server,
}

async fn setup() -> Setup {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let answer = move |uri: Uri, body: Bytes| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            (
                [("cache-control", "max-age=60")],
                format!("{} {}", uri.path().len(), body.len()),
            )
        }
    };
    let upstream = Server::axum(Router::new().fallback(answer)).await;
    Setup {
        gateway: gateway(&upstream.url(""), &[]).await,
        seen,
        _upstream: upstream,
    }
}

impl Setup {
    async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        raw::exchange(self.gateway.addrs[0], bytes).await
    }
}

#[tokio::test]
async fn requests_that_break_the_rules_get_a_client_error_and_reach_nobody() {
    let setup = setup().await;
    for (what, request) in [
        ("no request at all", "\r\n\r\n\0\0\0\r\n\r\n"),
        ("no version", "GET /x\r\n\r\n"),
        (
            "a space in the target",
            "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
        ),
        ("no Host", "GET /x HTTP/1.1\r\nconnection: close\r\n\r\n"),
        (
            "two Hosts",
            "GET /x HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
        ),
        (
            "a Host with a path",
            "GET /x HTTP/1.1\r\nhost: a/b\r\nconnection: close\r\n\r\n",
        ),
        (
            "a Host with a user",
            "GET /x HTTP/1.1\r\nhost: u@a\r\nconnection: close\r\n\r\n",
        ),
        (
            "a field name with a space",
            "GET /x HTTP/1.1\r\nhost: a\r\nbad name: 1\r\n\r\n",
        ),
        (
            "a negative length",
            "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        ),
        (
            "two lengths",
            "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        ),
        (
            "a huge length",
            "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        ),
        (
            "an unknown coding",
            "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: zip\r\n\r\n",
        ),
    ] {
        let answer = setup.send(request).await;
        let status = raw::status(&answer);
        // A server may also drop a connection on which nothing like HTTP was said.
        assert!(
            (400..500).contains(&status) || answer.is_empty(),
            "{what}: {answer}"
        );
        assert_eq!(
            setup.seen.load(Ordering::SeqCst),
            0,
            "{what} reached the upstream"
        );
    }
    is_sound(&setup.gateway, "broken requests").await;
}

#[tokio::test]
async fn odd_requests_are_answered_or_refused_and_never_shared() {
    let setup = setup().await;
    let long = format!(
        "GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "x".repeat(64 << 10)
    );
    let many = (0..1000).fold(
        String::from("GET /many HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"),
        |mut head, n| {
            let _ = write!(head, "x-{n}: {n}\r\n");
            head
        },
    ) + "\r\n";
    for (what, request) in [
        ("a target of 64 KiB", long.as_str()),
        ("a thousand fields", &many),
        (
            "a body with GET",
            "GET /fat HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nconnection: close\r\n\r\nfat",
        ),
        (
            "OPTIONS *",
            "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        ),
        (
            "CONNECT",
            "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\n\r\n",
        ),
        (
            "a method of its own",
            "BREW /pot HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        ),
    ] {
        for _ in 0..2 {
            let answer = setup.send(request).await;
            let status = raw::status(&answer);
            assert!((200..600).contains(&status), "{what}: {answer}");
            assert!(
                !answer.to_lowercase().contains("\r\nage:"),
                "{what} came from the cache: {answer}"
            );
        }
    }
    assert_eq!(stats(&setup.gateway).await["cache"]["entries"], 0);
    is_sound(&setup.gateway, "odd requests").await;
}

#[tokio::test]
async fn the_target_of_absolute_form_decides_and_not_the_host_field() {
    let setup = setup().await;
    let absolute = |authority: &str, host: &str| {
        format!("GET http://{authority}/page HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
    };
    setup.send(absolute("one.example", "one.example")).await;
    let other = setup.send(absolute("two.example", "one.example")).await;
    assert!(
        !other.to_lowercase().contains("\r\nage:"),
        "one host's page under another: {other}"
    );
    let same = setup
        .send("GET /page HTTP/1.1\r\nhost: two.example\r\nconnection: close\r\n\r\n")
        .await;
    let (first, second) = (raw::status(&other), raw::status(&same));
    // Either a conflict is refused, or the target's authority counted.
    assert!(
        first == 400 || same.to_lowercase().contains("\r\nage:"),
        "{first} {second}: {same}"
    );
    is_sound(&setup.gateway, "absolute targets").await;
}

#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let setup = setup().await;
    let request = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n\
                   0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = setup.send(request).await;
    // Chunks win and a second request follows, or the whole is refused: never four bytes of body.
    let bodies_of_four = answer.contains(" 4\r\n") || answer.ends_with(" 4");
    assert!(!bodies_of_four, "{answer}");
    is_sound(&setup.gateway, "a length beside chunks").await;
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_no_request() {
    let setup = setup().await;
    let mut stream = TcpStream::connect(setup.gateway.addrs[0])
        .await
        .expect("the gateway listens");
    stream
        .write_all(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nshort")
        .await
        .expect("sent");
    stream.shutdown().await.expect("half closed");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || raw::status(&answer) >= 400, "{answer}");
    assert_eq!(
        setup.seen.load(Ordering::SeqCst),
        0,
        "half a body passed for a whole one"
    );
    is_sound(&setup.gateway, "a short body").await;
}

#[tokio::test]
async fn clients_that_leave_at_any_moment_leave_nothing_behind() {
    let setup = setup().await;
    let request = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n0123456789".as_bytes();
    for length in (0..=request.len()).step_by(7).chain([request.len()]) {
        let mut stream = TcpStream::connect(setup.gateway.addrs[0])
            .await
            .expect("the gateway listens");
        stream.write_all(&request[..length]).await.expect("sent");
        drop(stream);
    }
    is_sound(&setup.gateway, "clients that leave").await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_frees_its_permit() {
    let (arrived, never) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (arrived.clone(), never.clone());
    let slow = move || {
        tell.notify_one();
        let wait = wait.clone();
        async move { wait.notified().await }
    };
    let upstream = Server::axum(
        Router::new()
            .route("/slow", axum::routing::post(slow))
            .fallback(|| async { "quick" }),
    )
    .await;
    let url = upstream.url("");
    let gateway = Program::start(
        "hyper-gateway",
        &[
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            &url,
            "--concurrency",
            "1",
        ],
        1,
    )
    .await;

    let mut stream = TcpStream::connect(gateway.addrs[0])
        .await
        .expect("the gateway listens");
    stream
        .write_all(b"POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        .await
        .expect("sent");
    arrived.notified().await;
    let client = Client::http1();
    assert_eq!(
        client.get(&gateway.url("/")).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    drop(stream);
    until("the permit is free again", async || {
        client.get(&gateway.url("/")).await.status == StatusCode::OK
    })
    .await;
}
