//! Two nests under one layer: the service sees stripped paths, the cache must not.

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use axum::{Router, routing::get};
use cache_layer::CacheLayer;
use tower::ServiceExt;

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
