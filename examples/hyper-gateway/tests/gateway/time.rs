//! What ends by the clock. It is paused here, and moves on when all tasks wait.

use std::time::Duration;

use hyper_gateway::{Flags, Gateway};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::support::{Then, Upstream, gateway, read_to_end, status, until};

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    // Nothing, an HTTP/2 preface that never ends, half a head, an idle connection, half of the next head.
    for beginning in [
        "",
        "PRI * HT",
        "GET / HTTP/1.1\r\nhost:",
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost:",
    ] {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        tokio::time::pause();
        let start = Instant::now();
        read_to_end(&mut stream).await;
        let waited = start.elapsed().as_secs();
        assert!((29..=31).contains(&waited), "{beginning}: {waited} s");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let length = 64 << 20;
    let upstream = Upstream::ok("", &"x".repeat(length)).await;
    let gateway = gateway(upstream.address, "").await;
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    until(|| upstream.requests().len() == 1).await;
    tokio::time::pause();
    sleep(Duration::from_secs(90)).await;
    tokio::time::resume();
    let answer = read_to_end(&mut stream).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.len() < length, "{} bytes", answer.len());
}

#[tokio::test]
async fn the_grace_for_requests_in_flight_is_bounded() {
    let upstream = Upstream::start("", Then::Silence).await;
    let line = format!(
        "hyper-gateway --listen 127.0.0.1:0 --upstream http://{}",
        upstream.address
    );
    let gateway = Gateway::bind(Flags::read(line.split_whitespace()).unwrap()).unwrap();
    let address = gateway.addresses().unwrap()[0];
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(gateway.run(async {
        let _ = stopped.await;
    }));
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    until(|| upstream.requests().len() == 1).await;

    tokio::time::pause();
    let start = Instant::now();
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
}
