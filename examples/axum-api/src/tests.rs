use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use clap::Parser;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::ServiceExt;

use super::{Flags, app};

mod memory;

struct Answer {
    status: StatusCode,
    fields: axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn cache(&self) -> &str {
        self.fields["cache-status"].to_str().unwrap()
    }
}

fn start(flags: &[&str]) -> Router {
    app(&Flags::parse_from([&["axum-api"], flags].concat()))
}

async fn send(app: &Router, request: Request<Body>) -> Answer {
    let answer = app.clone().oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes().into();
    Answer {
        status: head.status,
        fields: head.headers,
        body,
    }
}

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "api.example")
        .extension(SocketAddr::from(([127, 0, 0, 1], 1)))
        .body(body.into())
        .unwrap()
}

async fn get(app: &Router, path: &str) -> Answer {
    send(app, request(Method::GET, path, Body::empty())).await
}

#[tokio::test(start_paused = true)]
async fn a_page_is_kept_until_an_item_changes() {
    let app = start(&[]);
    let page = get(&app, "/items?from=5").await;
    assert_eq!(page.fields["cache-control"], "no-store");
    assert_eq!(page.json()[2]["name"], "item 7");
    assert_eq!(get(&app, "/items?from=5").await.cache(), "cache-layer; hit");

    let mut post = request(Method::POST, "/items/7", r#"{"name":"new"}"#);
    let json = "application/json".parse().unwrap();
    post.headers_mut().insert("content-type", json);
    assert_eq!(send(&app, post).await.status, StatusCode::OK);
    assert_eq!(get(&app, "/items?from=5").await.json()[2]["name"], "new");

    // Stale now, and served while it is made anew.
    tokio::time::advance(std::time::Duration::from_secs(31)).await;
    let start = Instant::now();
    assert_eq!(get(&app, "/items?from=5").await.cache(), "cache-layer; hit");
    assert_eq!(start.elapsed().as_millis(), 0);
    tokio::time::sleep(std::time::Duration::from_millis(101)).await;
    let renewed = get(&app, "/items?from=5").await;
    assert_eq!(
        (renewed.cache(), &renewed.fields["age"]),
        ("cache-layer; hit", &"0".parse().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn an_item_is_slow_once_until_it_changes() {
    let app = start(&[]);
    let first = Instant::now();
    let item = get(&app, "/items/7").await;
    assert_eq!(first.elapsed().as_millis(), 100);
    assert_eq!(
        item.json(),
        json!({ "id": 7, "name": "item 7", "version": 1 })
    );

    let again = Instant::now();
    let hit = get(&app, "/items/7").await;
    assert_eq!(
        (again.elapsed().as_millis(), hit.body == item.body),
        (0, true)
    );
    assert_eq!(hit.cache(), "cache-layer; hit");

    let mut post = request(Method::POST, "/items/7", r#"{"name":"new"}"#);
    post.headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    assert_eq!(send(&app, post).await.status, StatusCode::OK);
    let changed = get(&app, "/items/7").await;
    assert_eq!(
        changed.json(),
        json!({ "id": 7, "name": "new", "version": 2 })
    );
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_items_than_there_were() {
    let app = start(&[]);
    assert_eq!(get(&app, "/items/1000").await.status, StatusCode::NOT_FOUND);
    let name = format!(r#"{{"name":"{}"}}"#, "x".repeat(101));
    for (path, name, status) in [
        ("/items/1000", r#"{"name":"new"}"#, StatusCode::NOT_FOUND),
        ("/items/1", &*name, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let mut post = request(Method::POST, path, name.to_owned());
        post.headers_mut()
            .insert("content-type", "application/json".parse().unwrap());
        assert_eq!(send(&app, post).await.status, status);
    }
}

#[tokio::test]
async fn everybody_sees_only_themselves() {
    let app = start(&[]);
    for (token, user) in [("alices", "alice"), ("bobs", "bob"), ("alices", "alice")] {
        let mut me = request(Method::GET, "/me", Body::empty());
        let credentials = format!("Bearer {token}-token").parse().unwrap();
        me.headers_mut().insert("authorization", credentials);
        let answer = send(&app, me).await;
        assert_eq!(answer.json(), json!({ "user": user }));
        assert!(!answer.cache().contains("stored"), "{}", answer.cache());
    }
    assert_eq!(get(&app, "/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_upload_is_measured() {
    let answer = send(&start(&[]), request(Method::POST, "/upload", "abc")).await;
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(answer.json(), json!({ "length": 3, "sha256": sha256 }));
}

#[tokio::test]
async fn graphs_are_drawn_from_the_stats() {
    let app = start(&[]);
    let page = get(&app, "/graphs").await;
    assert_eq!(page.fields["content-type"], "text/html; charset=utf-8");
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains(r#"fetch("stats""#), "{page}");
    let memory = &get(&app, "/stats").await.json()["memory"];
    for figure in ["level", "heap", "reserved", "budget", "rejected"] {
        assert!(
            !memory[figure].is_null() && page.contains(figure),
            "{figure}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn limits_refuse_and_let_health_and_stats_through() {
    let app = start(&["--rate", "1/h", "--heap-budget", "64MiB"]);
    let mut large = request(Method::POST, "/upload", "the beginning");
    large
        .headers_mut()
        .insert("content-length", (32 << 20).into());
    assert_eq!(
        send(&app, large).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(get(&app, "/items/1").await.status, StatusCode::OK);
    let refused = get(&app, "/items/1").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.fields["retry-after"], "3600");

    assert_eq!(get(&app, "/healthz").await.body, b"ok\n");
    let stats = get(&app, "/stats").await.json();
    assert_eq!(
        stats["rate"],
        json!({ "allowed": 1, "refused": 1, "would_refuse": 0 })
    );
    assert_eq!(stats["memory"]["rejected"], 1);
    assert_eq!(stats["cache"]["misses"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_handlers_cannot_bear_is_refused() {
    let app = start(&["--adaptive", "--rate", "1000/s"]);
    let paths: Vec<_> = (0..12).map(|id| format!("/items/{id}")).collect();
    let mut requests: JoinSet<_> = paths
        .into_iter()
        .map(|path| {
            let app = app.clone();
            async move { get(&app, &path).await.status }
        })
        .collect();
    let mut refused = 0;
    while let Some(status) = requests.join_next().await {
        refused += usize::from(status.unwrap() == StatusCode::SERVICE_UNAVAILABLE);
    }
    // The limit begins with 10.
    assert_eq!(refused, 2);
    let stats = get(&app, "/stats").await.json();
    assert_eq!(stats["concurrency"]["refused"], 2);
    // They were all answered in the same time, so it may well be higher.
    assert!(stats["concurrency"]["adaptive_limit"].as_u64() > Some(10));
}

#[tokio::test(start_paused = true)]
async fn without_bytes_there_is_no_cache() {
    let app = start(&["--cache-bytes", "0"]);
    for _ in 0..2 {
        let start = Instant::now();
        assert!(
            !get(&app, "/items/7")
                .await
                .fields
                .contains_key("cache-status")
        );
        assert_eq!(start.elapsed().as_millis(), 100);
    }
}

#[tokio::test]
async fn api_keys_count_before_addresses_and_addresses_by_hops() {
    let flags = "--rate 1/h --trusted-hops 2 --client-header forwarded --key-header x-api-key";
    let app = start(&flags.split(' ').collect::<Vec<_>>());
    for (key, forwarded, status) in [
        ("a", "", StatusCode::OK),
        ("b", "", StatusCode::OK),
        (
            "a",
            "for=192.0.2.1, for=10.0.0.1",
            StatusCode::TOO_MANY_REQUESTS,
        ),
        ("", "for=192.0.2.1, for=10.0.0.1", StatusCode::OK),
        ("", "for=\"x, for=192.0.2.1, for=unknown", StatusCode::OK),
        (
            "",
            "for=\"x, for=192.0.2.1, for=10.0.0.1",
            StatusCode::TOO_MANY_REQUESTS,
        ),
    ] {
        let mut request = request(Method::GET, "/items/1", Body::empty());
        for (name, value) in [("x-api-key", key), ("forwarded", forwarded)] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        assert_eq!(
            send(&app, request).await.status,
            status,
            "{key} {forwarded}"
        );
    }
}

#[test]
fn flags_that_cannot_be_used_are_refused() {
    for flags in [
        "--listen ::1",
        "--client-header forwarded",
        "--trusted-proxy 10.0.0.0/33",
        "--trusted-hops 0",
        "--trusted-hops 256",
        "--ipv6-prefix 0",
        "--ipv6-prefix 129",
        "--key-header a=b",
        "--adaptive fast",
    ] {
        let line = ["axum-api"].into_iter().chain(flags.split(' '));
        let refusal = Flags::try_parse_from(line).unwrap_err();
        assert_eq!(refusal.exit_code(), 2, "{refusal}");
    }
}

#[tokio::test]
async fn profiles_are_for_those_who_ask_for_them() {
    const PATH: &str = "/debug/pprof/heap";
    assert_eq!(get(&start(&[]), PATH).await.status, StatusCode::NOT_FOUND);
    // The tests run without profiling, whatever they are built with.
    let answer = get(&start(&["--pprof"]), PATH).await;
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED);
    let why = String::from_utf8(answer.body).unwrap();
    assert!(why.contains("_RJEM_MALLOC_CONF=prof:true"), "{why}");
}
