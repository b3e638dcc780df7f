//! Fields that no `Vary` names and that change answers all the same.

use crate::support::*;
use cache_layer::{Cache, CacheLayer, Overrides};
use http::HeaderName;
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

#[derive(Clone)]
struct LoadBalancer;

/// Answers with what it believes its host to be.
fn believing() -> Origin {
    Origin::new(|_, request| {
        let host = [
            "x-forwarded-host",
            "x_forwarded_host",
            "x-base",
            "forwarded",
        ]
        .iter()
        .find_map(|name| request.headers().get(*name));
        answer(
            &[FRESH],
            host.map_or("own", |host| host.to_str().unwrap()).to_owned(),
        )
    })
}

async fn see(cache: &Cache<Origin>, fields: &[(&str, &str)]) -> (u16, String) {
    let seen = ask(cache, request("GET", "http://a/x", fields)).await;
    (seen.status, seen.text().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_forged_field_reaches_its_forger_only() {
    let (cache, _) = cached(&believing());
    for (name, value) in [
        ("x-forwarded-host", "evil"),
        ("x_forwarded_host", "evil"),
        ("forwarded", "for=1.2.3.4;host=evil"),
        ("forwarded", "for=\"1.2.3.4;host=evil\""),
    ] {
        for _ in 0..2 {
            let (_, forged) = see(&cache, &[(name, value)]).await;
            assert!(forged.contains("evil"), "{forged}");
            assert_eq!(see(&cache, &[]).await, (200, "own".to_owned()), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_load_balancer_says_of_all_requests_costs_nothing() {
    let (cache, handle) = cached(&believing());
    for client in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        let forwarded = format!("for={client};host=a;proto=https");
        let fields = [
            ("x-forwarded-for", client),
            ("x-forwarded-proto", "https"),
            ("forwarded", &forwarded),
        ];
        see(&cache, &fields).await;
    }
    assert_eq!((handle.stats().hits, handle.stats().entries), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn fields_are_stripped_refused_or_ignored_by_choice() {
    let ways = [
        (Overrides::Strip, (200, "own"), (200, "own")),
        (Overrides::Refuse, (400, ""), (200, "own")),
        // Whoever comes first decides what all get.
        (Overrides::Ignore, (200, "evil"), (200, "evil")),
    ];
    for (overrides, forged, then) in ways {
        let origin = believing();
        let layer = layer().overrides(overrides);
        let (cache, handle) = (layer.layer(origin.clone()), layer.handle());
        let seen = see(&cache, &[("x-forwarded-host", "evil")]).await;
        assert_eq!((seen.0, &*seen.1), forged, "{overrides:?}");
        let seen = see(&cache, &[]).await;
        assert_eq!((seen.0, &*seen.1), then, "{overrides:?}");
        let refused = u64::from(overrides == Overrides::Refuse);
        assert_eq!(handle.stats().bypassed, refused);
        assert_eq!(origin.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_the_layers_own_and_stored_nowhere() {
    let origin = believing();
    let cache = layer().overrides(Overrides::Refuse).layer(origin.clone());
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let forged = request(method, "http://a/x", &[("x-original-url", "/y")]);
        let seen = ask(&cache, forged).await;
        assert_eq!((seen.status, seen.text()), (400, ""), "{method}");
        assert_eq!(seen.field("cache-control"), Some("no-store"));
        assert_eq!(seen.field("cache-status"), None);
    }
    let harmless = [("forwarded", "for=b"), ("x-forwarded-for", "c")];
    assert_eq!(see(&cache, &harmless).await, (200, "for=b".to_owned()));
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn writes_are_stripped_too() {
    let origin = Origin::new(|_, request| {
        let names = request.headers().keys().map(|name| name.as_str());
        answer(&[], names.collect::<Vec<_>>().join(" "))
    });
    let cache = layer().overrides(Overrides::Strip).layer(origin);
    let fields = [("x-forwarded-host", "b"), ("x-forwarded-for", "c")];
    for method in ["POST", "OPTIONS"] {
        let seen = ask(&cache, request(method, "http://a/x", &fields)).await;
        assert_eq!(seen.text(), "x-forwarded-for", "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn trusted_peers_are_believed_whatever_becomes_of_others() {
    for overrides in [Overrides::Strip, Overrides::Refuse, Overrides::Ignore] {
        let layer = layer()
            .overrides(overrides)
            .trusted_peers(|extensions| extensions.get::<LoadBalancer>().is_some());
        let cache = layer.layer(believing());
        let trusted = async |host: &'static str| {
            let mut asked = request("GET", "http://a/x", &[("x-forwarded-host", host)]);
            asked.extensions_mut().insert(LoadBalancer);
            let seen = ask(&cache, asked).await;
            (seen.text().to_owned(), seen.cache() == "hit")
        };
        assert_eq!(trusted("b").await, ("b".to_owned(), false));
        assert_eq!(trusted("c").await, ("c".to_owned(), false));
        assert_eq!(trusted("b").await, ("b".to_owned(), true));
        assert_eq!(see(&cache, &[]).await.1, "own", "{overrides:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_fields_by_choice() {
    let own = [HeaderName::from_static("x-base")];
    let cache = layer().override_fields(own).layer(believing());
    assert_eq!(see(&cache, &[("x-base", "evil")]).await.1, "evil");
    assert_eq!(see(&cache, &[]).await.1, "own");
    assert_eq!(see(&cache, &[("x-forwarded-host", "b")]).await.1, "own");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_has_what_the_key_is_made_of_and_nothing_of_the_client() {
    let origin = Origin::new(|call, request| {
        if call == 1 {
            let lines = request.headers().get_all("forwarded");
            let lines: Vec<_> = lines.iter().collect();
            assert_eq!(lines, ["host=b;proto=https"]);
            assert!(!request.headers().contains_key("x-forwarded-for"));
        }
        let said = "max-age=10, stale-while-revalidate=20";
        answer(&[("cache-control", said)], call.to_string())
    });
    let (cache, _) = cached(&origin);
    let by = |client: &str| {
        let forwarded = format!("for={client};host=b;proto=https, for=10.0.0.9");
        let fields = [("forwarded", &*forwarded), ("x-forwarded-for", client)];
        request("GET", "http://a/x", &fields)
    };
    assert_eq!(ask(&cache, by("10.0.0.1")).await.text(), "0");
    advance(Duration::from_secs(15)).await;
    assert_eq!(ask(&cache, by("10.0.0.2")).await.text(), "0");
    settle().await;
    assert_eq!(ask(&cache, by("10.0.0.3")).await.text(), "1");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_get_that_asks_for_another_method_passes_by_and_purges_nothing() {
    let origin = Origin::new(|call, _| answer(&[FRESH], call.to_string()));
    let (cache, handle) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    for name in [
        "x-http-method-override",
        "X-HTTP-Method",
        "x-method-override",
        "x-original-method",
        "X_HTTP_Method_Override",
    ] {
        for method in ["GET", "HEAD"] {
            let disguised = request(method, "http://a/x", &[(name, "DELETE")]);
            assert_eq!(ask(&cache, disguised).await.cache(), "fwd=bypass", "{name}");
        }
    }
    assert_eq!(ask(&cache, get("http://a/x")).await.cache(), "hit");
    assert_eq!(handle.stats().bypassed, 10);
    // A POST is a write in any disguise.
    let disguised = request("POST", "http://a/x", &[("x-http-method-override", "GET")]);
    assert_eq!(ask(&cache, disguised).await.cache(), "fwd=method");
    assert_ne!(ask(&cache, get("http://a/x")).await.cache(), "hit");
    // In the query it is part of the key.
    assert_eq!(
        ask(&cache, get("http://a/x?_method=DELETE")).await.cache(),
        "fwd=uri-miss; stored"
    );
}

#[test]
#[should_panic(
    expected = "override_fields has x-forwarded-for, but must have fields that say nothing"
)]
fn the_clients_address_is_no_override() {
    let client = HeaderName::from_static("x-forwarded-for");
    drop(CacheLayer::new(1 << 20).override_fields([client]));
}
