//! What requests share a stored response.

use crate::support::{Upstream, body, exchange, field, gateway, get, status};

async fn cacheable() -> Upstream {
    Upstream::ok("cache-control: max-age=60\r\n", "hello").await
}

/// Whether the response came out of the store.
async fn hits(gateway: std::net::SocketAddr, path: &str, fields: &str) -> bool {
    let response = get(gateway, path, fields).await;
    assert_eq!((status(&response), body(&response)), (200, "hello"));
    field(&response, "cache-status").unwrap().ends_with("; hit")
}

#[tokio::test]
async fn override_fields_part_the_store_and_can_be_kept_from_the_upstream() {
    for (flags, hit, reaches) in [("", false, true), ("--overrides strip", true, false)] {
        let upstream = cacheable().await;
        let gateway = gateway(upstream.address, flags).await;
        let forged = "x-original-url: /evil\r\nx-forwarded-host: evil\r\n";
        assert!(!hits(gateway, "/x", forged).await);
        let request = upstream.request();
        assert_eq!(field(&request, "x-original-url").is_some(), reaches);
        // What the gateway itself says of the target is said below the cache.
        assert_eq!(field(&request, "x-forwarded-host"), Some("a"));
        assert_eq!(hits(gateway, "/x", "").await, hit, "{flags}");
    }
}

#[tokio::test]
async fn override_fields_are_refused_but_those_of_trusted_proxies() {
    let upstream = cacheable().await;
    let strict = gateway(upstream.address, "--overrides refuse").await;
    let refused = get(strict, "/x", "x-rewrite-url: /evil\r\n").await;
    assert_eq!((status(&refused), upstream.requests().len()), (400, 0));
    assert_eq!(field(&refused, "cache-control"), Some("no-store"));

    let flags = "--overrides refuse --trusted-proxy 127.0.0.1";
    let trusting = gateway(upstream.address, flags).await;
    for (fields, hit) in [
        ("x-forwarded-proto: https\r\n", false),
        ("x-forwarded-proto: https\r\n", true),
        ("x-forwarded-proto: http\r\n", false),
    ] {
        assert_eq!(hits(trusting, "/x", fields).await, hit, "{fields}");
    }
}

#[tokio::test]
async fn fields_of_choice_take_the_place_of_the_usual_ones() {
    let upstream = cacheable().await;
    let flags = "--override-field x-base --cache-key-header x-market";
    let gateway = gateway(upstream.address, flags).await;
    for (fields, hit) in [
        ("", false),
        ("x-original-url: /y\r\n", true),
        ("x-base: /y\r\n", false),
        ("x-market: ch\r\n", false),
        ("x-market: ch\r\n", true),
    ] {
        assert_eq!(hits(gateway, "/x", fields).await, hit, "{fields}");
    }
}

#[tokio::test]
async fn the_upstream_sees_the_parameters_that_count() {
    for (flags, seen) in [
        ("", "/x?b=1&utm=2&a=3"),
        ("--ignore-param utm", "/x?b=1&a=3"),
        ("--ignore-param utm --sort-query on", "/x?a=3&b=1"),
        ("--keep-param utm", "/x?utm=2"),
        ("--sort-query on", "/x?a=3&b=1&utm=2"),
    ] {
        let upstream = cacheable().await;
        let gateway = gateway(upstream.address, flags).await;
        assert!(!hits(gateway, "/x?b=1&utm=2&a=3", "").await);
        let line = format!("GET {seen} HTTP/1.1\r\n");
        assert!(upstream.request().starts_with(&line), "{flags}");
        assert!(hits(gateway, seen, "").await, "{flags}");
    }
}

#[tokio::test]
async fn spellings_share_as_far_as_is_said() {
    for (flags, path, host, seen) in [
        ("--spelling exact", false, false, ["/%78", "A:80"]),
        ("", false, true, ["/%78", "a"]),
        ("--spelling host-and-path", true, true, ["/x", "a"]),
    ] {
        let upstream = cacheable().await;
        let gateway = gateway(upstream.address, flags).await;
        let request = "GET /%78 HTTP/1.1\r\nhost: A:80\r\nconnection: close\r\n\r\n";
        assert_eq!(status(&exchange(gateway, request).await), 200);
        let request = upstream.request();
        let line = format!("GET {} HTTP/1.1\r\n", seen[0]);
        assert!(request.starts_with(&line), "{flags}");
        assert_eq!(field(&request, "host"), Some(seen[1]));
        assert_eq!(field(&request, "x-forwarded-host"), Some(seen[1]));
        assert_eq!(hits(gateway, "/%78", "").await, host, "{flags}");
        assert_eq!(hits(gateway, "/x", "").await, path, "{flags}");
    }
}

#[tokio::test]
async fn what_is_too_long_for_a_key_passes_by_or_is_refused() {
    let long = format!("/{}", "x".repeat(8192));
    for (flags, expected) in [("", 200), ("--overlong refuse", 414)] {
        let upstream = cacheable().await;
        let gateway = gateway(upstream.address, flags).await;
        let response = get(gateway, &long, "").await;
        assert_eq!(status(&response), expected);
        let bypass = (expected == 200).then_some("cache-layer; fwd=bypass");
        assert_eq!(field(&response, "cache-status"), bypass);
    }
}
