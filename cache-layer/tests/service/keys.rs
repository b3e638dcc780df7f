//! What a key is made of, and that the service sees what it says.

use crate::support::*;
use cache_layer::{Cache, CacheHandle, CacheLayer, Fetch, QueryPolicy, Spelling, Warm};
use http::{HeaderName, Request};
use std::time::Duration;
use tokio::time::advance;
use tower::Layer;

/// Answers with what it sees of the target.
pub(crate) fn telling() -> Origin {
    Origin::new(|_, request| {
        let host = request
            .headers()
            .get("host")
            .map(|host| host.to_str().unwrap());
        answer(
            &[FRESH],
            format!("{} {}", host.unwrap_or("-"), request.uri()),
        )
    })
}

pub(crate) fn with(origin: &Origin, layer: &CacheLayer) -> (Cache<Origin>, CacheHandle) {
    (layer.layer(origin.clone()), layer.handle())
}

pub(crate) fn at(host: &str, target: &str) -> Request<ClientBody> {
    request("GET", target, &[("host", host)])
}

#[tokio::test(start_paused = true)]
async fn spellings_of_a_host_share_what_the_service_saw_in_one_form() {
    let origin = telling();
    let (cache, handle) = with(&origin, &layer());
    for (host, target) in [("A.:80", "/x"), ("a", "/x"), ("a:", "/x"), ("a:080", "/x")] {
        assert_eq!(ask(&cache, at(host, target)).await.text(), "a /x");
    }
    let absolute = at("A", "http://a:80/x");
    assert_eq!(ask(&cache, absolute).await.cache(), "hit");
    assert_eq!((origin.calls(), handle.stats().hits), (1, 4));
    // Those of a path do not.
    let seen = ask(&cache, at("A", "/%78")).await;
    assert_eq!(
        (seen.text(), seen.cache()),
        ("a /%78", "fwd=uri-miss; stored")
    );

    assert!(handle.purge(&"http://A:80/x".parse().unwrap()));
    let seen = ask(&cache, at("A", "http://A:80/x")).await;
    assert_eq!(
        (seen.text(), seen.cache()),
        ("a http://a/x", "fwd=uri-miss; stored")
    );
    // What the cache has no part in is passed on as it is.
    let upgrade = request("GET", "/x", &[("host", "A"), ("upgrade", "b")]);
    let seen = ask(&cache, upgrade).await;
    assert_eq!((seen.text(), seen.cache()), ("A /x", "fwd=bypass"));
    // So is a write, and it counts for all spellings.
    let write = ask(&cache, request("POST", "/x", &[("host", "A")])).await;
    assert_eq!((write.text(), write.cache()), ("A /x", "fwd=method"));
    assert_ne!(ask(&cache, at("a", "/x")).await.cache(), "hit");
}

#[tokio::test(start_paused = true)]
async fn spellings_share_nothing_by_choice_and_a_purge_reaches_all_of_a_host() {
    let origin = telling();
    let (cache, handle) = with(&origin, &layer().spelling(Spelling::Exact));
    let all = [
        ("a", "/x"),
        ("A", "/x"),
        ("a:80", "/x"),
        ("a.", "/x"),
        ("a", "/%78"),
    ];
    for _ in 0..2 {
        for (host, target) in all {
            let seen = ask(&cache, at(host, target)).await;
            assert_eq!(seen.text(), format!("{host} {target}"));
        }
    }
    assert_eq!((origin.calls(), handle.stats().entries), (5, 5));
    assert!(handle.purge(&"http://A.:80/x".parse().unwrap()));
    for (host, target) in all {
        let gone = ask(&cache, at(host, target)).await.cache() != "hit";
        assert_eq!(gone, target == "/x", "{host} {target}");
    }
}

#[tokio::test(start_paused = true)]
async fn spellings_of_a_path_share_by_choice() {
    let origin = telling();
    let (cache, handle) = with(&origin, &layer().spelling(Spelling::HostAndPath));
    for (host, target) in [("A.:80", "/%78?%78"), ("a", "/x?%78"), ("A", "/%78?%78")] {
        assert_eq!(ask(&cache, at(host, target)).await.text(), "a /x?%78");
    }
    assert_eq!((origin.calls(), handle.stats().hits), (1, 2));
    assert_eq!(ask(&cache, at("a", "/%2f%2e")).await.text(), "a /%2F%2E");
    assert_eq!(ask(&cache, at("a", "/%2F%2E")).await.cache(), "hit");
    // The escape of something else is something else.
    assert_ne!(ask(&cache, at("a", "//.")).await.cache(), "hit");

    assert!(handle.purge(&"http://A:80/%78?%78".parse().unwrap()));
    assert_ne!(ask(&cache, at("a", "/x?%78")).await.cache(), "hit");
    let write = ask(&cache, request("POST", "/%78?%78", &[("host", "A")])).await;
    assert_eq!((write.text(), write.cache()), ("A /%78?%78", "fwd=method"));
    assert_ne!(ask(&cache, at("a", "/x?%78")).await.cache(), "hit");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_of_the_key_does_not_reach_the_service() {
    let origin = telling();
    let policy = QueryPolicy::ignoring(["utm", "gclid"]).sorted();
    let (cache, handle) = with(&origin, &layer().query_policy(policy));
    for (target, seen) in [
        ("/x?b=1&utm=evil&a=2", "a /x?a=2&b=1"),
        ("/x?a=2&b=1&gclid=3", "a /x?a=2&b=1"),
        ("/x?utm=evil", "a /x"),
        ("/x", "a /x"),
        ("/x?%75tm=1", "a /x?%75tm=1"),
        ("/x?b&utm=1;a=2", "a /x?b&utm=1;a=2"),
        ("/x?b&utm=1?a=2", "a /x?b&utm=1?a=2"),
    ] {
        assert_eq!(ask(&cache, at("a", target)).await.text(), seen);
        let head = ask(&cache, request("HEAD", target, &[("host", "a")])).await;
        assert_eq!(head.cache(), "hit");
    }
    assert_eq!((origin.calls(), handle.stats().entries), (5, 5));

    assert!(handle.purge(&"http://a/x?utm=7&b=1&a=2".parse().unwrap()));
    assert_ne!(ask(&cache, at("a", "/x?a=2&b=1")).await.cache(), "hit");
    let write = request("POST", "/x?b=1&utm=2&a=2", &[("host", "a")]);
    assert_eq!(ask(&cache, write).await.text(), "a /x?b=1&utm=2&a=2");
    assert_ne!(ask(&cache, at("a", "/x?a=2&b=1")).await.cache(), "hit");
}

#[tokio::test(start_paused = true)]
async fn only_named_parameters_reach_the_service() {
    let origin = telling();
    let policy = QueryPolicy::keeping(["id"]);
    let (cache, _) = with(&origin, &layer().query_policy(policy));
    for n in 0..5 {
        let target = format!("/x?flood={n}&id=1&%69d={n}");
        assert_eq!(ask(&cache, at("a", &target)).await.text(), "a /x?id=1");
    }
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_caches_own_requests_have_the_query_that_counts() {
    let origin = Origin::new(|call, request| {
        assert_eq!(request.uri().query(), Some("a=1"));
        if call > 0 {
            assert!(request.extensions().get::<Fetch>().is_some());
        }
        let said = "max-age=10, stale-while-revalidate=20";
        answer(&[("cache-control", said)], call.to_string())
    });
    let policy = QueryPolicy::ignoring(["utm"]);
    let (cache, handle) = with(&origin, &layer().query_policy(policy));
    assert_eq!(ask(&cache, get("http://a/x?a=1&utm=1")).await.text(), "0");
    advance(Duration::from_secs(15)).await;
    assert_eq!(ask(&cache, get("http://a/x?utm=2&a=1")).await.text(), "0");
    settle().await;
    assert_eq!(ask(&cache, get("http://a/x?a=1")).await.text(), "1");
    let hot = [get("http://a/x?utm=3&a=1")];
    let warmed = handle.warm(cache.clone(), hot, &Warm::new()).await;
    assert_eq!(warmed.stored, 1);
    assert_eq!(ask(&cache, get("http://a/x?a=1&utm=4")).await.text(), "2");
}

#[tokio::test(start_paused = true)]
async fn rules_of_answers_hold_for_what_is_left_of_a_query() {
    let origin = Origin::new(|call, _| {
        answer(
            &[FRESH, ("no-vary-search", "params=(\"u\")")],
            call.to_string(),
        )
    });
    let policy = QueryPolicy::ignoring(["utm"]).sorted();
    let layer = layer().query_policy(policy).no_vary_search(true);
    let (cache, handle) = with(&origin, &layer);
    for target in ["http://a/x?b=1&a=1&u=1", "http://a/x?u=2&utm=1&a=1&b=1"] {
        assert_eq!(ask(&cache, get(target)).await.text(), "0");
    }
    assert!(handle.purge(&"http://a/x?utm=3&b=1&a=1&u=9".parse().unwrap()));
    assert_eq!(ask(&cache, get("http://a/x?a=1&b=1")).await.text(), "1");
}

#[tokio::test(start_paused = true)]
async fn fields_of_choice_are_part_of_the_key_and_of_refreshes() {
    let origin = Origin::new(|call, request| {
        let market = request.headers().get("x-market");
        let market = market.map_or("none", |market| market.to_str().unwrap());
        let said = "public, max-age=10, stale-while-revalidate=20";
        answer(&[("cache-control", said)], format!("{market} {call}"))
    });
    let market = HeaderName::from_static("x-market");
    let (cache, handle) = with(&origin, &layer().key_headers([market]));
    let of = |market| request("GET", "http://a/x", &[("x-market", market)]);
    assert_eq!(ask(&cache, of("ch")).await.text(), "ch 0");
    assert_eq!(ask(&cache, get("http://a/x")).await.text(), "none 1");
    assert_eq!(ask(&cache, of("")).await.text(), " 2");
    assert_eq!(ask(&cache, of("ch")).await.text(), "ch 0");
    advance(Duration::from_secs(15)).await;
    assert_eq!(ask(&cache, of("ch")).await.text(), "ch 0");
    settle().await;
    assert_eq!(ask(&cache, of("ch")).await.text(), "ch 3");
    assert!(handle.purge(&"http://a/x".parse().unwrap()));
    assert_eq!(ask(&cache, of("ch")).await.text(), "ch 4");
}

#[tokio::test(start_paused = true)]
async fn what_is_keyed_by_credentials_is_never_fetched_in_the_background() {
    let origin = Origin::new(|call, request| {
        assert!(request.headers().contains_key("authorization"));
        let said = "public, max-age=10, stale-while-revalidate=20";
        answer(&[("cache-control", said)], call.to_string())
    });
    let layer = layer().key_headers([http::header::AUTHORIZATION]);
    let cache = layer.layer(origin);
    let of = |user| request("GET", "http://a/x", &[("authorization", user)]);
    assert_eq!(ask(&cache, of("Basic eA==")).await.text(), "0");
    assert_eq!(ask(&cache, of("Basic eQ==")).await.text(), "1");
    advance(Duration::from_secs(15)).await;
    let seen = ask(&cache, of("Basic eA==")).await;
    assert_eq!((seen.text(), seen.cache()), ("2", "fwd=stale; stored"));
}

#[derive(Clone)]
struct Tenant(&'static str);

fn of_tenant(tenant: &'static str, method: &str) -> Request<ClientBody> {
    let mut request = request(method, "http://a/x", &[]);
    request.extensions_mut().insert(Tenant(tenant));
    request
}

fn tenants() -> (Origin, CacheLayer) {
    let origin = Origin::new(|call, request| {
        let tenant = request.extensions().get::<Tenant>();
        let tenant = tenant.map_or("nobody", |tenant| tenant.0);
        let said = "max-age=10, stale-while-revalidate=20";
        answer(
            &[("cache-control", said), ("content-location", "/x")],
            format!("{tenant} {call}"),
        )
    });
    let layer = layer().key_by(|_, extensions| Some(extensions.get::<Tenant>()?.0));
    (origin, layer)
}

#[tokio::test(start_paused = true)]
async fn owners_share_nothing_and_a_purge_reaches_them_all() {
    let (origin, layer) = tenants();
    let (cache, handle) = with(&origin, &layer);
    for _ in 0..2 {
        assert_eq!(ask(&cache, of_tenant("a", "GET")).await.text(), "a 0");
        assert_eq!(ask(&cache, of_tenant("b", "GET")).await.text(), "b 1");
    }
    for calls in [2, 3] {
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!(
            (seen.text(), seen.cache()),
            (&*format!("nobody {calls}"), "fwd=bypass")
        );
    }
    // Nobody's write is a write all the same.
    ask(&cache, request("POST", "http://a/x", &[])).await;
    assert_eq!(ask(&cache, of_tenant("a", "GET")).await.text(), "a 5");
    assert_eq!(ask(&cache, of_tenant("b", "GET")).await.text(), "b 6");
    assert!(handle.purge(&"http://a/x".parse().unwrap()));
    assert_eq!(ask(&cache, of_tenant("a", "GET")).await.text(), "a 7");
}

#[tokio::test(start_paused = true)]
async fn an_owners_answer_is_fetched_in_the_background_only_on_his_behalf() {
    for carries in [false, true] {
        let (origin, layer) = tenants();
        let layer = if carries {
            layer.carry_extension::<Tenant>()
        } else {
            layer
        };
        let (cache, _) = with(&origin, &layer);
        assert_eq!(ask(&cache, of_tenant("a", "GET")).await.text(), "a 0");
        advance(Duration::from_secs(15)).await;
        let seen = ask(&cache, of_tenant("a", "GET")).await;
        let expected = if carries {
            ("a 0", "hit")
        } else {
            ("a 1", "fwd=stale; stored")
        };
        assert_eq!((seen.text(), seen.cache()), expected);
        settle().await;
        assert_eq!(ask(&cache, of_tenant("a", "GET")).await.text(), "a 1");
        assert_eq!(origin.calls(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_post_is_stored_only_under_what_the_service_saw() {
    let (origin, layer) = tenants();
    let policy = QueryPolicy::ignoring(["utm"]);
    let layer = layer.store_post(true).query_policy(policy);
    let (cache, _) = with(&origin, &layer);
    ask(&cache, of_tenant("a", "POST")).await;
    assert_eq!(ask(&cache, of_tenant("a", "GET")).await.text(), "a 0");
    let mut other = of_tenant("b", "POST");
    *other.uri_mut() = "http://a/x?utm=evil".parse().unwrap();
    assert_eq!(ask(&cache, other).await.cache(), "fwd=method");
    assert_eq!(ask(&cache, of_tenant("b", "GET")).await.text(), "b 2");
    assert_eq!(
        ask(&cache, request("POST", "http://a/x", &[]))
            .await
            .cache(),
        "fwd=method"
    );
}
