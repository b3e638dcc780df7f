//! Interim responses, from the upstream's socket to the client's.

use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{
    Then, Upstream, body, exchange, field, gateway, gateway_with_admin, get, status, until,
};

const EARLY: &str = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";

/// Two interim responses and an answer that may be stored.
async fn hinting() -> Upstream {
    let answer = format!(
        "{EARLY}HTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nok"
    );
    Upstream::start(answer, Then::KeepAlive).await
}

/// Reads on until `bytes` end with `end`.
async fn read_until(stream: &mut TcpStream, bytes: &mut Vec<u8>, end: &str) {
    let read = async {
        while !bytes.ends_with(end.as_bytes()) {
            assert!(stream.read_buf(bytes).await.unwrap() > 0, "{bytes:?}");
        }
    };
    let waited = timeout(Duration::from_secs(20), read).await;
    assert!(waited.is_ok(), "{}", String::from_utf8_lossy(bytes));
}

#[tokio::test]
async fn they_arrive_in_order_before_there_is_an_answer() {
    for (head, rest) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", ""),
        // In the middle of an upload.
        (
            "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12",
            "345",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = gateway(listener.local_addr().unwrap(), "").await;
        let mut client = TcpStream::connect(gateway).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let (mut upstream, _) = listener.accept().await.unwrap();
        let (mut request, mut seen) = (Vec::new(), Vec::new());
        read_until(&mut upstream, &mut request, &head[head.len() - 2..]).await;

        let early = "HTTP/1.1 103 \r\nlink: </a>\r\nconnection: x-gone\r\nx-gone: 1\r\n\
                     content-length: 9\r\nlink: </b>\r\n\r\n";
        upstream.write_all(early.as_bytes()).await.unwrap();
        let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n";
        read_until(&mut client, &mut seen, early).await;
        let processing = "HTTP/1.1 102 Processing\r\n\r\n";
        // One octet after the other.
        for octet in processing.as_bytes().chunks(1) {
            upstream.write_all(octet).await.unwrap();
            upstream.flush().await.unwrap();
        }
        read_until(&mut client, &mut seen, processing).await;
        client.write_all(rest.as_bytes()).await.unwrap();
        read_until(&mut upstream, &mut request, rest).await;
        upstream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
        read_until(&mut client, &mut seen, "\r\n\r\nok").await;
        let seen = String::from_utf8(seen).unwrap();
        let last = seen.strip_prefix(&format!("{early}{processing}"));
        assert!(last.unwrap().starts_with("HTTP/1.1 200 OK\r\n"), "{seen}");
        assert!(!last.unwrap().contains("link"), "{seen}");
    }
}

/// The messages in `bytes`: their heads, and what follows each as its body, chunks joined.
fn messages(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    fn split<'a>(bytes: &'a [u8], end: &str) -> (&'a [u8], &'a [u8]) {
        let mut windows = bytes.windows(end.len());
        let at = windows.position(|window| window == end.as_bytes());
        let at = at.unwrap_or_else(|| panic!("no {end:?} in {bytes:?}"));
        (&bytes[..at], &bytes[at + end.len()..])
    }
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = split(bytes, "\r\n\r\n");
        let head = String::from_utf8(head.to_vec()).unwrap();
        assert!(head.starts_with("HTTP/1.1 "), "{head}");
        let mut body = Vec::new();
        bytes = rest;
        if status(&head) < 200 {
        } else if let Some(length) = field(&head, "content-length") {
            let (whole, rest) = bytes.split_at(length.parse().unwrap());
            (body, bytes) = (whole.to_vec(), rest);
        } else {
            assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
            loop {
                let (length, rest) = split(bytes, "\r\n");
                let length = std::str::from_utf8(length).unwrap();
                let length = usize::from_str_radix(length, 16).unwrap();
                let (chunk, rest) = rest.split_at(length);
                body.extend_from_slice(chunk);
                bytes = rest.strip_prefix(b"\r\n").unwrap();
                if length == 0 {
                    break;
                }
            }
        }
        messages.push((head, body));
    }
    messages
}

/// More than the sockets hold, and full of what looks like interim responses.
fn text(path: &str) -> String {
    let length = match path {
        "/small" => 100,
        "/stored" => 500_000,
        _ => 6_000_000,
    };
    EARLY.replace('x', path).repeat(length / EARLY.len())
}

#[tokio::test]
async fn pipelined_answers_arrive_octet_for_octet_at_a_slow_client() {
    let upstream = Upstream::answering(
        |request| {
            let path = request.split(' ').nth(1).unwrap();
            let text = text(path);
            let length = text.len();
            let hint = EARLY.replace("/x", path);
            let fields = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n";
            match path {
                "/chunked" => {
                    format!("{hint}{hint}{fields}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{text}\r\n0\r\n\r\n")
                }
                _ => format!("{hint}{hint}{fields}content-length: {length}\r\n\r\n{text}"),
            }
            .into()
        },
        Then::KeepAlive,
    )
    .await;
    let paths = [
        "/long", "/small", "/chunked", "/stored", "/chunked", "/small", "/long",
    ];
    for flags in ["", "--cache-bytes 0"] {
        let gateway = gateway(upstream.address, flags).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = socket.connect(gateway).await.unwrap();
        let last = paths.len() - 1;
        for (turn, path) in paths.iter().enumerate() {
            let close = if turn == last {
                "connection: close\r\n"
            } else {
                ""
            };
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n{close}\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
        }
        let before = upstream.requests().len();
        until(|| upstream.requests().len() > before).await;

        let mut bytes = Vec::new();
        let mut piece = [0; 5000];
        loop {
            let read = timeout(Duration::from_secs(60), client.read(&mut piece));
            let read = read.await.expect("the gateway hangs").unwrap();
            if read == 0 {
                break;
            }
            bytes.extend_from_slice(&piece[..read]);
            for _ in 0..read % 7 {
                tokio::task::yield_now().await;
            }
        }
        let mut messages = messages(&bytes).into_iter();
        for path in paths {
            let (mut head, mut body) = messages.next().unwrap();
            let mut hints = 0;
            while status(&head) == 103 {
                assert_eq!(field(&head, "link"), Some(format!("<{path}>").as_str()));
                hints += 1;
                (head, body) = messages.next().unwrap();
            }
            let hit = field(&head, "cache-status").is_some_and(|status| status.contains("hit"));
            assert_eq!(hints, if hit { 0 } else { 2 }, "{path}: {head}");
            assert_eq!(status(&head), 200);
            assert!(body == text(path).as_bytes(), "{path}: {}", body.len());
        }
        assert!(messages.next().is_none());
    }
}

#[tokio::test]
async fn a_hit_and_an_old_client_have_none() {
    let upstream = hinting().await;
    let gateway = gateway(upstream.address, "").await;
    let old = exchange(gateway, "GET /old HTTP/1.0\r\nhost: a\r\n\r\n").await;
    assert_eq!((status(&old), body(&old)), (200, "ok"));

    let miss = get(gateway, "/", "").await;
    let both = format!("{EARLY}HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert!(miss.starts_with(&both), "{miss}");
    let hit = get(gateway, "/", "").await;
    assert_eq!((status(&hit), body(&hit)), (200, "ok"));
    assert_eq!(field(&hit, "link"), None, "{hit}");
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_client_of_http_2_has_none_and_its_answer() {
    let upstream = hinting().await;
    let gateway = gateway(upstream.address, "").await;
    let stream = TokioIo::new(TcpStream::connect(gateway).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = Request::get("http://a/").body(Empty::<bytes::Bytes>::new());
        let answer = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "ok");
    }
}

#[tokio::test]
async fn who_waits_for_the_answer_to_another_client_has_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let (gateway, admin) = gateway_with_admin(upstream, "--concurrency 9").await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut leader = TcpStream::connect(gateway).await.unwrap();
    leader.write_all(request.as_bytes()).await.unwrap();
    let (mut upstream, _) = listener.accept().await.unwrap();
    let follower = tokio::spawn(exchange(gateway, request));
    while !get(admin, "/stats", "").await.contains("\"in_flight\": 2") {}
    upstream.write_all(EARLY.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    read_until(&mut leader, &mut seen, EARLY).await;
    // The leader leaves: what was begun for both goes on, with nobody to tell.
    drop(leader);
    upstream.write_all(EARLY.as_bytes()).await.unwrap();
    upstream
        .write_all(b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
    let answer = follower.await.unwrap();
    assert_eq!((status(&answer), body(&answer)), (200, "ok"));
    let how = field(&answer, "cache-status");
    assert!(how.is_some_and(|how| how.contains("collapsed")), "{answer}");
}

async fn leave(gateway: SocketAddr) {
    let mut client = TcpStream::connect(gateway).await.unwrap();
    client
        .write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(client.read(&mut [0; 10]).await.unwrap() > 0);
}

#[tokio::test]
async fn a_flood_reaches_nobody_beyond_its_bounds_and_who_leaves_harms_nobody() {
    let flood = EARLY.repeat(1000);
    let answer = format!("{flood}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let upstream = Upstream::start(answer, Then::KeepAlive).await;
    let gateway = gateway(upstream.address, "").await;
    for _ in 0..20 {
        leave(gateway).await;
        let answer = get(gateway, "/", "").await;
        let last = answer.trim_start_matches(EARLY);
        assert_eq!((status(last), body(last)), (200, "ok"));
        assert_eq!(answer.len() - last.len(), 16 * EARLY.len());
    }
}
