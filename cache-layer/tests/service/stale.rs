//! Stale answers, and by whose leave they are served (RFC 9111 section 4.2.4, RFC 5861).

use crate::support::*;
use cache_layer::Fetch;
use futures_util::FutureExt;
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, ServiceExt, service_fn};

const SWR: (&str, &str) = ("cache-control", "max-age=10, stale-while-revalidate=20");

async fn wait(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_refresh_serves_all_who_come_meanwhile() {
    let (mut origin, service) = manual();
    let layer = layer();
    let (cache, handle) = (layer.layer(service), layer.handle());
    let ask = || cache.clone().oneshot(get("http://a/x"));
    let first = tokio::spawn(ask());
    answered(&mut origin, &[SWR]).await.data("old");
    read(first.await.unwrap().unwrap()).await;
    settle().await;
    wait(29).await;
    for _ in 0..100 {
        let seen = read(ask().await.unwrap()).await;
        assert_eq!(
            (seen.text(), seen.cache(), seen.field("age")),
            ("old", "hit", Some("29"))
        );
    }
    settle().await;
    let (asked, respond) = origin.recv().await.unwrap();
    assert!(
        origin.recv().now_or_never().is_none(),
        "one request for all"
    );
    assert_eq!(asked.extensions().get::<Fetch>(), Some(&Fetch::Refresh));
    // Past the window whoever comes waits, for the same request.
    wait(1).await;
    let late = tokio::spawn(ask());
    settle().await;
    assert!(!late.is_finished() && origin.recv().now_or_never().is_none());
    respond.send(answer(&[SWR], "new")).ok().unwrap();
    let late = read(late.await.unwrap().unwrap()).await;
    assert_eq!((late.text(), late.cache()), ("new", "fwd=stale; collapsed"));
    settle().await;
    let hit = read(ask().await.unwrap()).await;
    assert_eq!((hit.text(), hit.field("age")), ("new", Some("1")));
    let stats = handle.stats();
    assert_eq!((stats.stale, stats.refreshed, stats.filling), (100, 1, 0));
}

#[derive(Clone)]
struct Client;

#[derive(Clone)]
struct Server(&'static str);

#[tokio::test(start_paused = true)]
async fn a_refresh_tells_nothing_of_who_came_by() {
    let origin = Origin::new(|call, request| {
        if call == 1 {
            let mut names: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(
                names,
                [
                    "accept-language",
                    "host",
                    "if-none-match",
                    "x-forwarded-proto"
                ]
            );
            assert_eq!(request.headers()["if-none-match"], "\"e\"");
            assert_eq!(
                (request.method().as_str(), request.uri().path()),
                ("GET", "/x")
            );
            assert!(request.extensions().get::<Client>().is_none());
            assert_eq!(request.extensions().get::<Server>().unwrap().0, "state");
        }
        let said = "public, max-age=10, stale-while-revalidate=20";
        let fields = [
            ("cache-control", said),
            ("vary", "accept-language"),
            ("etag", "\"e\""),
        ];
        answer(&fields, call.to_string())
    });
    let cache = layer().carry_extension::<Server>().layer(origin.clone());
    let asked = |method| {
        let mut asked = request(
            method,
            "/x?q",
            &[
                ("host", "a"),
                ("x-forwarded-proto", "https"),
                ("accept-language", "de"),
                ("authorization", "Basic eA=="),
                ("cookie", "id=1"),
                ("range", "bytes=0-0"),
                ("if-range", "\"e\""),
                ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("cache-control", "max-age=20"),
                ("user-agent", "x"),
                ("x-forwarded-for", "10.0.0.1"),
            ],
        );
        asked.extensions_mut().insert(Client);
        asked.extensions_mut().insert(Server("state"));
        asked
    };
    let first = [
        ("host", "a"),
        ("x-forwarded-proto", "https"),
        ("accept-language", "de"),
    ];
    ask(&cache, request("GET", "/x?q", &first)).await;
    wait(15).await;
    // A HEAD is a reason as good as a GET, and what it asks for is a GET.
    assert_eq!(ask(&cache, asked("HEAD")).await.cache(), "hit");
    settle().await;
    assert_eq!(origin.calls(), 2);
    assert_eq!(
        ask(&cache, request("GET", "/x?q", &first)).await.text(),
        "1"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_refresh_brings_decides_what_comes_next() {
    for (status, cache_control, then, calls) in [
        // Not for the store: the old answer stays as long as it was to, and is asked for anew each time.
        (200, "no-store", ["0", "0", "3"], 4),
        (200, "private", ["0", "0", "3"], 4),
        (200, "no-cache", ["0", "0", "3"], 4),
        (500, "max-age=0", ["0", "0", "3"], 4),
        (200, "max-age=100", ["0", "1", "1"], 2),
        // An answer that states its lifetime is one, whatever its status.
        (404, "max-age=100", ["0", "1", "1"], 2),
    ] {
        let origin = Origin::new(move |call, _| {
            let mut response = answer(&[("cache-control", cache_control)], call.to_string());
            if call == 0 {
                response.headers_mut().insert(SWR.0, SWR.1.parse().unwrap());
            } else {
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
            }
            response
        });
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        wait(15).await;
        for (seconds, text) in [0, 10, 10].into_iter().zip(then) {
            wait(seconds).await;
            let seen = ask(&cache, get("http://a/x")).await;
            assert_eq!(
                seen.text(),
                text,
                "{status} {cache_control} after {seconds}"
            );
            settle().await;
        }
        assert_eq!(origin.calls(), calls, "{status} {cache_control}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_panics_or_hangs_leaves_the_way_open() {
    let service = service_fn(|request: OriginRequest| async move {
        match request.extensions().get::<Fetch>() {
            None => Ok(answer(&[SWR], "old")),
            Some(_) if request.uri().path() == "/fails" => Err(BoxError::from("down")),
            Some(_) if request.uri().path() == "/panics" => panic!("origin's own"),
            Some(_) => std::future::pending().await,
        }
    });
    let layer = layer().fill_timeout(Duration::from_secs(2));
    let cache = layer.layer(service);
    for path in ["fails", "panics", "hangs"] {
        let ask = || cache.clone().oneshot(get(&format!("http://a/{path}")));
        read(ask().await.unwrap()).await;
        for refreshed in 1..3 {
            wait(refreshed * 6).await;
            assert_eq!(read(ask().await.unwrap()).await.text(), "old");
            settle().await;
            wait(2).await;
            settle().await;
            assert_eq!(layer.handle().stats().filling, 0, "{path} {refreshed}");
            layer
                .handle()
                .purge_softly(&"http://a/other".parse().unwrap());
            if refreshed == 2 {
                continue;
            }
        }
        // Past what it says, and still worth its place.
        wait(12).await;
        assert_eq!(
            read(ask().await.unwrap()).await.cache(),
            "fwd=stale; stored"
        );
    }
}

/// An origin that sends one answer, fails after it, and says so.
fn once(cache_control: String) -> Origin {
    Origin::new(move |call, _| match call {
        0 => answer(
            &[("cache-control", &cache_control), ("etag", "\"e\"")],
            "old",
        ),
        _ => {
            let mut response = answer(&[("cache-control", "no-store")], "down");
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    })
}

#[tokio::test(start_paused = true)]
async fn who_forbids_stale_answers_is_heard_whoever_allows_them() {
    let minute = Duration::from_secs(60);
    for (said, forbids) in [
        ("max-age=10", false),
        ("max-age=10, must-revalidate", true),
        ("max-age=10, proxy-revalidate", true),
        ("s-maxage=10", true),
        ("max-age=10, no-cache", true),
    ] {
        for (windows, layer, demand) in [
            ("stale-while-revalidate=60", layer(), "x"),
            ("stale-if-error=60", layer(), "x"),
            ("x", layer().stale_while_revalidate(minute), "x"),
            ("x", layer().stale_if_error(minute), "x"),
            ("x", layer(), "stale-if-error=60"),
            ("x", layer(), "max-stale"),
            ("x", layer(), "max-stale=60"),
        ] {
            let cache = layer.layer(once(format!("{said}, {windows}")));
            ask(&cache, get("http://a/x")).await;
            wait(15).await;
            let asked = request("GET", "http://a/x", &[("cache-control", demand)]);
            let seen = ask(&cache, asked).await;
            let expected = if forbids { (503, "down") } else { (200, "old") };
            assert_eq!(
                (seen.status, seen.text()),
                expected,
                "{said}, {windows}; {demand}"
            );
            assert!(forbids || seen.field("age") == Some("15"));
        }
    }
    // What the answer says goes before the settings.
    let layer = layer()
        .stale_while_revalidate(minute)
        .stale_if_error(minute);
    let none = "max-age=10, stale-while-revalidate=0, stale-if-error=0";
    let cache = layer.layer(once(none.to_owned()));
    ask(&cache, get("http://a/x")).await;
    wait(15).await;
    assert_eq!(ask(&cache, get("http://a/x")).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn what_the_client_demands_of_stale_answers() {
    for (seconds, demand, expected) in [
        (15, "x", "fwd=stale; stored"),
        (15, "max-stale=5", "hit"),
        (15, "max-stale=4", "fwd=stale; stored"),
        (15, "max-stale=5, max-stale=4", "fwd=stale; stored"),
        (15, "max-stale=x", "fwd=stale; stored"),
        (15, "max-stale, max-age=15", "hit"),
        (15, "max-stale, max-age=14", "fwd=stale; stored"),
        (15, "max-stale, min-fresh=0", "fwd=stale; stored"),
        (15, "max-stale, no-cache", "fwd=stale; stored"),
        (15, "only-if-cached", "504"),
        (15, "only-if-cached, max-stale=5", "hit"),
        (5, "min-fresh=5", "hit"),
        (5, "min-fresh=6", "fwd=request; stored"),
        (5, "only-if-cached, min-fresh=6", "504"),
        (5, "max-age=5, max-stale=0", "hit"),
        (5, "max-age=4, max-stale", "fwd=request; stored"),
        (5, "only-if-cached, no-cache", "504"),
        (5, "only-if-cached, no-store", "hit"),
    ] {
        let origin = Origin::new(|_, _| answer(&[("cache-control", "max-age=10")], "x"));
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        wait(seconds).await;
        let asked = request("GET", "http://a/x", &[("cache-control", demand)]);
        let seen = ask(&cache, asked).await;
        let got = if seen.status == 504 {
            "504"
        } else {
            seen.cache()
        };
        assert_eq!(got, expected, "{demand} after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_changes_is_not_asked_about_while_it_is_fresh() {
    for (said, demand, expected) in [
        ("max-age=10, immutable", "max-age=0", "hit"),
        ("max-age=10, immutable=1", "max-age=0", "hit"),
        ("max-age=10", "max-age=0", "fwd=request; stored"),
        ("max-age=10, immutable", "no-cache", "fwd=request; stored"),
    ] {
        let origin = Origin::new(move |_, _| answer(&[("cache-control", said)], "x"));
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        wait(5).await;
        let asked = || request("GET", "http://a/x", &[("cache-control", demand)]);
        assert_eq!(
            ask(&cache, asked()).await.cache(),
            expected,
            "{said} {demand}"
        );
        wait(10).await;
        assert_eq!(ask(&cache, asked()).await.cache(), "fwd=stale; stored");
    }
}
