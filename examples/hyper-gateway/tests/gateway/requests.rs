//! What of a request reaches the upstream, and what is refused.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{
    Then, Upstream, body, exchange, field, gateway, get, read_to_end, status, until,
};

#[tokio::test]
async fn a_request_reaches_the_upstream_with_its_host_and_who_it_is_from() {
    let upstream = Upstream::ok("x-up: 1\r\n", "hello").await;
    let gateway = gateway(upstream.address, "").await;
    let answer = exchange(
        gateway,
        "GET /a%2Fb?q=1&&x HTTP/1.1\r\nhost: shop.example:81\r\nx-forwarded-for: 6.6.6.6\r\n\
         x-kept: yes\r\nx-gone: no\r\nkeep-alive: 5\r\nconnection: close, x-gone\r\n\r\n",
    )
    .await;
    assert_eq!((status(&answer), body(&answer)), (200, "hello"));
    assert_eq!(field(&answer, "via"), Some("1.1 hyper-gateway"));
    assert_eq!(field(&answer, "x-up"), Some("1"));

    let request = upstream.request();
    assert!(
        request.starts_with("GET /a%2Fb?q=1&&x HTTP/1.1\r\n"),
        "{request}"
    );
    for (name, value) in [
        ("host", Some("shop.example:81")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-host", Some("shop.example:81")),
        ("x-forwarded-proto", Some("http")),
        ("via", Some("1.1 hyper-gateway")),
        ("x-kept", Some("yes")),
        ("x-gone", None),
        ("keep-alive", None),
        ("connection", None),
    ] {
        assert_eq!(field(&request, name), value, "{name}: {request}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_continued() {
    for (flags, forwarded, proto) in [
        ("--trusted-proxy 127.0.0.0/8", "6.6.6.6, 127.0.0.1", "https"),
        ("--trusted-hops 2", "6.6.6.6, 127.0.0.1", "https"),
        (
            "--trusted-hops 1 --trusted-proxy 10.0.0.0/8",
            "127.0.0.1",
            "http",
        ),
    ] {
        let upstream = Upstream::ok("", "").await;
        let gateway = gateway(upstream.address, flags).await;
        let claims = "x-forwarded-for: 6.6.6.6\r\nx-forwarded-proto: https\r\n";
        get(gateway, "/", claims).await;
        let request = upstream.request();
        let said = field(&request, "x-forwarded-for");
        assert_eq!(said, Some(forwarded), "{flags}");
        assert_eq!(field(&request, "x-forwarded-proto"), Some(proto), "{flags}");
    }
}

#[tokio::test]
async fn malformed_requests_are_answered_and_go_no_further() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    let many = "x: y\r\n".repeat(1_000);
    let long = "x".repeat(65_536);
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n".to_owned(),
            400,
        ),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n".to_owned(), 400),
        ("GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("GET * HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        (
            "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n".to_owned(),
            501,
        ),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 501),
        (format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}{long}\r\n\r\n"),
            431,
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\n folded: x\r\n\r\n".to_owned(),
            400,
        ),
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n".to_owned(), 400),
        ("GET /\u{1} HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 400),
        ("hello\r\n\r\n".to_owned(), 400),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".into(),
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_owned(),
            400,
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(),
            400,
        ),
        (
            "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
            400,
        ),
    ] {
        // The gateway may keep the connection: the second request asks it to close.
        let request = format!("{request}GET * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = exchange(gateway, &request).await;
        assert_eq!(status(&answer), expected, "{:.80}", request);
    }
    assert_eq!(upstream.requests(), [""; 0]);
}

#[tokio::test]
async fn options_for_the_gateway_itself_ends_there() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    let answer = exchange(
        gateway,
        "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(status(&answer), 204);
    let limited = "OPTIONS /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nmax-forwards: 1\r\n\r\n";
    assert_eq!(status(&exchange(gateway, limited).await), 200);
    assert_eq!(field(&upstream.request(), "max-forwards"), Some("0"));
}

#[tokio::test]
async fn of_two_framings_one_reaches_the_upstream() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    // By its length the body would end before the hidden request; by its chunks it contains it.
    let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    let size = hidden.len();
    for framing in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
    ] {
        let answer = exchange(
            gateway,
            format!(
                "POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{size:x}\r\n{hidden}\r\n0\r\n\r\n"
            ),
        )
        .await;
        assert_eq!(status(&answer), 200);
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    for request in requests {
        assert!(request.starts_with("POST / "), "{request}");
        assert_eq!(field(&request, "content-length"), None, "{request}");
        assert_eq!(
            field(&request, "transfer-encoding"),
            Some("chunked"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn absolute_form_becomes_origin_form() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    exchange(
        gateway,
        "GET http://b:81/x?y HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await;
    let request = upstream.request();
    assert!(request.starts_with("GET /x?y HTTP/1.1\r\n"), "{request}");
    assert_eq!(field(&request, "host"), Some("b:81"));
}

#[tokio::test]
async fn http_1_0_is_served_without_a_host() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let upstream = Upstream::start(chunked, Then::KeepAlive).await;
    let gateway = gateway(upstream.address, "").await;
    let answer = exchange(gateway, "GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!((status(&answer), body(&answer)), (200, "hello"));
    assert_eq!(field(&answer, "transfer-encoding"), None);
    let request = upstream.request();
    assert_eq!(
        field(&request, "host"),
        Some(upstream.address.to_string().as_str())
    );
    assert_eq!(field(&request, "via"), Some("1.0 hyper-gateway"));
}

#[tokio::test]
async fn an_upgrade_is_passed_without_the_upgrade() {
    let upstream = Upstream::ok("", "plain").await;
    let gateway = gateway(upstream.address, "").await;
    let answer = exchange(
        gateway,
        "GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n",
    )
    .await;
    assert_eq!((status(&answer), body(&answer)), (200, "plain"));
    assert_eq!(field(&upstream.request(), "upgrade"), None);
}

#[tokio::test]
async fn an_expectation_is_met_by_the_gateway() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    let answer = exchange(
        gateway,
        "PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\
         connection: close\r\n\r\nhi",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{answer}"
    );
    let request = upstream.request();
    assert_eq!((field(&request, "expect"), body(&request)), (None, "hi"));
}

#[tokio::test]
async fn request_trailers_are_carried_on() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    exchange(
        gateway,
        "POST / HTTP/1.1\r\nhost: a\r\nte: trailers, gzip\r\nconnection: te, close\r\n\
         trailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n",
    )
    .await;
    let request = upstream.request();
    assert_eq!(field(&request, "te"), Some("trailers"));
    assert_eq!(field(&request, "connection"), Some("te"));
    assert!(
        body(&request).ends_with("0\r\nx-sum: 7\r\n\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn a_body_shorter_than_its_length_ends_at_the_gateway() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let short = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello";
    stream.write_all(short.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.is_empty() || status(&answer) == 400, "{answer}");
    // The upstream never had a whole request, and the gateway goes on.
    assert_eq!(upstream.requests(), [""; 0]);
    assert_eq!(status(&get(gateway, "/", "").await), 200);
}

#[tokio::test]
async fn an_upload_that_stops_is_told_so() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "--upstream-timeout 200ms").await;
    let answer = exchange(
        gateway,
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhello",
    )
    .await;
    assert_eq!(status(&answer), 408, "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_upstream_request_with_it() {
    // The answer never comes; the upstream's connection ends only when the gateway drops it.
    let upstream = Upstream::start("", Then::Silence).await;
    let gateway = gateway(upstream.address, "--cache-bytes 0").await;
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    stream
        .write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    until(|| upstream.requests().len() == 1).await;
    drop(stream);
    until(|| upstream.given_up() == 1).await;
}

#[tokio::test]
async fn a_request_that_goes_in_circles_ends() {
    let upstream = Upstream::ok("", "").await;
    let gateway = gateway(upstream.address, "").await;
    let via = "via: 1.1 hyper-gateway\r\n".repeat(8);
    assert_eq!(status(&get(gateway, "/", &via).await), 508);
    assert_eq!(upstream.requests(), [""; 0]);
}
