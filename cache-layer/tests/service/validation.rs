//! What is stale is asked about before it is fetched anew.

use crate::support::*;
use cache_layer::SetCookie;
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

const STORED: [(&str, &str); 4] = [
    ("cache-control", "max-age=10"),
    ("etag", "\"e\""),
    ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("x-round", "1"),
];

fn not_modified(fields: &[(&str, &str)]) -> OriginResponse {
    let mut response = answer(fields, "");
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

/// An origin that sends [`STORED`] first, and then what the test says.
fn origin(
    later: impl Fn(usize, &OriginRequest) -> OriginResponse + Send + Sync + 'static,
) -> Origin {
    Origin::new(move |call, request| match call {
        0 => answer(&STORED, "hello"),
        call => later(call, request),
    })
}

#[tokio::test(start_paused = true)]
async fn what_the_origin_confirms_is_fresh_again_under_its_new_fields() {
    let origin = origin(|_, request| {
        assert_eq!(request.headers()["if-none-match"], "\"e\"");
        assert_eq!(request.headers()["if-modified-since"], STORED[2].1);
        not_modified(&[
            ("cache-control", "max-age=20"),
            ("x-round", "2"),
            ("etag", "\"e\""),
        ])
    });
    let (cache, handle) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    advance(Duration::from_secs(15)).await;
    let confirmed = ask(&cache, get("http://a/x")).await;
    assert_eq!(confirmed.cache(), "fwd=stale; fwd-status=304; stored");
    assert_eq!((confirmed.status, confirmed.text()), (200, "hello"));
    assert_eq!(
        (confirmed.field("x-round"), confirmed.field("age")),
        (Some("2"), Some("0"))
    );
    advance(Duration::from_secs(19)).await;
    let hit = ask(&cache, get("http://a/x")).await;
    assert_eq!((hit.cache(), hit.text()), ("hit", "hello"));
    assert_eq!(
        (hit.field("x-round"), hit.field("age")),
        (Some("2"), Some("19"))
    );
    assert_eq!(
        (
            origin.calls(),
            handle.stats().entries,
            handle.stats().filling
        ),
        (2, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_holds_it_gets_its_304() {
    let origin = origin(|_, _| not_modified(&[("cache-control", "max-age=20")]));
    let (cache, _) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    advance(Duration::from_secs(15)).await;
    let asked = request("GET", "http://a/x", &[("if-none-match", "\"e\"")]);
    let confirmed = ask(&cache, asked).await;
    assert_eq!((confirmed.status, confirmed.text()), (304, ""));
    let other = request("GET", "http://a/x", &[("if-none-match", "\"other\"")]);
    assert_eq!((ask(&cache, other).await.status, origin.calls()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn a_304_of_something_else_is_not_taken_for_ours() {
    let origin = origin(|call, request| match call {
        1 => not_modified(&[("etag", "\"f\"")]),
        _ => {
            assert!(!request.headers().contains_key("if-none-match"));
            answer(&[FRESH, ("etag", "\"f\"")], "new")
        }
    });
    let (cache, _) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    advance(Duration::from_secs(15)).await;
    let seen = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (seen.text(), seen.cache(), origin.calls()),
        ("new", "fwd=stale; stored", 3)
    );
}

#[tokio::test(start_paused = true)]
async fn what_turned_private_is_given_once_and_forgotten() {
    let origin = origin(|call, _| match call {
        1 => not_modified(&[("cache-control", "private, max-age=20")]),
        _ => answer(&[], "later"),
    });
    let (cache, handle) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    advance(Duration::from_secs(15)).await;
    let seen = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (seen.status, seen.text(), seen.cache()),
        (200, "hello", "fwd=stale; fwd-status=304")
    );
    assert_eq!(seen.field("cache-control"), Some("private, max-age=20"));
    assert_eq!(ask(&cache, get("http://a/x")).await.text(), "later");
    assert_eq!(handle.stats().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn other_answers_replace_it_or_pass() {
    for (status, cache_control, text) in [
        (200, "max-age=60", "new"),
        (503, "no-store", "down"),
        (200, "private", "mine"),
    ] {
        let origin = origin(move |_, _| {
            let mut response = answer(&[("cache-control", cache_control)], text);
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response
        });
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        advance(Duration::from_secs(15)).await;
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!((seen.status, seen.text()), (status, text));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_that_comes_with_the_304_is_its_own_clients_alone() {
    let origin = origin(|_, _| not_modified(&[("set-cookie", "id=1")]));
    let cache = layer().set_cookie(SetCookie::Strip).layer(origin);
    ask(&cache, get("http://a/x")).await;
    advance(Duration::from_secs(15)).await;
    let confirmed = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (confirmed.text(), confirmed.field("set-cookie")),
        ("hello", Some("id=1"))
    );
    let hit = ask(&cache, get("http://a/x")).await;
    assert_eq!((hit.cache(), hit.field("set-cookie")), ("hit", None));
}

#[tokio::test(start_paused = true)]
async fn one_question_answers_all_who_wait() {
    let (mut below, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let ask = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let first = ask();
    let (_, respond) = below.recv().await.unwrap();
    respond.send(answer(&STORED, "hello")).ok().unwrap();
    read(first.await.unwrap().unwrap()).await;
    settle().await;
    advance(Duration::from_secs(15)).await;
    let clients: Vec<_> = (0..10).map(|_| ask()).collect();
    let (asked, respond) = below.recv().await.unwrap();
    assert!(asked.headers().contains_key("if-none-match"));
    settle().await;
    respond
        .send(not_modified(&[("x-round", "2")]))
        .ok()
        .unwrap();
    for client in clients {
        let seen = read(client.await.unwrap().unwrap()).await;
        assert_eq!((seen.text(), seen.field("x-round")), ("hello", Some("2")));
    }
    assert!(below.try_recv().is_err());
    assert_eq!(layer.handle().stats().filling, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_purged_is_not_asked_about() {
    let origin = origin(|_, request| {
        assert!(!request.headers().contains_key("if-none-match"));
        answer(&[FRESH], "new")
    });
    let (cache, handle) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    assert!(handle.purge(&"http://a/x".parse().unwrap()));
    assert_eq!(ask(&cache, get("http://a/x")).await.text(), "new");
}

#[tokio::test(start_paused = true)]
async fn a_variant_may_turn_out_to_be_the_answer_to_other_fields_too() {
    let origin = Origin::new(|_, request| {
        let tag = match request.headers()["x-kind"].as_bytes() {
            b"1" | b"3" => "\"odd\"",
            _ => "\"even\"",
        };
        let fields = [FRESH, ("vary", "x-kind"), ("etag", tag)];
        match request.headers().get("if-none-match") {
            Some(tags) if tags.to_str().unwrap().contains(tag) => not_modified(&fields),
            _ => answer(&fields, tag.trim_matches('"')),
        }
    });
    let (cache, handle) = cached(&origin);
    let kind = |kind| request("GET", "http://a/x", &[("x-kind", kind)]);
    assert_eq!(ask(&cache, kind("1")).await.cache(), "fwd=uri-miss; stored");
    let even = ask(&cache, kind("2")).await;
    assert_eq!(
        (even.cache(), even.text()),
        ("fwd=vary-miss; stored", "even")
    );
    let odd = ask(&cache, kind("3")).await;
    let expected = "fwd=vary-miss; fwd-status=304; stored";
    assert_eq!((odd.cache(), odd.text()), (expected, "odd"));
    for (which, text) in [("1", "odd"), ("2", "even"), ("3", "odd")] {
        let hit = ask(&cache, kind(which)).await;
        assert_eq!((hit.cache(), hit.text()), ("hit", text));
    }
    assert_eq!((origin.calls(), handle.stats().validated), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn what_must_be_asked_about_is_a_504_where_nobody_can_be_asked() {
    for (stated, expected) in [
        ("max-age=10, must-revalidate", Some(504)),
        ("max-age=10, proxy-revalidate", Some(504)),
        ("s-maxage=10", Some(504)),
        ("no-cache, max-age=10", Some(504)),
        ("max-age=10", None),
    ] {
        let (mut origin, service) = manual();
        let cache = layer().layer(service);
        let asking = || tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let first = asking();
        let script = answered(&mut origin, &[("cache-control", stated), ("etag", "\"e\"")]).await;
        script.data("x");
        drop(script);
        read(first.await.unwrap().unwrap()).await;
        advance(Duration::from_secs(11)).await;

        let second = asking();
        drop(origin.recv().await.unwrap());
        match (second.await.unwrap(), expected) {
            (Ok(response), Some(status)) => {
                assert_eq!(response.status(), status, "{stated}");
                assert!(!response.headers().contains_key("cache-status"));
            }
            (Err(error), None) => assert_eq!(error.to_string(), "origin failed"),
            (other, _) => panic!("{stated}: {:?}", other.map(|response| response.status())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_does_not_tell_variants_apart() {
    let modified = ("last-modified", STORED[2].1);
    let origin = Origin::new(move |call, request| {
        let kind = request.headers()["x-kind"].to_str().unwrap().to_owned();
        let fields = [FRESH, ("vary", "x-kind"), ("etag", "\"1\""), modified];
        assert!(!request.headers().contains_key("if-modified-since"));
        match call {
            0 => answer(&fields, kind),
            // It says "not modified" without saying what, and is asked for the whole.
            1 => not_modified(&[FRESH, ("vary", "x-kind"), modified]),
            _ => answer(&[FRESH, ("vary", "x-kind"), modified], kind),
        }
    });
    let (cache, _) = cached(&origin);
    for kind in ["1", "2"] {
        let seen = ask(&cache, request("GET", "http://a/x", &[("x-kind", kind)])).await;
        assert_eq!((seen.status, seen.text()), (200, kind));
    }
    assert_eq!(origin.calls(), 3);
}
