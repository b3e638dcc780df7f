//! Settings, and the handle.

use crate::support::*;
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

#[tokio::test(start_paused = true)]
async fn our_own_lifetimes_do_not_end_together() {
    let origin = Origin::new(|_, _| answer(&[], "x"));
    let layer = layer()
        .default_ttl(Duration::from_secs(100))
        .ttl_jitter(0.5);
    let cache = layer.layer(origin.clone());
    let uri = |n| format!("http://a/{n}");
    for n in 0..200 {
        ask(&cache, get(&uri(n))).await;
    }
    let count = async |cache: &_| {
        let mut fresh = 0;
        for n in 0..200 {
            let asked = request("GET", &uri(n), &[("cache-control", "only-if-cached")]);
            fresh += usize::from(ask(cache, asked).await.status == 200);
        }
        fresh
    };
    advance(Duration::from_secs(49)).await;
    assert_eq!(
        count(&cache).await,
        200,
        "never more than the share is taken off"
    );
    advance(Duration::from_secs(26)).await;
    let half = count(&cache).await;
    assert!(
        (60..140).contains(&half),
        "{half} of 200 left at the middle of the span"
    );
    advance(Duration::from_secs(25)).await;
    assert_eq!(count(&cache).await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_longest_settings_work() {
    let origin = Origin::new(|_, _| answer(&[], "x"));
    let layer = layer()
        .default_ttl(Duration::MAX)
        .ttl_jitter(1.0)
        .collapse_wait(Duration::MAX)
        .fill_timeout(Duration::MAX)
        .min_ttl(Duration::MAX)
        .max_ttl(Duration::MAX)
        .negative_ttl([404], Duration::MAX)
        .max_entry_bytes(u64::MAX)
        .max_header_bytes(u64::MAX)
        .max_vary_names(usize::MAX);
    let cache = layer.layer(origin.clone());
    ask(&cache, get("http://a/x")).await;
    assert_eq!(ask(&cache, get("http://a/x")).await.cache(), "hit");
}

#[tokio::test(start_paused = true)]
async fn clear_and_namespaces() {
    let origin = Origin::new(|_, _| answer(&[FRESH], "x"));
    let (cache, handle) = cached(&origin);
    for n in 0..10 {
        ask(&cache, get(&format!("http://a/{n}"))).await;
    }
    assert_eq!(handle.stats().entries, 10);
    handle.clear();
    assert_eq!(handle.stats().entries, 0);
    soon_holds_at_most(&handle, 0);
    assert_eq!(
        ask(&cache, get("http://a/1")).await.cache(),
        "fwd=uri-miss; stored"
    );
    assert_eq!(ask(&cache, get("http://a/1")).await.cache(), "hit");
}

#[test]
fn settings_that_cannot_work_say_so() {
    let message = |f: fn()| {
        let panic = std::panic::catch_unwind(f).expect_err("must be refused");
        panic
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
    };
    let small = "max_bytes is 4095, but a cache needs at least 4096";
    assert_eq!(message(|| drop(cache_layer::CacheLayer::new(4095))), small);
    assert_eq!(
        cache_layer::CacheLayer::try_new(4095)
            .unwrap_err()
            .to_string(),
        small
    );
    let jitter = "ttl_jitter is 1.5, but must be from 0.0 to 1.0";
    assert_eq!(message(|| drop(layer().ttl_jitter(1.5))), jitter);
    assert!(message(|| drop(layer().ttl_jitter(f64::NAN))).contains("NaN"));
    let _ = layer()
        .default_ttl(Duration::MAX)
        .collapse_wait(Duration::MAX);
    assert!(message(|| drop(layer().fill_timeout(Duration::ZERO))).contains("fill_timeout is 0"));
    for name in ["", "caf\u{e9}", "line\n", &"x".repeat(65)] {
        let name = name.to_owned();
        let refused = std::panic::catch_unwind(|| drop(layer().cache_name(&name)));
        assert!(refused.is_err(), "{name:?}");
    }
    let minute = Duration::from_secs(60);
    let relative = std::panic::catch_unwind(|| drop(layer().grpc_method("a.B/C", minute)));
    assert!(relative.is_err());
    assert!(message(|| drop(layer().grpc_method("/a.B/C", Duration::ZERO))).contains("is 0 s"));
    assert_eq!(
        message(|| drop(layer().max_header_bytes(0))),
        "max_header_bytes is 0, but must be at least 1"
    );
    assert_eq!(
        message(|| drop(layer().max_ttl(Duration::ZERO))),
        "max_ttl is 0 s, but must be longer"
    );
    assert_eq!(
        message(|| drop(layer().max_variants(257))),
        "max_variants is 257, but must be from 1 to 256"
    );
    assert_eq!(
        message(|| drop(layer().time_to_idle(Duration::ZERO))),
        "time_to_idle is 0 s, but must be longer"
    );
    assert_eq!(
        message(|| drop(layer().refresh_ahead(f64::NAN))),
        "refresh_ahead is NaN, but must be from 0.0 to 0.5"
    );
    let bounds = "min_ttl is 61s, but must be at most max_ttl, which is 60s";
    let (most, least) = (Duration::from_secs(60), Duration::from_secs(61));
    for f in [
        (|most, least| drop(layer().max_ttl(most).min_ttl(least))) as fn(_, _),
        |most, least| drop(layer().min_ttl(least).max_ttl(most)),
        |most, least| drop(layer().max_ttl(most).namespaced("n").min_ttl(least)),
    ] {
        let refused = std::panic::catch_unwind(|| f(most, least)).expect_err("must be refused");
        assert_eq!(refused.downcast_ref::<String>().unwrap(), bounds);
        f(least, least);
    }
    let negative = "the ttl of negative_ttl is 0 s, but must be longer";
    assert_eq!(
        message(|| drop(layer().negative_ttl([404], Duration::ZERO))),
        negative
    );
    for status in [
        0, 200, 304, 399, 400, 401, 402, 407, 408, 412, 413, 416, 421, 425, 428, 429, 431, 505,
        511, 600,
    ] {
        let refused = std::panic::catch_unwind(|| {
            drop(layer().negative_ttl([404, status], Duration::from_secs(1)));
        });
        let refused = refused.expect_err("must be refused");
        let said = refused.downcast_ref::<String>().unwrap();
        assert!(said.starts_with(&format!(
            "negative_ttl is for status {status}, but must be for"
        )));
    }
    let late = || {
        let layer = layer();
        let _handle = layer.handle();
        drop(layer.clone().max_entry_bytes(1));
    };
    assert!(message(late).contains("before its handle is taken"));
}
