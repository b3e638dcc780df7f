//! Parts of what is stored whole (RFC 9110 section 14).

use crate::support::*;
use cache_layer::Cache;
use http::StatusCode;
use std::time::Duration;
use tokio::time::advance;

const TEXT: &str = "0123456789";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
/// Made long ago, but the lifetime is longer.
const STRONG: &[(&str, &str)] = &[
    ("cache-control", "max-age=4000000000"),
    ("etag", "\"e\""),
    ("last-modified", MODIFIED),
    ("date", "Sun, 06 Nov 1994 09:49:37 GMT"),
    ("content-type", "text/plain"),
];

fn ranged(fields: &[(&str, &str)]) -> http::Request<ClientBody> {
    request("GET", "http://a/x", fields)
}

/// A cache that has all of [`TEXT`], under these fields.
async fn with_whole(fields: &'static [(&'static str, &'static str)]) -> (Cache<Origin>, Origin) {
    let origin = Origin::new(|call, _| {
        assert_eq!(call, 0, "the store has it all");
        answer(fields, TEXT)
    });
    let (cache, _) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    (cache, origin)
}

#[tokio::test(start_paused = true)]
async fn one_range_of_a_whole_answer_is_cut_out_of_it() {
    let (cache, _) = with_whole(STRONG).await;
    for (range, status, text, content_range) in [
        ("bytes=0-0", 206, "0", Some("bytes 0-0/10")),
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("BYTES=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-30", 206, TEXT, Some("bytes 0-9/10")),
        (
            "bytes=8-99999999999999999999999",
            206,
            "89",
            Some("bytes 8-9/10"),
        ),
        ("bytes=0-4,3-6", 206, "0123456", Some("bytes 0-6/10")),
        ("bytes=20-30, 8-", 206, "89", Some("bytes 8-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=99999999999999999999-", 416, "", Some("bytes */10")),
        ("bytes=-0", 416, "", Some("bytes */10")),
        ("bytes=0-1,5-6", 200, TEXT, None),
        ("bytes=4-2", 200, TEXT, None),
        ("bytes=x", 200, TEXT, None),
        ("bytes", 200, TEXT, None),
        ("lines=1-2", 200, TEXT, None),
    ] {
        let seen = ask(&cache, ranged(&[("range", range)])).await;
        assert_eq!((seen.status, seen.text()), (status, text), "{range}");
        assert_eq!(seen.field("content-range"), content_range, "{range}");
        assert_eq!(seen.cache(), "hit", "{range}");
        assert!(seen.field("age").is_some() && seen.field("etag") == Some("\"e\""));
        let length = seen.field("content-length").map(str::to_owned);
        assert!(length.is_none_or(|length| length == text.len().to_string()));
        assert_eq!(
            seen.field("content-type").is_some(),
            status != 416,
            "{range}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn if_range_compares_strongly_and_gets_the_whole_if_it_does_not_hold() {
    const WEAK: &[(&str, &str)] = &[STRONG[0], ("etag", "W/\"e\""), STRONG[2], STRONG[3]];
    // Made in the second of its last change: it could have changed again (section 8.8.2.2).
    const HASTY: &[(&str, &str)] = &[STRONG[0], STRONG[2], ("date", MODIFIED)];
    for (stored, condition, holds) in [
        (STRONG, "\"e\"", true),
        (STRONG, "\"f\"", false),
        (STRONG, "W/\"e\"", false),
        (STRONG, MODIFIED, true),
        (STRONG, "Sun, 06 Nov 1994 08:49:38 GMT", false),
        (WEAK, "W/\"e\"", false),
        (WEAK, "\"e\"", false),
        (HASTY, MODIFIED, false),
    ] {
        let (cache, _) = with_whole(stored).await;
        let asked = ranged(&[("range", "bytes=2-4"), ("if-range", condition)]);
        let seen = ask(&cache, asked).await;
        let expected = if holds { (206, "234") } else { (200, TEXT) };
        assert_eq!(
            (seen.status, seen.text()),
            expected,
            "{condition} {stored:?}"
        );
        assert_eq!(seen.cache(), "hit");
    }
}

#[tokio::test(start_paused = true)]
async fn conditions_come_before_the_range_and_heads_have_none() {
    let (cache, _) = with_whole(STRONG).await;
    for (fields, status) in [
        (&[("if-none-match", "\"e\"")][..], 304),
        (&[("if-none-match", "\"f\"")], 206),
        (&[("if-modified-since", MODIFIED)], 304),
        (
            &[("if-none-match", "\"f\""), ("if-modified-since", MODIFIED)],
            206,
        ),
    ] {
        let fields = [&[("range", "bytes=2-4")], fields].concat();
        let seen = ask(&cache, ranged(&fields)).await;
        assert_eq!(seen.status, status, "{fields:?}");
        assert_eq!(seen.field("content-range").is_some(), status == 206);
    }
    let head = ask(
        &cache,
        request("HEAD", "http://a/x", &[("range", "bytes=2-4")]),
    )
    .await;
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("10"))
    );
    assert_eq!(head.field("content-range"), None);
}

#[tokio::test(start_paused = true)]
async fn only_a_200_has_parts() {
    let origin = Origin::new(|_, _| {
        let mut response = answer(&[FRESH], "not here");
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    });
    let (cache, _) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    let seen = ask(&cache, ranged(&[("range", "bytes=0-2")])).await;
    assert_eq!(
        (seen.status, seen.text(), seen.cache()),
        (404, "not here", "hit")
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_of_what_is_not_stored_is_asked_for_as_it_is() {
    let origin = Origin::new(|call, request| {
        let fields = request.headers();
        assert_eq!(
            (&fields["range"], &fields["if-range"]),
            (&"bytes=2-4".parse().unwrap(), &"\"d\"".parse().unwrap())
        );
        match call {
            // It may ignore the range; then there is the whole.
            0 => answer(STRONG, TEXT),
            _ => unreachable!(),
        }
    });
    let (cache, _) = cached(&origin);
    let asked = ranged(&[("range", "bytes=2-4"), ("if-range", "\"d\"")]);
    let seen = ask(&cache, asked).await;
    assert_eq!(
        (seen.status, seen.text(), seen.cache()),
        (200, TEXT, "fwd=uri-miss; stored")
    );
    settle().await;
    assert_eq!(
        ask(&cache, ranged(&[("range", "bytes=2-4")])).await.text(),
        "234"
    );
}

/// What the origin says of a stale whole of which a part is asked for, and what the client gets.
#[tokio::test(start_paused = true)]
async fn a_part_of_something_stale_is_asked_about_first() {
    for (status, fields, sent, expected, then) in [
        (304, &[FRESH][..], "", (206, "234"), TEXT),
        (
            200,
            &[FRESH, ("etag", "\"f\"")],
            "abcdefghij",
            (200, "abcdefghij"),
            "abcdefghij",
        ),
        (
            206,
            &[FRESH, ("etag", "\"f\""), ("content-range", "bytes 2-4/10")],
            "cde",
            (206, "cde"),
            "asked anew",
        ),
        (
            206,
            &[FRESH, ("etag", "\"e\""), ("content-range", "bytes 2-4/10")],
            "234",
            (206, "234"),
            TEXT,
        ),
    ] {
        let origin = Origin::new(move |call, request| match call {
            0 => answer(&[("cache-control", "max-age=10"), STRONG[1]], TEXT),
            1 => {
                assert_eq!(request.headers()["if-none-match"], "\"e\"");
                assert_eq!(request.headers()["range"], "bytes=2-4");
                let mut response = answer(fields, sent);
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response
            }
            _ => answer(&[FRESH, ("etag", "\"g\"")], "asked anew"),
        });
        let (cache, _) = cached(&origin);
        ask(&cache, get("http://a/x")).await;
        advance(Duration::from_secs(15)).await;
        let seen = ask(&cache, ranged(&[("range", "bytes=2-4")])).await;
        assert_eq!((seen.status, seen.text()), expected, "{status} {fields:?}");
        settle().await;
        let later = ask(&cache, get("http://a/x")).await;
        assert_eq!(
            (later.status, later.text()),
            (200, then),
            "{status} {fields:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_may_stand_in_for_an_error() {
    let stale = ("cache-control", "max-age=10, stale-if-error=60");
    let origin = Origin::new(move |call, _| {
        let mut response = answer(&[stale, STRONG[1]], TEXT);
        if call > 0 {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        response
    });
    let (cache, _) = cached(&origin);
    ask(&cache, get("http://a/x")).await;
    advance(Duration::from_secs(15)).await;
    let seen = ask(&cache, ranged(&[("range", "bytes=-2")])).await;
    assert_eq!((seen.status, seen.text()), (206, "89"));
    assert_eq!(
        (seen.field("age"), seen.cache()),
        (Some("15"), "fwd=stale; fwd-status=502")
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_part_that_was_asked_for_is_not_stored() {
    const TAG: (&str, &str) = STRONG[1];
    const MULTIPART: (&str, &str) = ("content-type", "multipart/byteranges; boundary=x");
    for (asked, fields) in [
        (Some("bytes=0-1,5-6"), &[FRESH, TAG, MULTIPART][..]),
        (Some("bytes=0-1"), &[FRESH, TAG]),
        (
            Some("bytes=0-1"),
            &[FRESH, TAG, ("content-range", "bytes */10")],
        ),
        (
            Some("bytes=0-1"),
            &[FRESH, TAG, ("content-range", "bytes 1-0/10")],
        ),
        (
            Some("bytes=0-1"),
            &[FRESH, TAG, ("content-range", "lines 0-1/10")],
        ),
        (None, &[FRESH, TAG, ("content-range", "bytes 0-1/10")]),
    ] {
        let origin = Origin::new(move |_, _| {
            let mut response = answer(fields, "01");
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response
        });
        let (cache, handle) = cached(&origin);
        let asked = || asked.map_or_else(|| get("http://a/x"), |range| ranged(&[("range", range)]));
        for _ in 0..2 {
            let seen = ask(&cache, asked()).await;
            assert_eq!(
                (seen.status, seen.text(), seen.cache()),
                (206, "01", "fwd=uri-miss"),
                "{fields:?}"
            );
        }
        assert_eq!(handle.stats().entries, 0);
    }
}
