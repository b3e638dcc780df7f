//! Requests with credentials, under whatever name: what of their answers is stored, for whom, and what
//! of them reaches the service on the cache's own behalf.

use crate::support::*;
use cache_layer::{CacheLayer, Cookies, Credentials, Fetch, Warm};
use futures_util::FutureExt;
use http::{HeaderName, Request, header};
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

const DEFAULT: [&str; 5] = [
    "authorization",
    "api-key",
    "x-access-token",
    "x-api-key",
    "x-auth-token",
];
const OWN: HeaderName = HeaderName::from_static("x-my-key");

fn with(name: &str, value: &str) -> Request<ClientBody> {
    request("GET", "http://a/x", &[(name, value)])
}

#[tokio::test(start_paused = true)]
async fn every_named_field_counts_as_authorization_does() {
    for (layer, counting) in [
        (layer(), &DEFAULT[..]),
        (
            layer().credential_headers([OWN]),
            &["authorization", "x-my-key"],
        ),
        (layer().credential_headers([]), &["authorization"]),
    ] {
        for name in DEFAULT.into_iter().chain(["x-my-key"]) {
            for (said, shared) in [
                ("max-age=60", false),
                ("max-age=60, immutable", false),
                ("max-age=60, proxy-revalidate", false),
                ("max-age=60, must-revalidate", true),
                ("s-maxage=60", true),
                ("public, max-age=60", true),
            ] {
                let fields = [("cache-control", said)];
                let origin = Origin::new(move |call, _| answer(&fields, call.to_string()));
                let cache = layer.namespaced(format!("{name} {said}")).layer(origin);
                let shared = shared || !counting.contains(&name);
                ask(&cache, with(name, "one")).await;
                // Neither for another client, nor for the same one, nor for those who have none.
                for later in [with(name, "two"), with(name, "one"), get("http://a/x")] {
                    let seen = ask(&cache, later).await;
                    assert_eq!(seen.text() == "0", shared, "{name}: {said}");
                }
                // What is stored for those is not for who has some.
                let seen = ask(&cache, with(name, "two")).await;
                assert_eq!(seen.cache() == "hit", shared, "{name}: {said}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_credentials_of_any_name_waits_for_nobody() {
    for (name, waits) in [("x-my-key", false), ("x-api-key", true)] {
        let (mut origin, service) = manual();
        let cache = layer().credential_headers([OWN]).layer(service);
        let clients: Vec<_> = (0..3)
            .map(|_| tokio::spawn(cache.clone().oneshot(with(name, "one"))))
            .collect();
        settle().await;
        let mut asked = Vec::new();
        while let Some(Some(pending)) = origin.recv().now_or_never() {
            asked.push(pending);
        }
        assert_eq!(asked.len(), if waits { 1 } else { 3 }, "{name}");
        for (number, (_, respond)) in asked.into_iter().enumerate() {
            respond
                .send(answer(&[FRESH], number.to_string()))
                .ok()
                .unwrap();
        }
        let mut bodies = Vec::new();
        for client in clients {
            bodies.push(read(client.await.unwrap().unwrap()).await.text().to_owned());
        }
        bodies.sort();
        bodies.dedup();
        assert_eq!(
            bodies.len(),
            if waits { 1 } else { 3 },
            "{name}: each his own"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_with_credentials_is_told_nothing_of_a_fill_for_others() {
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let leader = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let script = answered(&mut origin, &[FRESH]).await;
    let leader = leader.await.unwrap().unwrap();
    let other = tokio::spawn(cache.clone().oneshot(with("x-api-key", "one")));
    settle().await;
    let (asked, respond) = origin.try_recv().expect("he asks for himself");
    assert_eq!(asked.headers()["x-api-key"], "one");
    respond.send(answer(&[FRESH], "his own")).ok().unwrap();
    let other = read(other.await.unwrap().unwrap()).await;
    assert_eq!((other.text(), other.cache()), ("his own", "fwd=uri-miss"));
    script.data("for all");
    drop(script);
    assert_eq!(read(leader).await.text(), "for all");
    settle().await;
    assert_eq!(
        read(cache.oneshot(get("http://a/x")).await.unwrap())
            .await
            .text(),
        "for all"
    );
}

#[tokio::test(start_paused = true)]
async fn no_request_of_the_caches_own_carries_credentials() {
    let said = "public, max-age=10, stale-while-revalidate=20";
    let origin = Origin::new(move |call, request| {
        if request.extensions().get::<Fetch>().is_some() {
            let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
            assert_eq!(names, ["user-agent"]);
        }
        let fields = [("cache-control", said), ("vary", "user-agent")];
        answer(&fields, call.to_string())
    });
    let layer = layer()
        .credential_headers([OWN])
        .vary_on([header::USER_AGENT]);
    let cache = layer.layer(origin.clone());
    let asked = || {
        let secrets = ["authorization", "cookie", "x-my-key"].map(|name| (name, "secret"));
        let fields = [&[("user-agent", "x")], &secrets[..]].concat();
        request("GET", "http://a/x", &fields)
    };
    ask(&cache, asked()).await;
    advance(Duration::from_secs(15)).await;
    assert_eq!(ask(&cache, asked()).await.text(), "0");
    settle().await;
    assert_eq!(ask(&cache, asked()).await.text(), "1");

    // What is part of the key and a secret cannot be asked for without it.
    let field = HeaderName::from_static("x-forwarded-host");
    let layer = layer.namespaced("host").credential_headers([field]);
    let cache = layer.layer(origin.clone());
    let fields = [("user-agent", "x"), ("x-forwarded-host", "secret")];
    for text in ["2", "2"] {
        let seen = ask(&cache, request("GET", "http://a/x", &fields)).await;
        assert_eq!(seen.text(), text);
        advance(Duration::from_secs(15)).await;
        settle().await;
    }
    assert_eq!(origin.calls(), 3);

    let own = request("GET", "http://a/y", &[("user-agent", "x")]);
    let warmed = layer.handle().warm(cache, [own], &Warm::new()).await;
    assert_eq!((warmed.stored, origin.calls()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn requests_with_credentials_pass_by_choice() {
    let all = ("cache-control", "public, max-age=60");
    let origin = Origin::new(move |call, request| {
        let mut response = answer(&[all], call.to_string());
        if request.method() == "POST" {
            let location = "http://a/x".parse().unwrap();
            response.headers_mut().insert("content-location", location);
        }
        response
    });
    let choices: [(CacheLayer, &[&str]); 2] = [
        (
            layer().credentials(Credentials::Bypass),
            &["authorization", "x-api-key"],
        ),
        (layer().cookies(Cookies::Bypass), &["cookie"]),
    ];
    for (layer, names) in choices {
        let layer = layer.store_post(true);
        let cache = layer.layer(origin.clone());
        for name in names {
            let fields = [(*name, "secret")];
            for method in ["GET", "HEAD", "GET"] {
                let seen = ask(&cache, request(method, "http://a/x", &fields)).await;
                assert_eq!(seen.cache(), "fwd=bypass", "{method} {name}");
            }
            assert_eq!(layer.handle().stats().entries, 0, "{name}");
            // Nor is what is there for others theirs, or gone.
            ask(&cache, get("http://a/x")).await;
            assert_eq!(
                ask(&cache, with(name, "secret")).await.cache(),
                "fwd=bypass"
            );
            assert_eq!(ask(&cache, get("http://a/x")).await.cache(), "hit");
            // A write counts whoever it is from; what comes back is his own.
            let post = || request("POST", "http://a/x", &fields);
            assert_eq!(ask(&cache, post()).await.cache(), "fwd=method", "{name}");
            assert_eq!(
                ask(&cache, get("http://a/x")).await.cache(),
                "fwd=uri-miss; stored"
            );
            assert_eq!(ask(&cache, post()).await.cache(), "fwd=method", "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_post_is_for_others_as_any_is() {
    for (fields, stored) in [
        (&[][..], true),
        (&[("x-api-key", "one")], false),
        (&[("cookie", "id=1")], false),
        (&[("x-http-method-override", "DELETE")], false),
    ] {
        let origin = Origin::new(|_, _| answer(&[FRESH, ("content-location", "http://a/x")], "x"));
        let cache = layer().store_post(true).layer(origin);
        ask(&cache, request("POST", "http://a/x", fields)).await;
        let hit = ask(&cache, get("http://a/x")).await.cache() == "hit";
        assert_eq!(hit, stored, "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_varies_on_cookies_serves_the_very_same_by_choice() {
    for allowed in [false, true] {
        let origin = Origin::new(|call, _| {
            let said = ("cache-control", "max-age=10, stale-while-revalidate=20");
            answer(
                &[said, ("vary", "cookie"), ("etag", &format!("\"{call}\""))],
                call.to_string(),
            )
        });
        let layer = if allowed {
            layer().vary_on([header::COOKIE])
        } else {
            layer()
        };
        let cache = layer.layer(origin.clone());
        let mut stored = Vec::new();
        for cookie in [
            None,
            Some("id=1"),
            Some("id=2"),
            Some("id=1; b"),
            Some("ID=1"),
        ] {
            let asked = || match cookie {
                Some(cookie) => with("cookie", cookie),
                None => get("http://a/x"),
            };
            let first = ask(&cache, asked()).await;
            let second = ask(&cache, asked()).await;
            assert_eq!(second.cache() == "hit", allowed, "{cookie:?}");
            assert_eq!(second.text() == first.text(), allowed, "{cookie:?}");
            stored.push(first.text().to_owned());
        }
        let calls = stored.len();
        stored.dedup();
        assert_eq!(stored.len(), calls, "nobody else's");
        if !allowed {
            continue;
        }
        // In the background only the strangers' page is fetched: for the others it would take a cookie.
        advance(Duration::from_secs(15)).await;
        assert_eq!(ask(&cache, get("http://a/x")).await.cache(), "hit");
        settle().await;
        assert_eq!(ask(&cache, get("http://a/x")).await.field("age"), Some("0"));
        let own = ask(&cache, with("cookie", "id=1")).await;
        assert_eq!(own.cache(), "fwd=stale; stored");
        assert_eq!(origin.calls(), calls + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_for_other_credentials_is_not_asked_about() {
    let (mut origin, service) = manual();
    let cache = layer().vary_on([header::COOKIE]).layer(service);
    for (cookie, other) in [("id=1", None), ("id=2", None), ("id=1", Some("\"id=1\""))] {
        let client = tokio::spawn(cache.clone().oneshot(with("cookie", cookie)));
        let (asked, respond) = origin.recv().await.unwrap();
        let tag = asked.headers().get("if-none-match");
        assert_eq!(tag.map(|tag| tag.to_str().unwrap()), other, "{cookie}");
        let tag = format!("\"{cookie}\"");
        let fields = [
            ("cache-control", "no-cache"),
            ("vary", "cookie"),
            ("etag", &tag),
        ];
        respond.send(answer(&fields, cookie)).ok().unwrap();
        assert_eq!(read(client.await.unwrap().unwrap()).await.text(), cookie);
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn variants_for_credentials_need_the_origins_word_besides() {
    let authorization = header::AUTHORIZATION;
    for (name, said, stored) in [
        ("authorization", "max-age=60", false),
        ("authorization", "public, max-age=60", true),
        ("x-my-key", "max-age=60", false),
        ("x-my-key", "max-age=60, must-revalidate", true),
    ] {
        let origin = Origin::new(move |call, _| {
            answer(&[("cache-control", said), ("vary", name)], call.to_string())
        });
        let layer = layer()
            .credential_headers([OWN])
            .vary_on([authorization.clone(), OWN]);
        let cache = layer.layer(origin);
        for (value, text) in [("one", "0"), ("two", "1")] {
            assert_eq!(ask(&cache, with(name, value)).await.text(), text);
        }
        for (value, text) in [("one", "0"), ("two", "1")] {
            let seen = ask(&cache, with(name, value)).await;
            assert_eq!(seen.text() == text, stored, "{name}: {said}");
        }
    }
}
