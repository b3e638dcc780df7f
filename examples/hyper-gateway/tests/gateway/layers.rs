//! The layers, each switched on by its flag, and the figures they show.

use std::net::SocketAddr;

use crate::support::{
    Then, Upstream, body, exchange, field, gateway, gateway_with_admin, get, status,
};

/// An answer that any cache may keep for a minute.
async fn cacheable(text: &str) -> Upstream {
    Upstream::ok("cache-control: max-age=60\r\n", text).await
}

async fn stats(admin: SocketAddr) -> serde_json::Value {
    let answer = get(admin, "/stats", "").await;
    assert_eq!(field(&answer, "content-type"), Some("application/json"));
    serde_json::from_str(body(&answer)).unwrap()
}

#[tokio::test]
async fn a_second_request_is_a_hit_with_the_same_answer() {
    let upstream = cacheable("hello").await;
    let (gateway, admin) = gateway_with_admin(upstream.address, "").await;
    let miss = get(gateway, "/x", "").await;
    let hit = get(gateway, "/x", "").await;
    assert_eq!((status(&miss), body(&miss)), (200, "hello"));
    assert_eq!((status(&hit), body(&hit)), (200, "hello"));
    assert_eq!(
        field(&miss, "cache-status"),
        Some("cache-layer; fwd=uri-miss; stored")
    );
    assert_eq!(field(&hit, "cache-status"), Some("cache-layer; hit"));
    assert_eq!(field(&miss, "content-length"), Some("5"));
    assert_eq!(field(&hit, "content-length"), Some("5"));
    assert_eq!(field(&hit, "via"), Some("1.1 hyper-gateway"));

    let head = exchange(
        gateway,
        "HEAD /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(
        (field(&head, "content-length"), body(&head)),
        (Some("5"), "")
    );
    assert_eq!(upstream.requests().len(), 1);

    let figures = stats(admin).await;
    assert_eq!(figures["cache"]["hits"], 2);
    assert_eq!(figures["cache"]["misses"], 1);
    assert_eq!(figures["upstream"]["requests"], 1);
    assert!(
        figures["rate"].is_null() && figures["memory"].is_null(),
        "{figures}"
    );
}

#[tokio::test]
async fn what_is_stored_stands_in_for_an_upstream_that_fails_where_it_may() {
    for (stated, flags, expected) in [
        ("max-age=0, stale-if-error=60", "", 200),
        ("max-age=0, stale-while-revalidate=60", "", 200),
        ("max-age=0", "--stale-if-error 1m", 200),
        ("max-age=0", "--stale-while-revalidate 1m", 200),
        // RFC 9111 section 4.2.4: what is stale may be used by who is cut off,
        ("max-age=0", "", 200),
        // but not what must be asked about (section 5.2.2.2).
        ("max-age=0, must-revalidate", "--stale-if-error 1m", 504),
    ] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncache-control: {stated}\r\netag: \"e\"\r\ncontent-length: 5\r\n\r\nhello"
        );
        let upstream = Upstream::start(answer, Then::Close).await;
        let gateway = gateway(upstream.address, flags).await;
        assert_eq!(status(&get(gateway, "/x", "").await), 200);
        drop(upstream);
        let answer = get(gateway, "/x", "").await;
        assert_eq!(status(&answer), expected, "{stated} {flags}: {answer}");
        if expected == 200 {
            assert_eq!(body(&answer), "hello");
            assert!(field(&answer, "age").is_some(), "{answer}");
        }
    }
}

#[tokio::test]
async fn the_cache_is_as_its_flags_have_it() {
    let cookie = Upstream::ok("cache-control: max-age=60\r\nset-cookie: a=1\r\n", "hello").await;
    let old = "last-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let unchanged = Upstream::ok(old, "hello").await;
    for (upstream, flags, how, cookies) in [
        (&cookie, "", Some("cache-layer; fwd=uri-miss"), 1),
        (&cookie, "--set-cookie strip", Some("cache-layer; hit"), 0),
        (&cookie, "--set-cookie store", Some("cache-layer; hit"), 1),
        (&cookie, "--cache-status off", None, 1),
        (&unchanged, "", Some("cache-layer; hit"), 0),
        (
            &unchanged,
            "--heuristic off",
            Some("cache-layer; fwd=uri-miss"),
            0,
        ),
    ] {
        let gateway = gateway(upstream.address, flags).await;
        get(gateway, "/x", "").await;
        let again = get(gateway, "/x", "").await;
        assert_eq!(field(&again, "cache-status"), how, "{flags}");
        assert_eq!(again.matches("set-cookie").count(), cookies, "{flags}");
    }
}

#[tokio::test]
async fn a_write_makes_the_next_read_a_miss() {
    let upstream = cacheable("hello").await;
    let gateway = gateway(upstream.address, "").await;
    let write = "PUT /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\nconnection: close\r\n\r\n1";
    get(gateway, "/x", "").await;
    assert_eq!(status(&exchange(gateway, write).await), 200);
    get(gateway, "/x", "").await;
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn forged_fields_neither_split_nor_poison_the_cache() {
    let upstream = cacheable("hello").await;
    let gateway = gateway(upstream.address, "").await;
    for forged in ["", "x-forwarded-host: evil\r\n", "forwarded: host=evil\r\n"] {
        get(gateway, "/x", forged).await;
    }
    // What `Connection` takes away counts as absent for the cache as it does for the upstream.
    get(gateway, "/x", "connection: x-forwarded-host\r\n").await;
    assert_eq!(field(&upstream.request(), "x-forwarded-host"), Some("a"));
}

#[tokio::test]
async fn no_bytes_mean_no_cache() {
    let upstream = cacheable("hello").await;
    let gateway = gateway(upstream.address, "--cache-bytes 0").await;
    for requests in 1..=2 {
        assert_eq!(field(&get(gateway, "/x", "").await, "cache-status"), None);
        assert_eq!(upstream.requests().len(), requests);
    }
}

#[tokio::test]
async fn entries_larger_than_allowed_pass_through() {
    let upstream = cacheable(&"x".repeat(100)).await;
    let gateway = gateway(upstream.address, "--max-entry-bytes 99").await;
    for requests in 1..=2 {
        assert_eq!(body(&get(gateway, "/x", "").await).len(), 100);
        assert_eq!(upstream.requests().len(), requests);
    }
}

#[tokio::test]
async fn a_default_lifetime_stores_what_names_none() {
    let upstream = Upstream::ok("", "hello").await;
    let gateway = gateway(upstream.address, "--default-ttl 1m").await;
    get(gateway, "/x", "").await;
    get(gateway, "/x", "").await;
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn over_the_rate_is_429() {
    let upstream = cacheable("hello").await;
    let (gateway, admin) = gateway_with_admin(upstream.address, "--rate 1/h --burst 2").await;
    for _ in 0..2 {
        assert_eq!(status(&get(gateway, "/x", "").await), 200);
    }
    let refused = get(gateway, "/x", "").await;
    assert_eq!(status(&refused), 429);
    assert_eq!(field(&refused, "retry-after"), Some("3600"));
    assert_eq!(
        field(&refused, "content-type"),
        Some("application/problem+json")
    );
    let figures = stats(admin).await;
    assert_eq!(
        (&figures["rate"]["allowed"], &figures["rate"]["refused"]),
        (&2.into(), &1.into())
    );
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let upstream = cacheable("hello").await;
    let flags = "--rate 1/h --trusted-proxy 127.0.0.1 --client-header x-real-ip";
    let gateway = gateway(upstream.address, flags).await;
    for (client, expected) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 429)] {
        let answer = get(gateway, "/x", &format!("x-real-ip: {client}\r\n")).await;
        assert_eq!(status(&answer), expected, "{client}");
    }
}

#[tokio::test]
async fn over_the_concurrency_is_429() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let upstream = Upstream::start(head, Then::Silence).await;
    let (gateway, admin) = gateway_with_admin(upstream.address, "--concurrency 1").await;
    let first = tokio::spawn(async move { get(gateway, "/1", "").await });
    crate::support::until(|| upstream.requests().len() == 1).await;
    assert_eq!(status(&get(gateway, "/2", "").await), 429);
    assert_eq!(stats(admin).await["concurrency"]["in_flight"], 1);
    first.abort();
}

#[tokio::test]
async fn over_the_concurrency_waits_in_line() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let upstream = Upstream::start(head, Then::Silence).await;
    let flags = "--concurrency 1 --concurrency-wait 30s";
    let (gateway, admin) = gateway_with_admin(upstream.address, flags).await;
    let first = tokio::spawn(async move { get(gateway, "/1", "").await });
    crate::support::until(|| upstream.requests().len() == 1).await;
    let second = tokio::spawn(async move { get(gateway, "/2", "").await });
    while stats(admin).await["concurrency"]["waiting"] != 1 {
        tokio::task::yield_now().await;
    }
    // The line is as long as the limit.
    assert_eq!(status(&get(gateway, "/3", "").await), 429);
    first.abort();
    crate::support::until(|| upstream.requests().len() == 2).await;
    second.abort();
}

#[tokio::test]
async fn over_the_adaptive_limit_is_503() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let upstream = Upstream::start(head, Then::Silence).await;
    let (gateway, admin) = gateway_with_admin(upstream.address, "--adaptive").await;
    assert_eq!(stats(admin).await["concurrency"]["adaptive_limit"], 10);
    let held: Vec<_> = (0..10)
        .map(|n| tokio::spawn(async move { get(gateway, &format!("/{n}"), "").await }))
        .collect();
    crate::support::until(|| upstream.requests().len() == 10).await;
    let refused = get(gateway, "/more", "").await;
    assert_eq!(status(&refused), 503);
    assert!(body(&refused).contains("temporary-reduced-capacity"));
    held.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn out_of_memory_is_503_and_before_long_not_ready() {
    let upstream = cacheable("hello").await;
    // Less than any process holds.
    let (gateway, admin) = gateway_with_admin(upstream.address, "--heap-budget 1").await;
    let refused = get(gateway, "/x", "").await;
    assert_eq!(status(&refused), 503);
    // A second, and up to two more at random.
    let after = field(&refused, "retry-after");
    assert!(matches!(after, Some("1" | "2" | "3")), "{after:?}");
    assert_eq!(upstream.requests(), [""; 0]);
    assert_eq!(status(&get(admin, "/readyz", "").await), 200);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    tokio::time::resume();
    assert_eq!(status(&get(admin, "/readyz", "").await), 503);
    assert_eq!(status(&get(admin, "/healthz", "").await), 200, "it lives");
    let figures = stats(admin).await;
    assert_eq!(
        (&figures["memory"]["level"], &figures["memory"]["rejected"]),
        (&"hard".into(), &1.into())
    );
}

#[tokio::test]
async fn the_admin_listener_answers_for_itself() {
    let upstream = cacheable("hello").await;
    let (_, admin) = gateway_with_admin(upstream.address, "--rate 1/h").await;
    for _ in 0..3 {
        let health = get(admin, "/healthz", "").await;
        assert_eq!((status(&health), body(&health)), (200, "ok\n"));
        assert_eq!(field(&health, "cache-control"), Some("no-store"));
    }
    assert_eq!(status(&get(admin, "/readyz", "").await), 200);
    let graphs = get(admin, "/graphs", "").await;
    assert_eq!(
        field(&graphs, "content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(body(&graphs).contains(r#"fetch("stats""#), "{graphs}");
    assert_eq!(status(&get(admin, "/other", "").await), 404);
    // The tests allocate by the system's allocator, with and without the feature `pprof`.
    let profile = get(admin, "/debug/pprof/heap", "").await;
    assert_eq!(status(&profile), 501);
    assert!(body(&profile).contains("tikv"), "{profile}");
    let post = "POST /stats HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&exchange(admin, post).await), 405);
    assert_eq!(upstream.requests(), [""; 0]);
}
