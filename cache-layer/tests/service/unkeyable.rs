//! Requests that can have no key.

use crate::keys::{at, telling, with};
use crate::support::*;
use cache_layer::{QueryPolicy, Unkeyable};

#[tokio::test(start_paused = true)]
async fn hosts_that_contradict_are_refused_unless_said_otherwise() {
    let origin = telling();
    let strict = layer();
    let lenient = layer().bad_host(Unkeyable::Bypass);
    let asked = |method| {
        [
            request(method, "/x", &[("host", "a"), ("host", "a")]),
            request(method, "/x", &[("host", "a"), ("host", "b")]),
            request(method, "/x", &[("host", "a b")]),
            request(method, "/x", &[("host", "a, b")]),
            request(method, "/x", &[("host", "u@a")]),
            request(method, "/x", &[("host", "")]),
            request(method, "http://a/x", &[("host", "b")]),
            request(method, "http://a/x", &[("host", "a:81")]),
            request(method, "http://u@a/x", &[]),
        ]
    };
    for method in ["GET", "HEAD", "POST"] {
        let (cache, handle) = with(&origin, &strict.namespaced(method));
        for request in asked(method) {
            let seen = ask(&cache, request).await;
            assert_eq!((seen.status, seen.text()), (400, ""));
            assert_eq!(seen.field("cache-control"), Some("no-store"));
            assert_eq!(seen.field("cache-status"), None);
        }
        assert_eq!((handle.stats().bypassed, origin.calls()), (9, 0));
    }
    let (cache, handle) = with(&origin, &lenient);
    for request in asked("GET") {
        assert_eq!(ask(&cache, request).await.cache(), "fwd=bypass");
    }
    assert_eq!(
        ask(&cache, request("POST", "/x", &[("host", "")]))
            .await
            .cache(),
        "fwd=method"
    );
    assert_eq!((handle.stats().bypassed, handle.stats().entries), (9, 0));
    // A service within a process often has none.
    let (cache, _) = with(&origin, &strict);
    assert_eq!(ask(&cache, get("/x")).await.cache(), "fwd=bypass");
    assert_eq!(ask(&cache, at("A", "http://a/x")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_for_a_key_passes_by_or_is_refused_and_never_cut() {
    let origin = telling();
    let path = |length: usize| format!("/{}", "y".repeat(length - 1));
    let host = |length: usize| "h".repeat(length);
    for (host, target, refused) in [
        (host(255), path(8192), None),
        (host(1), path(8193), Some(414)),
        (host(256), path(1), Some(400)),
    ] {
        for overlong in [Unkeyable::Bypass, Unkeyable::Refuse] {
            let policy = QueryPolicy::ignoring(["y"]);
            let layer = layer().overlong(overlong).query_policy(policy);
            let (cache, handle) = with(&origin, &layer);
            let seen = ask(&cache, at(&host, &target)).await;
            match (refused, overlong) {
                (None, _) => assert_eq!(seen.cache(), "fwd=uri-miss; stored"),
                (Some(status), Unkeyable::Refuse) => {
                    assert_eq!((seen.status, seen.field("cache-status")), (status, None));
                    assert_eq!(seen.field("cache-control"), Some("no-store"));
                }
                (Some(_), _) => {
                    assert_eq!(seen.cache(), "fwd=bypass");
                    assert_eq!(seen.text(), format!("{host} {target}"));
                }
            }
            assert_eq!(handle.stats().bypassed, u64::from(refused.is_some()));
        }
    }
    let long = format!("http://a{}", path(8193));
    assert!(!layer().handle().purge(&long.parse().unwrap()));
}
