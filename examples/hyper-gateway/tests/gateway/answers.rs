//! What of the upstream's answer reaches the client, and what is said when there is none.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::support::{Then, Upstream, body, exchange, field, gateway, get, status};

fn is_problem(answer: &str) -> bool {
    field(answer, "content-type") == Some("application/problem+json")
        && field(answer, "cache-control") == Some("no-store")
}

/// A free port with nobody behind it.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn an_unreachable_upstream_is_502() {
    let gateway = gateway(nobody().await, "").await;
    let answer = get(gateway, "/", "").await;
    assert_eq!(status(&answer), 502);
    assert!(is_problem(&answer), "{answer}");
}

#[tokio::test]
async fn a_slow_upstream_is_504() {
    let upstream = Upstream::start("", Then::Silence).await;
    let gateway = gateway(upstream.address, "--upstream-timeout 200ms").await;
    let answer = get(gateway, "/", "").await;
    assert_eq!(status(&answer), 504);
    assert!(is_problem(&answer), "{answer}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn what_is_no_answer_is_502() {
    for bytes in [
        "",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 200",
    ] {
        let upstream = Upstream::start(bytes, Then::Close).await;
        let gateway = gateway(upstream.address, "").await;
        let answer = get(gateway, "/", "").await;
        assert_eq!(status(&answer), 502, "{bytes}");
        assert!(is_problem(&answer), "{answer}");
    }
}

#[tokio::test]
async fn a_lost_post_is_not_sent_twice() {
    let upstream = Upstream::start("", Then::Close).await;
    let gateway = gateway(upstream.address, "").await;
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&exchange(gateway, post).await), 502);
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(status(&get(gateway, "/", "").await), 502);
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn a_body_that_breaks_off_arrives_broken() {
    let fields = "cache-control: max-age=60\r\n";
    let length = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 10\r\n\r\nhello");
    let chunks =
        format!("HTTP/1.1 200 OK\r\n{fields}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    for (answer, then) in [
        (&length, Then::Close),
        (&chunks, Then::Close),
        (&length, Then::Silence),
        (&chunks, Then::Silence),
    ] {
        let upstream = Upstream::start(answer.as_str(), then).await;
        let gateway = gateway(upstream.address, "--upstream-timeout 200ms").await;
        // Nothing of it is stored either: the second time is like the first.
        for requests in 1..=2 {
            let answer = get(gateway, "/", "").await;
            assert_eq!(status(&answer), 200);
            match field(&answer, "content-length") {
                Some(length) => assert_eq!((length, body(&answer)), ("10", "hello")),
                None => assert_eq!(body(&answer), "5\r\nhello\r\n"),
            }
            assert_eq!(upstream.requests().len(), requests);
        }
    }
}

#[tokio::test]
async fn a_slow_body_arrives_as_it_comes() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let upstream = Upstream::start(head, Then::Silence).await;
    let gateway = gateway(upstream.address, "--upstream-timeout 60s").await;
    let mut stream = tokio::net::TcpStream::connect(gateway).await.unwrap();
    let start = Instant::now();
    let first = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"hello") {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
        }
    };
    timeout(Duration::from_secs(20), first)
        .await
        .expect("the beginning waits for the end");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn hop_by_hop_fields_of_an_answer_end_at_the_gateway() {
    let upstream = Upstream::ok(
        "connection: x-gone\r\nx-gone: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: basic\r\n\
         x-kept: 1\r\n",
        "",
    )
    .await;
    let gateway = gateway(upstream.address, "").await;
    let answer = get(gateway, "/", "").await;
    for (name, value) in [
        ("x-gone", None),
        ("keep-alive", None),
        ("proxy-authenticate", None),
        ("x-kept", Some("1")),
    ] {
        assert_eq!(field(&answer, name), value, "{name}");
    }
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let upstream =
        Upstream::start("HTTP/1.1 204 No Content\r\nx: 204\r\n\r\n", Then::KeepAlive).await;
    let to_204 = gateway(upstream.address, "").await;
    let answer = get(to_204, "/", "").await;
    assert_eq!(
        (status(&answer), field(&answer, "x"), body(&answer)),
        (204, Some("204"), "")
    );

    let upstream = Upstream::start(
        "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\ncontent-length: 5\r\n\r\n",
        Then::KeepAlive,
    )
    .await;
    let to_304 = gateway(upstream.address, "").await;
    let answer = get(to_304, "/", "if-none-match: \"1\"\r\n").await;
    assert_eq!(
        (status(&answer), field(&answer, "etag"), body(&answer)),
        (304, Some("\"1\""), "")
    );

    let upstream = Upstream::start(
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        Then::KeepAlive,
    )
    .await;
    let to_head = gateway(upstream.address, "").await;
    let head = "HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = exchange(to_head, head).await;
    assert_eq!((status(&answer), body(&answer)), (200, ""));
    assert_eq!(field(&answer, "content-length"), Some("5"));
}

#[tokio::test]
async fn a_switch_of_protocols_nobody_asked_for_is_502() {
    let upstream = Upstream::start(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        Then::Silence,
    )
    .await;
    let gateway = gateway(upstream.address, "").await;
    assert_eq!(status(&get(gateway, "/", "").await), 502);
}

#[tokio::test]
async fn answer_trailers_reach_who_asks_for_them() {
    let upstream = Upstream::start(
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n",
        Then::KeepAlive,
    )
    .await;
    let gateway = gateway(upstream.address, "").await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\r\n";
    let answer = exchange(gateway, request).await;
    assert!(body(&answer).ends_with("0\r\nx-sum: 7\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let upstream = Upstream::start("HTTP/1.0 200 OK\r\n\r\nto the end", Then::Close).await;
    let gateway = gateway(upstream.address, "").await;
    let answer = get(gateway, "/", "").await;
    assert_eq!(status(&answer), 200);
    assert_eq!(body(&answer), "A\r\nto the end\r\n0\r\n\r\n");
    assert_eq!(field(&answer, "via"), Some("1.0 hyper-gateway"));
}
