//! HTTP/2 without TLS towards the client, HTTP/1.1 towards the upstream.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::{Then, Upstream, body, field, gateway};

type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

async fn send(gateway: SocketAddr, request: Request<Body>) -> Response<hyper::body::Incoming> {
    let stream = TokioIo::new(TcpStream::connect(gateway).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

fn empty() -> Body {
    Empty::new().boxed_unsync()
}

#[tokio::test]
async fn a_request_becomes_http_1_1() {
    let upstream = Upstream::ok("keep-alive: timeout=5\r\n", "hello").await;
    let gateway = gateway(upstream.address, "").await;
    let request = Request::get("http://shop.example/x?y")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(empty())
        .unwrap();
    let answer = send(gateway, request).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["via"], "1.1 hyper-gateway");
    assert!(!answer.headers().contains_key("keep-alive"));
    assert_eq!(answer.collect().await.unwrap().to_bytes(), "hello");

    let request = upstream.request();
    assert!(request.starts_with("GET /x?y HTTP/1.1\r\n"), "{request}");
    for (name, value) in [
        ("host", "shop.example"),
        ("cookie", "a=1; b=2"),
        ("via", "2 hyper-gateway"),
    ] {
        assert_eq!(field(&request, name), Some(value), "{request}");
    }
    assert_eq!(request.matches("cookie:").count(), 1, "{request}");
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let upstream = Upstream::start(
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n",
        Then::KeepAlive,
    )
    .await;
    let gateway = gateway(upstream.address, "").await;
    let trailers = HeaderMap::from_iter([("x-mac".parse().unwrap(), HeaderValue::from(9))]);
    // Mapped, the body no longer tells its length: with one, HTTP/1.1 has no place for trailers.
    let upload = Full::from("hi")
        .map_frame(|frame| frame)
        .with_trailers(async { Some(Ok(trailers)) });
    let request = Request::post("http://a/")
        .header("te", "trailers")
        .header("trailer", "x-mac")
        .body(upload.boxed_unsync())
        .unwrap();
    let answer = send(gateway, request).await.collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["x-sum"], "7");
    assert_eq!(answer.to_bytes(), "ok");
    let request = upstream.request();
    assert_eq!(body(&request), "2\r\nhi\r\n0\r\nx-mac: 9\r\n\r\n");
}

#[tokio::test]
async fn two_authorities_are_refused() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    let request = Request::get("http://a/")
        .header("host", "b")
        .body(empty())
        .unwrap();
    assert_eq!(send(gateway, request).await.status(), 400);
    assert_eq!(upstream.requests(), [""; 0]);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_reset() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let upstream = Upstream::start(head, Then::Close).await;
    let gateway = gateway(upstream.address, "").await;
    let answer = send(gateway, Request::get("http://a/").body(empty()).unwrap()).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.collect().await.is_err());
}
