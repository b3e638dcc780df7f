//! Around and within axum's routers: what they choose by must be what the cache keys by.

use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, Request as Asked};
use axum::http::{Request, header};
use axum::{Router, routing::get};
use cache_layer::{CacheLayer, QueryPolicy, Spelling};
use tower::{Layer, Service, ServiceExt};

const FRESH: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "max-age=60")];

async fn see<S, R>(service: &S, uri: &str) -> String
where
    S: Service<Request<Body>, Response = axum::http::Response<R>> + Clone,
    S::Error: std::fmt::Debug,
    R: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
    R::Error: Into<axum::BoxError>,
{
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let body = Body::new(response.into_body());
    String::from_utf8(to_bytes(body, 100).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_router_that_tells_spellings_apart_has_them_kept_apart() {
    let router = || {
        Router::new()
            .route("/about", get(|| async { (FRESH, "about") }))
            .fallback(|| async { (FRESH, "nothing here") })
    };
    let within = router().layer(CacheLayer::new(1 << 20));
    for _ in 0..2 {
        assert_eq!(see(&within, "http://a/%61bout").await, "nothing here");
        assert_eq!(see(&within, "http://a/about").await, "about");
    }
    // Above it, one spelling is all that it sees.
    let layer = CacheLayer::new(1 << 20).spelling(Spelling::HostAndPath);
    let around = layer.layer(router());
    for uri in ["http://a/%61bout", "http://a/about"] {
        assert_eq!(see(&around, uri).await, "about");
    }
    assert_eq!(layer.handle().stats().hits, 1);
}

#[tokio::test]
async fn what_does_not_count_of_a_query_is_in_no_copy_of_it() {
    let policy = QueryPolicy::ignoring(["utm"]);
    let layer = CacheLayer::new(1 << 20).query_policy(policy);
    let tell = |OriginalUri(original): OriginalUri, asked: Asked| async move {
        (FRESH, format!("{original} {}", asked.uri()))
    };
    let app = Router::new().nest("/one", Router::new().route("/x", get(tell)).layer(layer));
    for uri in ["http://a/one/x?utm=evil&b=1", "http://a/one/x?b=1"] {
        assert_eq!(see(&app, uri).await, "http://a/one/x?b=1 http://a/x?b=1");
    }
}

#[tokio::test]
async fn nested_routers_share_a_cache_and_no_keys() {
    let layer = CacheLayer::new(1 << 20);
    let nest = |text: &'static str| {
        Router::new()
            .route(
                "/x",
                get(move || async move { ([(header::CACHE_CONTROL, "max-age=60")], text) }),
            )
            .layer(layer.clone())
    };
    let app = Router::new()
        .nest("/one", nest("one"))
        .nest("/two", nest("two"));
    for round in 0..2 {
        for text in ["one", "two"] {
            let request = Request::get(format!("http://a/{text}/x"));
            let response = app
                .clone()
                .oneshot(request.body(Body::empty()).unwrap())
                .await
                .unwrap();
            let hit = response.headers()["cache-status"] == "cache-layer; hit";
            assert_eq!(hit, round == 1);
            let body = to_bytes(response.into_body(), 100).await.unwrap();
            assert_eq!(body, text);
        }
    }
    assert!(layer.handle().purge(&"http://a/one/x".parse().unwrap()));
}
