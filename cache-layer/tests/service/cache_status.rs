//! The `Cache-Status` field (RFC 9211), member by member.

use crate::support::*;
use cache_layer::CacheStatus;
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

const TAG: (&str, &str) = ("etag", "\"e\"");
const VARY: (&str, &str) = ("vary", "accept-language");

fn lines(seen: &Seen) -> Vec<&str> {
    let all = seen.headers.get_all("cache-status").iter();
    all.map(|line| line.to_str().unwrap()).collect()
}

/// An origin that does as the path says.
fn origin() -> Origin {
    Origin::new(|call, request| {
        let mut response = match request.uri().path() {
            "/private" => answer(&[("cache-control", "private")], "x"),
            "/confirmed" if call > 0 => answer(&[("cache-control", "max-age=10")], ""),
            "/replaced" if call > 0 => answer(&[FRESH], "y"),
            "/stale" => answer(&[("cache-control", "max-age=10, stale-if-error=60")], "x"),
            _ => answer(&[("cache-control", "max-age=10"), TAG, VARY], "x"),
        };
        *response.status_mut() = match request.uri().path() {
            "/confirmed" if call > 0 => StatusCode::NOT_MODIFIED,
            "/stale" if call > 0 => StatusCode::BAD_GATEWAY,
            _ => StatusCode::OK,
        };
        response
    })
}

#[tokio::test(start_paused = true)]
async fn each_reason_and_each_parameter() {
    for (path, seconds, method, fields, status, expected) in [
        ("/x", 0, "GET", &[][..], 200, "hit"),
        ("/x", 0, "HEAD", &[], 200, "hit"),
        ("/x", 0, "GET", &[("if-none-match", "\"e\"")], 304, "hit"),
        ("/x", 0, "GET", &[("range", "bytes=9-")], 416, "hit"),
        (
            "/x",
            0,
            "GET",
            &[("cache-control", "no-cache")],
            200,
            "fwd=request; stored",
        ),
        (
            "/x",
            0,
            "GET",
            &[("cache-control", "max-age=0"), ("accept-language", "de")],
            200,
            "fwd=vary-miss; stored",
        ),
        (
            "/x",
            0,
            "GET",
            &[("accept-language", "de")],
            200,
            "fwd=vary-miss; stored",
        ),
        ("/x", 0, "POST", &[], 200, "fwd=method"),
        ("/x", 0, "OPTIONS", &[], 200, "fwd=method"),
        ("/x", 0, "GET", &[("upgrade", "x")], 200, "fwd=bypass"),
        ("/x", 0, "GET", &[("if-match", "*")], 200, "fwd=bypass"),
        ("/x", 10, "GET", &[], 200, "fwd=stale; stored"),
        ("/x", 10, "HEAD", &[], 200, "fwd=stale"),
        (
            "/x",
            10,
            "GET",
            &[("cache-control", "no-store")],
            200,
            "fwd=stale",
        ),
        ("/private", 0, "GET", &[], 200, "fwd=uri-miss"),
        (
            "/confirmed",
            10,
            "GET",
            &[],
            200,
            "fwd=stale; fwd-status=304; stored",
        ),
        (
            "/confirmed",
            10,
            "GET",
            &[("if-none-match", "\"e\"")],
            304,
            "fwd=stale; fwd-status=304; stored",
        ),
        ("/replaced", 10, "GET", &[], 200, "fwd=stale; stored"),
        ("/stale", 10, "GET", &[], 200, "fwd=stale; fwd-status=502"),
    ] {
        let (cache, _) = cached(&origin());
        let uri = format!("http://a{path}");
        ask(&cache, get(&uri)).await;
        advance(Duration::from_secs(seconds)).await;
        let seen = ask(&cache, request(method, &uri, fields)).await;
        assert_eq!(
            (seen.status, seen.cache()),
            (status, expected),
            "{method} {path} {fields:?}"
        );
        assert_eq!(lines(&seen).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_hops_status_is_named_where_the_clients_is_another() {
    // Section 2.3: left out, it would be taken for that of the answer.
    let (cache, _) = cached(&origin());
    let held = || request("GET", "http://a/x", &[("if-none-match", "\"e\"")]);
    let seen = ask(&cache, held()).await;
    assert_eq!(
        (seen.status, seen.cache()),
        (304, "fwd=uri-miss; fwd-status=200; stored")
    );

    let (mut below, service) = manual();
    let cache = layer().layer(service);
    let first = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = below.recv().await.unwrap();
    let follower = tokio::spawn(cache.clone().oneshot(held()));
    settle().await;
    respond.send(answer(&[FRESH, TAG], "x")).ok().unwrap();
    assert_eq!(
        read(first.await.unwrap().unwrap()).await.cache(),
        "fwd=uri-miss; stored"
    );
    let seen = read(follower.await.unwrap().unwrap()).await;
    assert_eq!(
        (seen.status, seen.cache()),
        (304, "fwd=uri-miss; fwd-status=200; collapsed")
    );
}

#[tokio::test(start_paused = true)]
async fn collapsed_in_vain() {
    let (mut below, service) = manual();
    let cache = layer().layer(service);
    let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let first = ask();
    let (_, respond) = below.recv().await.unwrap();
    let second = ask();
    settle().await;
    let own = [("cache-control", "private")];
    respond.send(answer(&own, "1")).ok().unwrap();
    let (_, respond) = below.recv().await.unwrap();
    respond.send(answer(&own, "2")).ok().unwrap();
    assert_eq!(
        read(first.await.unwrap().unwrap()).await.cache(),
        "fwd=uri-miss"
    );
    let second = read(second.await.unwrap().unwrap()).await;
    assert_eq!(
        (second.text(), second.cache()),
        ("2", "fwd=uri-miss; collapsed=?0")
    );
}

#[tokio::test(start_paused = true)]
async fn members_of_caches_nearer_to_the_origin_stay_before_ours() {
    let origin = Origin::new(|call, _| {
        let confirmed = call == 1;
        let near = if confirmed {
            "near; fwd=stale"
        } else {
            "near; fwd=uri-miss; stored"
        };
        let fields = [
            ("cache-control", "max-age=10"),
            TAG,
            ("cache-status", "origin; hit"),
            ("cache-status", near),
        ];
        let mut response = answer(&fields, "x");
        if confirmed {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        response
    });
    let (cache, _) = cached(&origin);
    let ours = async |member: &str, near: &str| {
        let seen = ask(&cache, get("http://a/x")).await;
        let ours = format!("cache-layer; {member}");
        assert_eq!(lines(&seen), ["origin; hit", near, &ours]);
    };
    ours("fwd=uri-miss; stored", "near; fwd=uri-miss; stored").await;
    ours("hit", "near; fwd=uri-miss; stored").await;
    advance(Duration::from_secs(10)).await;
    ours("fwd=stale; fwd-status=304; stored", "near; fwd=stale").await;
    ours("hit", "near; fwd=stale").await;
    let post = ask(&cache, request("POST", "http://a/x", &[])).await;
    assert_eq!(lines(&post).last(), Some(&"cache-layer; fwd=method"));
}

#[tokio::test(start_paused = true)]
async fn a_name_of_ones_own_and_no_field_at_all() {
    for (name, show, expected) in [
        ("edge-1", CacheStatus::On, &["edge-1; hit"][..]),
        (
            "my \"cache\"",
            CacheStatus::On,
            &["\"my \\\"cache\\\"\"; hit"],
        ),
        ("1st", CacheStatus::On, &["\"1st\"; hit"]),
        ("x", CacheStatus::Off, &[]),
    ] {
        let cache = layer().cache_name(name).cache_status(show).layer(origin());
        ask(&cache, get("http://a/x")).await;
        let hit = ask(&cache, get("http://a/x")).await;
        assert_eq!(lines(&hit), expected);
        // Section 2: not on what the cache makes up itself.
        let only = request("GET", "http://a/y", &[("cache-control", "only-if-cached")]);
        let unsatisfied = ask(&cache, only).await;
        assert_eq!((unsatisfied.status, lines(&unsatisfied).len()), (504, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn looking_into_it() {
    let swr = ("cache-control", "max-age=10, stale-while-revalidate=60");
    let origin = Origin::new(move |_, _| answer(&[swr], "x"));
    let cache = layer().cache_status(CacheStatus::Debug).layer(origin);
    let ask = async |seconds| {
        advance(Duration::from_secs(seconds)).await;
        ask(&cache, get("http://A/x?y")).await.cache().to_owned()
    };
    let key = "key=\"http://a/x?y\"";
    assert_eq!(ask(0).await, format!("fwd=uri-miss; stored; ttl=10; {key}"));
    assert_eq!(ask(4).await, format!("hit; ttl=6; {key}"));
    // Section 2.4: below zero, for how long it has been stale.
    assert_eq!(ask(9).await, format!("hit; ttl=-3; {key}"));
}
