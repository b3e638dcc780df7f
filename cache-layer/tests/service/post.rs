//! Answers to POST that answer later GET requests (RFC 9110 section 9.3.3).

use crate::support::*;
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn only_what_a_get_would_have_got_for_a_stated_time() {
    const HERE: (&str, &str) = ("content-location", "/x");
    for (on, client, fields, stored) in [
        (true, &[][..], &[FRESH, HERE][..], true),
        (
            true,
            &[],
            &[FRESH, ("content-location", "http://A:80/x")],
            true,
        ),
        (false, &[], &[FRESH, HERE], false),
        (true, &[], &[FRESH], false),
        (true, &[], &[FRESH, ("content-location", "/y")], false),
        (
            true,
            &[],
            &[FRESH, ("content-location", "http://b/x")],
            false,
        ),
        (true, &[], &[HERE], false),
        (
            true,
            &[],
            &[HERE, ("cache-control", "private, max-age=60")],
            false,
        ),
        (
            true,
            &[("cache-control", "no-store")],
            &[FRESH, HERE],
            false,
        ),
        (
            true,
            &[("authorization", "Basic eA==")],
            &[FRESH, HERE],
            false,
        ),
    ] {
        let origin = Origin::new(move |call, request| match request.method().as_str() {
            "POST" => answer(fields, format!("post {call}")),
            _ => answer(&[FRESH], format!("get {call}")),
        });
        let layer = layer().store_post(on).default_ttl(Duration::from_secs(60));
        let cache = layer.layer(origin.clone());
        ask(&cache, get("http://a/x")).await;
        let post = ask(&cache, request("POST", "http://a/x", client)).await;
        let outcome = if stored {
            "fwd=method; stored"
        } else {
            "fwd=method"
        };
        assert_eq!(
            (post.text(), post.cache()),
            ("post 1", outcome),
            "{client:?} {fields:?}"
        );
        settle().await;
        let text = if stored { "post 1" } else { "get 2" };
        assert_eq!(
            ask(&cache, get("http://a/x")).await.text(),
            text,
            "{fields:?}"
        );
        // Never another POST.
        let again = ask(&cache, request("POST", "http://a/x", client)).await;
        assert!(again.text().starts_with("post ") && again.text() != "post 1");
        advance(Duration::from_secs(60)).await;
        assert!(
            ask(&cache, get("http://a/x"))
                .await
                .text()
                .starts_with("get ")
        );
    }
}
