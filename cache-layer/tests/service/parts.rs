//! Answers that come in parts (RFC 9111 sections 3.3 and 3.4): stored, put together, completed, and
//! never mixed.

use crate::support::*;
use cache_layer::Cache;
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

const TEXT: &str = "0123456789";
const TAG: (&str, &str) = ("etag", "\"e\"");

fn status(code: u16, fields: &[(&str, &str)], body: &str) -> OriginResponse {
    let mut response = answer(fields, body.to_owned());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// The octets `first..=last` of [`TEXT`], under these fields.
fn part(fields: &[(&str, &str)], first: usize, last: usize) -> OriginResponse {
    let range = format!("bytes {first}-{last}/10");
    let fields = [&[("content-range", &*range)], fields].concat();
    status(206, &fields, &TEXT[first..=last])
}

fn ranged(range: &str) -> http::Request<ClientBody> {
    request("GET", "http://a/x", &[("range", range)])
}

/// An origin that sends the part that is asked for, or all of it.
fn honest(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_, request| serve(fields, request))
}

fn serve(fields: &[(&str, &str)], request: &OriginRequest) -> OriginResponse {
    let Some(range) = request.headers().get("range") else {
        return answer(fields, TEXT);
    };
    let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (first, last) = range.split_once('-').unwrap();
    if first.is_empty() {
        return part(fields, 10 - last.parse::<usize>().unwrap(), 9);
    }
    part(fields, first.parse().unwrap(), last.parse().unwrap_or(9))
}

async fn see(cache: &Cache<Origin>, range: &str) -> (u16, String, String) {
    let seen = ask(cache, ranged(range)).await;
    settle().await;
    (seen.status, seen.text().to_owned(), seen.cache().to_owned())
}

#[tokio::test(start_paused = true)]
async fn parts_are_reused_put_together_and_become_the_whole() {
    let origin = honest(&[FRESH, TAG]);
    let (cache, handle) = cached(&origin);
    let is = |status, text: &str, cache: &str| (status, text.to_owned(), cache.to_owned());
    assert_eq!(
        see(&cache, "bytes=2-4").await,
        is(206, "234", "fwd=uri-miss; stored")
    );
    assert_eq!(see(&cache, "bytes=3-4").await, is(206, "34", "hit"));
    assert_eq!(
        see(&cache, "bytes=5-7").await,
        is(206, "567", "fwd=partial; stored")
    );
    assert_eq!(see(&cache, "bytes=3-6").await, is(206, "3456", "hit"));
    assert_eq!(
        see(&cache, "bytes=-2").await,
        is(206, "89", "fwd=partial; stored")
    );
    assert_eq!(
        see(&cache, "bytes=0-1").await,
        is(206, "01", "fwd=partial; stored")
    );
    let whole = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (whole.status, whole.text(), whole.cache()),
        (200, TEXT, "hit")
    );
    assert_eq!(
        (whole.field("content-range"), handle.stats().entries),
        (None, 1)
    );
    let head = ask(&cache, request("HEAD", "http://a/x", &[])).await;
    assert_eq!(
        (head.cache(), head.field("content-length")),
        ("hit", Some("10"))
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_is_missing_is_asked_for() {
    for (wanted, asked, text) in [
        ("bytes=1-6", "bytes=1-3", "123456"),
        ("bytes=4-9", "bytes=7-", "456789"),
        ("bytes=-6", "bytes=7-", "456789"),
        // Both ends are missing: two requests are one more than for all of it.
        ("bytes=0-8", "bytes=0-8", "012345678"),
    ] {
        let origin = Origin::new(move |call, request| {
            if call > 0 {
                assert_eq!(request.headers()["range"], asked);
                let condition = request.headers().get("if-range");
                assert_eq!(condition.is_some(), asked != wanted);
                assert!(condition.is_none_or(|tag| tag == TAG.1));
            }
            serve(&[FRESH, TAG, ("x-call", &call.to_string())], request)
        });
        let (cache, _) = cached(&origin);
        see(&cache, "bytes=4-6").await;
        let seen = ask(&cache, ranged(wanted)).await;
        assert_eq!((seen.status, seen.text()), (206, text));
        assert_eq!(seen.cache(), "fwd=partial; stored");
        assert_eq!(seen.field("x-call"), Some("1"));
        let length = seen.field("content-length");
        assert!(length.is_none_or(|length| length == text.len().to_string()));
        settle().await;
        assert_eq!(see(&cache, wanted).await.2, "hit");
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_is_completed_from_its_beginning() {
    let origin = honest(&[FRESH, TAG]);
    let (cache, _) = cached(&origin);
    see(&cache, "bytes=0-5").await;
    let seen = ask(&cache, get("http://a/x")).await;
    assert_eq!((seen.status, seen.text()), (200, TEXT));
    assert_eq!(seen.cache(), "fwd=partial; fwd-status=206; stored");
    settle().await;
    assert_eq!(ask(&cache, get("http://a/x")).await.cache(), "hit");
}

/// What the origin may answer instead of the gap, and what the client of the whole gets.
#[tokio::test(start_paused = true)]
async fn what_comes_in_place_of_the_gap() {
    let other = "abcdefghij";
    type Answers = fn(&OriginRequest) -> OriginResponse;
    let cases: [(&str, Answers, usize, (u16, &str)); 7] = [
        (
            "new",
            |_| answer(&[FRESH, ("etag", "\"f\"")], "abcdefghij"),
            2,
            (200, other),
        ),
        (
            "private",
            |_| part(&[("cache-control", "private"), TAG], 6, 9),
            2,
            (200, TEXT),
        ),
        ("missing", |_| status(404, &[], "gone"), 2, (404, "gone")),
        (
            "unsatisfiable",
            |request| match request.headers().get("range") {
                Some(_) => status(416, &[("content-range", "bytes */3")], ""),
                None => answer(&[FRESH, ("etag", "\"f\"")], "abcdefghij"),
            },
            3,
            (200, other),
        ),
        (
            "other part",
            |request| match request.headers().get("range") {
                Some(_) => part(&[FRESH, ("etag", "\"f\"")], 6, 9),
                None => answer(&[FRESH, ("etag", "\"f\"")], "abcdefghij"),
            },
            3,
            (200, other),
        ),
        (
            "weak part",
            |request| match request.headers().get("range") {
                Some(_) => part(&[FRESH, ("etag", "W/\"e\"")], 6, 9),
                None => answer(&[FRESH, ("etag", "\"f\"")], "abcdefghij"),
            },
            3,
            (200, other),
        ),
        (
            "another gap",
            |request| match request.headers().get("range") {
                Some(_) => part(&[FRESH, TAG], 7, 9),
                None => answer(&[FRESH, TAG], TEXT),
            },
            3,
            (200, TEXT),
        ),
    ];
    for (what, then, calls, expected) in cases {
        let origin = Origin::new(move |call, request| match call {
            0 => part(&[FRESH, TAG], 0, 5),
            _ => then(request),
        });
        let (cache, _) = cached(&origin);
        see(&cache, "bytes=0-5").await;
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!((seen.status, seen.text()), expected, "{what}");
        assert_eq!(seen.field("content-range"), None, "{what}");
        assert_eq!(origin.calls(), calls, "{what}");
        if what == "private" {
            assert_eq!(seen.field("cache-control"), Some("private"));
            assert_eq!(seen.cache(), "fwd=partial; fwd-status=206");
            assert_ne!(
                see(&cache, "bytes=0-5").await.2,
                "hit",
                "what we had is not kept"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_is_not_filled_closes_nothing() {
    // In the middle, where octets follow it, and at the end.
    for (held, gap) in [
        (["bytes=0-2", "bytes=6-9"], 3..6),
        (["bytes=0-2", "bytes=0-2"], 3..10),
    ] {
        for cut in [false, true] {
            let (mut origin, service) = manual();
            let layer = layer();
            let cache = layer.layer(service);
            for range in held {
                let client = tokio::spawn(cache.clone().oneshot(ranged(range)));
                settle().await;
                if let Ok((asked, respond)) = origin.try_recv() {
                    respond.send(serve(&[FRESH, TAG], &asked)).ok().unwrap();
                }
                read(client.await.unwrap().unwrap()).await;
                settle().await;
            }
            let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
            let (_, respond) = origin.recv().await.unwrap();
            let (script, body) = Script::new();
            let range = format!("bytes {}-{}/10", gap.start, gap.end - 1);
            let mut short = head(&[FRESH, TAG, ("content-range", &range)], body);
            *short.status_mut() = StatusCode::PARTIAL_CONTENT;
            respond.send(short).ok().unwrap();
            script.data(&TEXT[gap.start..gap.end - 1]);
            if cut {
                script.fail();
            }
            drop(script);
            let seen = read(client.await.unwrap().unwrap()).await;
            assert!(seen.body.is_err(), "{gap:?} {cut}: {:?}", seen.body);
            settle().await;
            let asked = request("GET", "http://a/x", &[("cache-control", "only-if-cached")]);
            assert_eq!(read(cache.oneshot(asked).await.unwrap()).await.status, 504);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_one_strong_validator_nothing_is_put_together() {
    const MODIFIED: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (fields, joined) in [
        (&[FRESH, TAG][..], true),
        (&[FRESH, MODIFIED], true),
        (&[FRESH, ("etag", "W/\"e\"")], false),
        (&[FRESH, ("etag", "W/\"e\""), MODIFIED], false),
        (&[FRESH], false),
    ] {
        let origin = honest(fields);
        let (cache, _) = cached(&origin);
        see(&cache, "bytes=0-5").await;
        see(&cache, "bytes=6-9").await;
        let seen = ask(&cache, get("http://a/x")).await;
        assert_eq!((seen.status, seen.text()), (200, TEXT));
        assert_eq!(seen.cache() == "hit", joined, "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn parts_together_are_no_longer_than_an_entry_may_be() {
    let origin = honest(&[FRESH, TAG]);
    let cache = layer().max_entry_bytes(6).layer(origin);
    see(&cache, "bytes=0-3").await;
    see(&cache, "bytes=4-5").await;
    assert_eq!(see(&cache, "bytes=0-5").await.2, "hit");
    see(&cache, "bytes=6-9").await;
    assert_eq!(see(&cache, "bytes=6-9").await.2, "hit");
    assert_ne!(see(&cache, "bytes=0-5").await.2, "hit");
    let whole = ask(&cache, get("http://a/x")).await;
    assert_eq!(
        (whole.status, whole.text(), whole.cache()),
        (200, TEXT, "fwd=partial")
    );
    assert_eq!(see(&cache, "bytes=0-9").await.1, TEXT);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_stale_is_asked_about_like_the_whole() {
    for (tag, calls) in [("\"e\"", 2), ("W/\"e\"", 3)] {
        let origin = Origin::new(move |call, request| match call {
            0 => part(&[("cache-control", "max-age=10"), TAG], 2, 4),
            1 => status(304, &[FRESH, ("etag", tag)], ""),
            _ => serve(&[FRESH, ("etag", "\"f\"")], request),
        });
        let (cache, _) = cached(&origin);
        see(&cache, "bytes=2-4").await;
        advance(Duration::from_secs(15)).await;
        let fields = [("range", "bytes=2-4"), ("if-range", "\"e\"")];
        let seen = ask(&cache, request("GET", "http://a/x", &fields)).await;
        assert_eq!(
            (seen.status, seen.text(), origin.calls()),
            (206, "234", calls),
            "{tag}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_put_together_stands_in_for_errors_whole() {
    let stale = ("cache-control", "max-age=10, stale-if-error=60");
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    for range in ["bytes=0-7", "bytes=8-9"] {
        let client = tokio::spawn(cache.clone().oneshot(ranged(range)));
        let (asked, respond) = origin.recv().await.unwrap();
        respond.send(serve(&[stale, TAG], &asked)).ok().unwrap();
        read(client.await.unwrap().unwrap()).await;
    }
    advance(Duration::from_secs(15)).await;
    let clients: Vec<_> = (0..3)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let (_, failed) = origin.recv().await.unwrap();
    settle().await;
    drop(failed);
    for client in clients {
        let response = client.await.unwrap().unwrap();
        let hint = http_body::Body::size_hint(response.body());
        assert_eq!(hint.exact(), Some(10));
        assert_eq!(read(response).await.text(), TEXT);
    }
}
