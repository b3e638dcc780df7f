//! What clients of a cached service see: hits and their fields, HEAD, their own directives,
//! invalidation by requests and by the handle.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, extract::Request, routing::get};
use cache_layer::CacheLayer;
use end_to_end::{
    body,
    cached::{Cached, FRESH},
    client::{Answer, Client, request},
    serve::Server,
};
use http::{Method, StatusCode};

#[tokio::test]
async fn a_hit_carries_age_and_cache_status_and_never_reaches_the_service() {
    let cached = Cached::new(&[
        ("cache-control", "max-age=60"),
        ("etag", "\"one\""),
        ("x-own", "kept"),
    ])
    .await;
    let miss = cached.get("/").await;
    let hit = cached.get("/").await;

    assert_eq!((miss.text(), hit.text()), ("0", "0"));
    assert_eq!(
        (miss.field("content-length"), hit.field("content-length")),
        (Some("1"), Some("1"))
    );
    assert_eq!(miss.field("age"), None);
    assert_eq!(hit.field("age"), Some("0"));
    let status = |answer: &Answer| {
        answer
            .field("cache-status")
            .expect("a Cache-Status")
            .to_owned()
    };
    assert!(
        status(&miss).contains("; fwd=uri-miss") && status(&miss).contains("; stored"),
        "{}",
        status(&miss)
    );
    assert!(
        status(&hit).contains("; hit") && !status(&hit).contains("fwd"),
        "{}",
        status(&hit)
    );
    for name in ["etag", "x-own", "cache-control", "date"] {
        assert!(hit.headers.contains_key(name), "{name} is lost");
    }
    assert_eq!(cached.reached(), 1);
}

#[tokio::test]
async fn an_age_from_upstream_counts() {
    let cached = Cached::new(&[("cache-control", "max-age=60"), ("age", "50")]).await;
    cached.get("/").await;
    let age: u32 = cached
        .get("/")
        .await
        .field("age")
        .expect("an Age")
        .parse()
        .expect("a number");
    assert!((50..55).contains(&age), "{age}");
    assert_eq!(cached.reached(), 1);
}

#[tokio::test]
async fn head_is_answered_from_get_and_never_the_other_way() {
    let cached = Cached::new(FRESH).await;
    assert_eq!(cached.send(Method::HEAD, "/").await.body.len(), 0);
    let get = cached.get("/").await;
    assert_eq!(get.text(), "1", "an answer to HEAD is none to GET");
    let head = cached.send(Method::HEAD, "/").await;
    assert_eq!(head.field("content-length"), Some("1"));
    assert!(head.field("age").is_some() && head.body.is_empty());
    assert_eq!(
        cached.get("/").await.text(),
        "1",
        "HEAD takes nothing from the stored body"
    );
    assert_eq!(cached.reached(), 2);
}

#[tokio::test]
async fn a_client_with_no_cache_or_no_store_gets_what_it_asked_for() {
    let cached = Cached::new(FRESH).await;
    let unstored = cached.get_with("/", "cache-control", "no-store").await;
    let stored = cached.get("/").await;
    let reloaded = cached.get_with("/", "cache-control", "no-cache").await;
    let after = cached.get("/").await;
    assert_eq!(
        (
            unstored.text(),
            stored.text(),
            reloaded.text(),
            after.text()
        ),
        ("0", "1", "2", "2")
    );
    let absent = cached
        .get_with("/none", "cache-control", "only-if-cached")
        .await;
    assert_eq!(absent.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(cached.reached(), 3);
}

#[tokio::test]
async fn an_unsafe_request_invalidates_its_target_and_nothing_else() {
    let cached = Cached::new(FRESH).await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let (before, beside) = (cached.get("/a?x=1").await, cached.get("/a?x=2").await);
        cached.send(method.clone(), "/a?x=1").await;
        let (after, unmoved) = (cached.get("/a?x=1").await, cached.get("/a?x=2").await);
        assert_ne!(before.text(), after.text(), "{method}");
        assert_eq!(beside.text(), unmoved.text(), "{method}");
    }
}

#[tokio::test]
async fn a_failed_unsafe_request_invalidates_nothing() {
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = reached.clone();
    let answer = move |request: Request| {
        let number = counter.fetch_add(1, Ordering::SeqCst).to_string();
        let refused = request.method() == Method::POST;
        async move {
            let status = if refused {
                StatusCode::FORBIDDEN
            } else {
                StatusCode::OK
            };
            (status, [("cache-control", "max-age=60")], number)
        }
    };
    let server = Server::axum(
        Router::new()
            .fallback(answer)
            .layer(CacheLayer::new(1 << 20)),
    )
    .await;
    let (client, url) = (Client::http1(), server.url("/"));
    let before = client.get(&url).await;
    client
        .fetch(request(Method::POST, &url))
        .await
        .expect("an answer");
    assert_eq!(client.get(&url).await.text(), before.text());
}

#[tokio::test]
async fn purge_takes_one_target_and_clear_takes_all() {
    let cached = Cached::new(FRESH).await;
    let (a, b) = (cached.get("/a").await, cached.get("/b").await);
    assert_eq!((a.text(), b.text()), ("0", "1"));
    let uri = cached.server.url("/a").parse().expect("a URI");
    cached.handle.purge(&uri);
    assert_eq!(cached.get("/a").await.text(), "2");
    assert_eq!(cached.get("/b").await.text(), "1");
    cached.handle.clear();
    assert_eq!(cached.get("/a").await.text(), "3");
    assert_eq!(cached.get("/b").await.text(), "4");
}

#[tokio::test]
async fn request_bodies_reach_the_service_untouched() {
    let echo = |body: axum::body::Bytes| async move { body };
    let server = Server::axum(Router::new().fallback(echo).layer(CacheLayer::new(1 << 20))).await;
    let sent: Vec<u8> = (0..3 << 20).map(|n: u32| n.to_le_bytes()[0]).collect();
    let post = http::Request::post(server.url("/"))
        .body(body::full(sent[..1 << 20].to_vec()))
        .expect("valid");
    let answer = Client::http1().fetch(post).await.expect("an answer");
    assert!(answer.body == sent[..1 << 20]);
}

#[tokio::test]
async fn nested_routers_share_a_cache_and_no_keys() {
    let cache = CacheLayer::new(1 << 20);
    let inner = |name: &'static str| {
        let page = move || async move { ([("cache-control", "max-age=60")], name) };
        Router::new().route("/page", get(page)).layer(cache.clone())
    };
    let router = Router::new()
        .nest("/one", inner("one"))
        .nest("/two", inner("two"));
    let server = Server::axum(router).await;
    let client = Client::http1();
    for _ in 0..2 {
        for name in ["one", "two"] {
            let answer = client.get(&server.url(&format!("/{name}/page"))).await;
            assert_eq!(answer.text(), name);
        }
    }
    assert_eq!(cache.handle().stats().hits, 2);
}
