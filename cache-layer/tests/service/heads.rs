//! What the answer to a HEAD says of what is stored for GET (RFC 9111 section 4.3.5).

use crate::support::*;
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn it_renews_what_is_the_same_and_makes_stale_what_is_not() {
    const SAME: (&str, &str) = ("etag", "\"e\"");
    for (status, fields, then) in [
        (200, &[FRESH, SAME][..], "renewed"),
        (200, &[FRESH, SAME, ("content-length", "5")], "renewed"),
        (200, &[FRESH], "renewed"),
        (200, &[FRESH, SAME, ("content-length", "6")], "stale"),
        (200, &[FRESH, ("etag", "\"f\"")], "stale"),
        (200, &[FRESH, ("etag", "W/\"e\"")], "stale"),
        (200, &[("cache-control", "no-store"), SAME], "stale"),
        (404, &[FRESH, ("etag", "\"f\"")], "as it was"),
        (304, &[FRESH, ("etag", "\"f\"")], "as it was"),
        (500, &[], "as it was"),
    ] {
        let origin = Origin::new(move |_, request| {
            if request.method() == "GET" {
                return answer(
                    &[("cache-control", "max-age=10"), SAME, ("x-old", "1")],
                    "hello",
                );
            }
            let fields = [fields, &[("x-new", "1")]].concat();
            let mut response = answer(&fields, "");
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        });
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        advance(Duration::from_secs(5)).await;
        // Past the store by the client's wish: what is there is fresh.
        let asked = request("HEAD", "http://a/x", &[("cache-control", "no-cache")]);
        let head = ask(&cache, asked).await;
        assert_eq!((head.status, head.cache()), (status, "fwd=request"));
        let seen = ask(&cache, get("http://a/x")).await;
        let what = match (seen.cache(), seen.field("x-new")) {
            ("hit", Some(_)) => "renewed",
            ("hit", None) => "as it was",
            _ => "stale",
        };
        assert_eq!((what, seen.text()), (then, "hello"), "{status} {fields:?}");
        if then == "renewed" {
            assert_eq!(
                (seen.field("age"), seen.field("x-old")),
                (Some("0"), Some("1"))
            );
            advance(Duration::from_secs(59)).await;
            assert_eq!(ask(&cache, get("http://a/x")).await.cache(), "hit");
        }
    }
}
