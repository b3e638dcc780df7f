//! Directives with fields as arguments, `no-cache`, `must-understand`; what is held is counted.

use crate::support::*;
use cache_layer::CacheLayer;
use http::{HeaderMap, HeaderName, StatusCode};
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn fields_that_are_not_for_everybody_stay_out() {
    for (said, left_out) in [
        ("max-age=60, private=\"x-user\"", true),
        ("max-age=60, no-cache=\"X-User, x-other\"", true),
        ("max-age=60, private=\"x-none\"", false),
    ] {
        let origin = Origin::new(move |_, _| {
            answer(
                &[("cache-control", said), ("x-user", "me"), ("x", "all")],
                "x",
            )
        });
        let (cache, _) = cached(&origin);
        assert_eq!(
            ask(&cache, get("http://a/x")).await.field("x-user"),
            Some("me")
        );
        let hit = ask(&cache, get("http://a/x")).await;
        assert_eq!((hit.cache(), hit.field("x")), ("hit", Some("all")));
        assert_eq!(hit.field("x-user").is_none(), left_out, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn followers_get_what_the_store_gets() {
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let leader = ask();
    let (_, respond) = origin.recv().await.unwrap();
    let follower = ask();
    settle().await;
    let said = ("cache-control", "max-age=60, private=x-user");
    respond
        .send(answer(&[said, ("x-user", "me")], "x"))
        .ok()
        .unwrap();
    assert_eq!(
        read(leader.await.unwrap().unwrap()).await.field("x-user"),
        Some("me")
    );
    let seen = read(follower.await.unwrap().unwrap()).await;
    assert_eq!((seen.text(), seen.field("x-user")), ("x", None));
}

#[tokio::test(start_paused = true)]
async fn no_cache_is_asked_about_each_time_by_each_for_himself() {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let fields = [("cache-control", "no-cache"), ("etag", "\"e\"")];
    let first = ask();
    let (_, respond) = origin.recv().await.unwrap();
    respond.send(answer(&fields, "x")).ok().unwrap();
    read(first.await.unwrap().unwrap()).await;
    settle().await;
    let clients: Vec<_> = (0..3).map(|_| ask()).collect();
    settle().await;
    for _ in &clients {
        let (asked, respond) = origin.try_recv().expect("nobody waits for another");
        assert_eq!(asked.headers()["if-none-match"], "\"e\"");
        let mut confirmed = answer(&fields, "");
        *confirmed.status_mut() = StatusCode::NOT_MODIFIED;
        respond.send(confirmed).ok().unwrap();
    }
    for client in clients {
        let seen = read(client.await.unwrap().unwrap()).await;
        assert_eq!(
            (seen.text(), seen.cache()),
            ("x", "fwd=stale; fwd-status=304; stored")
        );
    }
    assert_eq!(layer.handle().stats().filling, 0);
}

#[tokio::test(start_paused = true)]
async fn must_understand_lifts_no_store_for_known_statuses_only() {
    for (status, said, stored) in [
        (200, "max-age=60, no-store, must-understand", true),
        (404, "max-age=60, no-store, must-understand", true),
        (599, "max-age=60, no-store, must-understand", false),
        (599, "max-age=60, must-understand", false),
        (599, "max-age=60", true),
        (200, "max-age=60, no-store", false),
    ] {
        let origin = Origin::new(move |_, _| {
            let mut response = answer(&[("cache-control", said)], "x");
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        });
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!(seen.cache() == "hit", stored, "{status} {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn variants_by_meaning_by_preference_and_by_date() {
    let origin = Origin::new(|call, request| {
        let wants = request.headers().get("accept-language");
        let wants = wants.map_or("none", |value| value.to_str().unwrap());
        let language = if wants.contains("de") { "de" } else { "en" };
        let fields = [
            FRESH,
            ("vary", "accept-language"),
            ("content-language", language),
        ];
        answer(&fields, format!("{call} {language}"))
    });
    let (cache, _) = cached(&origin);
    for (wants, text) in [
        ("de, en;q=0.5", "0 de"),
        ("EN;q=0.50 ,de", "0 de"),
        ("en", "1 en"),
        // What comes is certain: it wants nothing more than what is there.
        ("de;q=0.9, fr;q=0.1", "0 de"),
        ("de, en", "2 de"),
    ] {
        let seen = ask(
            &cache,
            request("GET", "http://a/x", &[("accept-language", wants)]),
        )
        .await;
        assert_eq!(seen.text(), text, "{wants}");
    }
    let origin = Origin::new(|call, _| {
        let date = [
            "Sun, 06 Nov 2044 08:49:38 GMT",
            "Sun, 06 Nov 2044 08:49:37 GMT",
        ][call.min(1)];
        let vary = ["accept-language", "accept-encoding"][call.min(1)];
        answer(&[FRESH, ("date", date), ("vary", vary)], call.to_string())
    });
    let (cache, _) = cached(&origin);
    let with = |name, value| request("GET", "http://a/x", &[(name, value)]);
    ask(&cache, with("accept-language", "de")).await;
    ask(&cache, with("accept-encoding", "gzip")).await;
    // Both match; the newer Date wins, not the later arrival.
    let both = [("accept-language", "de"), ("accept-encoding", "gzip")];
    assert_eq!(
        ask(&cache, request("GET", "http://a/x", &both))
            .await
            .text(),
        "0"
    );
}

#[tokio::test(start_paused = true)]
async fn all_that_is_held_is_given_back() {
    let origin = Origin::new(|call, request| {
        let tag = [FRESH, ("etag", "\"e\""), ("vary", "x")];
        if let Some(range) = request.headers().get("range") {
            let first = if range == "bytes=0-9" { 0 } else { 20 };
            let range = format!("bytes {first}-{}/1000", first + 9);
            let mut part = answer(&[tag[0], tag[1], ("content-range", &range)], "0123456789");
            *part.status_mut() = StatusCode::PARTIAL_CONTENT;
            return part;
        }
        let (script, body) = Script::new();
        script.data(vec![b'x'; 1000]);
        let name = HeaderName::from_static("checksum");
        script.trailers(HeaderMap::from_iter([(name, "7".parse().unwrap())]));
        head(
            &[
                tag[0],
                tag[1],
                tag[2],
                ("cache-groups", "\"g\""),
                ("x-call", &call.to_string()),
            ],
            body,
        )
    });
    let layer = CacheLayer::new(1 << 20);
    let (cache, handle) = (layer.layer(origin), layer.handle());
    for n in 0..5 {
        ask(
            &cache,
            request("GET", "http://a/x", &[("x", &n.to_string())]),
        )
        .await;
        let range = if n % 2 == 0 {
            "bytes=0-9"
        } else {
            "bytes=20-29"
        };
        ask(&cache, request("GET", "http://a/y", &[("range", range)])).await;
    }
    settle().await;
    let held = handle.stats();
    assert!(held.entries == 2 && held.bytes > 5000, "{held:?}");
    for path in ["x", "y"] {
        assert!(handle.purge(&format!("http://a/{path}").parse().unwrap()));
    }
    soon_holds_at_most(&handle, 0);
    assert_eq!(handle.stats().entries, 0);
}
