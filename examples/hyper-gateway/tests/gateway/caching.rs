//! What the cache keeps of an upstream's answers and what it does not, by its flags and by their bytes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    Then, Upstream, body, field, gateway, gateway_with_admin, get, read_to_end, status,
};

const FRESH: &str = "cache-control: max-age=60\r\n";

/// Whether a second request is answered from the cache.
async fn hits(status: u16, answer: &str, flags: &str, client: &str) -> bool {
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 5\r\n{answer}\r\nhello");
    let upstream = Upstream::start(answer, Then::KeepAlive).await;
    let gateway = gateway(upstream.address, flags).await;
    for _ in 0..2 {
        let answer = get(gateway, "/x", client).await;
        assert_eq!(
            (crate::support::status(&answer), body(&answer)),
            (status, "hello")
        );
    }
    upstream.requests().len() == 1
}

#[tokio::test]
async fn flags_decide_what_is_kept_and_for_whom() {
    let public = "cache-control: public, max-age=60\r\n";
    let vary = |names| format!("{FRESH}vary: {names}\r\n");
    let large = format!("{FRESH}x-large: {}\r\n", "x".repeat(33 << 10));
    let key = "x-api-key: one\r\n";
    let basic = "authorization: Basic eA==\r\n";
    for (status, answer, flags, client, kept) in [
        (200, FRESH, "", key, false),
        (200, public, "", key, true),
        (200, FRESH, "--credential-header none", key, true),
        (200, FRESH, "--credential-header x-key", key, true),
        (
            200,
            FRESH,
            "--credential-header x-key",
            "x-key: one\r\n",
            false,
        ),
        (200, FRESH, "--credential-header none", basic, false),
        (200, public, "--credentials bypass", basic, false),
        (200, public, "--credentials bypass", key, false),
        (200, public, "--credentials bypass", "", true),
        (200, &*vary("user-agent"), "", "", false),
        (
            200,
            &*vary("user-agent"),
            "--vary-on user-agent",
            "user-agent: x\r\n",
            true,
        ),
        (
            200,
            &*vary("cookie"),
            "--vary-on cookie",
            "cookie: id=1\r\n",
            true,
        ),
        (200, &*vary("a, b"), "", "", true),
        (200, &*vary("a, b"), "--max-vary-names 1", "", false),
        (200, &*large, "", "", false),
        (200, &*large, "--max-header-bytes 64KiB", "", true),
        (404, "", "--heuristic off", "", false),
        (404, "", "--negative-ttl 404=1m", "", true),
        (
            503,
            "",
            "--negative-ttl 404=1m --negative-ttl 500-504=1m",
            "",
            true,
        ),
        (
            503,
            "cache-control: no-store\r\n",
            "--negative-ttl 503=1m",
            "",
            false,
        ),
        (429, public, "", "", false),
    ] {
        let got = hits(status, answer, flags, client).await;
        let fields = &answer[..answer.len().min(60)];
        assert_eq!(got, kept, "{status} {fields:?} {flags} {client:?}");
    }
}

#[tokio::test]
async fn lifetimes_are_within_their_bounds() {
    for (said, flags, ttl) in [
        ("max-age=600", "--max-ttl 1m --ttl-jitter 0", "60"),
        ("max-age=5", "--min-ttl 30s --ttl-jitter 0", "30"),
        ("s-maxage=5", "--min-ttl 30s", "5"),
        ("max-age=600", "", "600"),
    ] {
        let upstream = Upstream::ok(&format!("cache-control: {said}\r\n"), "hello").await;
        let flags = format!("--cache-status debug {flags}");
        let gateway = gateway(upstream.address, &flags).await;
        let answer = get(gateway, "/x", "").await;
        let shown = field(&answer, "cache-status").unwrap();
        assert!(shown.contains(&format!("; ttl={ttl};")), "{said}: {shown}");
    }
}

#[tokio::test]
async fn what_ends_with_its_connection_is_not_kept() {
    for (head, text, kept) in [
        ("HTTP/1.0 200 OK\r\n", "hello", false),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n", "hello", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n", "hello", true),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n",
            "hello",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            true,
        ),
        // By its own account this is all of it.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
            "hello and more",
            true,
        ),
    ] {
        let answer = format!("{head}{FRESH}\r\n{text}");
        let upstream = Upstream::start(answer, Then::Close).await;
        let gateway = gateway(upstream.address, "").await;
        for _ in 0..2 {
            let answer = get(gateway, "/x", "").await;
            assert!(body(&answer).contains("hello"), "{head:?}: {answer}");
            assert!(!answer.contains("more"), "{head:?}: {answer}");
        }
        assert_eq!(upstream.requests().len() == 1, kept, "{head:?}");
    }
}

/// Reads until the text is there.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        assert!(
            stream.read_buf(&mut read).await.unwrap() > 0,
            "the beginning comes at once"
        );
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn who_shares_an_answer_sees_it_break_too() {
    for framing in [
        "content-length: 10\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (gateway, admin) = gateway_with_admin(listener.local_addr().unwrap(), "").await;
        let mut clients = Vec::new();
        let mut upstream = None;
        for shared in [false, true, true] {
            let mut client = TcpStream::connect(gateway).await.unwrap();
            let request = "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            client.write_all(request.as_bytes()).await.unwrap();
            if !shared {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_until(&mut stream, "\r\n\r\n").await;
                let half = format!("HTTP/1.1 200 OK\r\n{FRESH}{framing}");
                stream.write_all(half.as_bytes()).await.unwrap();
                upstream = Some(stream);
            }
            let beginning = read_until(&mut client, "hello").await;
            assert_eq!(status(&beginning), 200);
            assert_eq!(beginning.contains("collapsed"), shared, "{beginning}");
            clients.push(client);
        }
        drop(upstream);
        for client in &mut clients {
            // Neither the octets that are missing nor a last chunk.
            assert_eq!(read_to_end(client).await.trim(), "");
        }
        let stats = get(admin, "/stats", "").await;
        let stats: serde_json::Value = serde_json::from_str(body(&stats)).unwrap();
        assert_eq!(
            (&stats["cache"]["entries"], &stats["cache"]["stored"]),
            (&0.into(), &0.into())
        );
    }
}
