//! Upstreams that are away, slow or dying: the gateway says so, and stores nothing of it.

use axum::Router;
use end_to_end::{
    client::{Client, request},
    process::Program,
    serve::Server,
};
use http::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A gateway that would store every answer for a minute, with its admin listener.
async fn gateway(upstream: &str, more: &[&str]) -> Program {
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--upstream",
        upstream,
        "--default-ttl",
        "1m",
    ];
    Program::start("hyper-gateway", &[&flags, more].concat(), 2).await
}

/// What the gateway's cache holds.
async fn entries(gateway: &Program) -> u64 {
    let stats = Client::http1()
        .get(&format!("http://{}/stats", gateway.addrs[1]))
        .await;
    let stats: serde_json::Value = serde_json::from_slice(&stats.body).expect("stats are JSON");
    stats["cache"]["entries"].as_u64().expect("a number")
}

#[tokio::test]
async fn an_unreachable_upstream_is_502_and_not_stored() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", gone.local_addr().expect("bound"));
    drop(gone);
    let gateway = gateway(&url, &[]).await;
    for _ in 0..2 {
        let answer = Client::http1().get(&gateway.url("/")).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert!(answer.field("age").is_none());
    }
    assert_eq!(entries(&gateway).await, 0);
}

#[tokio::test]
async fn a_slow_upstream_is_504_and_not_stored() {
    let never = || async { std::future::pending::<&'static str>().await };
    let upstream = Server::axum(Router::new().fallback(never)).await;
    let gateway = gateway(&upstream.url(""), &["--upstream-timeout", "200ms"]).await;
    let answer = Client::http1().get(&gateway.url("/")).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(entries(&gateway).await, 0);
}

#[tokio::test]
async fn an_upstream_that_dies_mid_body_breaks_the_answer_and_is_not_stored() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let heads = [
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 5\r\n\r\nwhole",
    ];
    let serving = tokio::spawn(async move {
        for head in heads {
            let (mut stream, _) = listener.accept().await.expect("loopback accepts");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            stream
                .write_all(head.as_bytes())
                .await
                .expect("the gateway reads");
        }
    });
    let gateway = gateway(&url, &[]).await;
    let client = Client::http1();
    for _ in 0..2 {
        let broken = client.fetch(request(Method::GET, &gateway.url("/"))).await;
        assert!(broken.is_err(), "half an answer passed for a whole one");
    }
    let answer = client.get(&gateway.url("/")).await;
    assert_eq!((answer.text(), answer.field("age")), ("whole", None));
    serving.await.expect("three requests came");
}
