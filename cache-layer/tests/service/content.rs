//! Requests whose content is part of their key: QUERY (RFC 10008).

use crate::support::*;
use bytes::Bytes;
use cache_layer::{Cache, CacheLayer, RequestBody};
use futures_util::future::BoxFuture;
use http::{Request, request::Parts};
use http_body_util::{BodyExt, Collected};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::advance;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

pub(crate) type Below =
    BoxCloneSyncService<Request<RequestBody<ScriptBody>>, OriginResponse, Infallible>;

/// What the origin was sent: method, fields, and content or what went wrong with it.
pub(crate) type Got = (Parts, Result<Bytes, String>);

/// A cache above an origin that reads the content of each request, and notes it.
pub(crate) fn cache(
    layer: &CacheLayer,
    answer: impl Fn(usize, &Got) -> OriginResponse + Send + Sync + 'static,
) -> (Cache<Below>, Arc<Mutex<Vec<Got>>>) {
    let (answer, calls) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let log = Arc::new(Mutex::new(Vec::new()));
    let got = Arc::clone(&log);
    let origin = service_fn(move |request: Request<RequestBody<ScriptBody>>| {
        let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            let (parts, body) = request.into_parts();
            let got = (parts, whole(body).await);
            let response = answer(call, &got);
            log.lock().unwrap().push(got);
            Ok::<_, Infallible>(response)
        }
    });
    (layer.layer(BoxCloneSyncService::new(origin)), got)
}

/// Boxed, for the compiler cannot tell otherwise that it may change threads.
fn whole(body: RequestBody<ScriptBody>) -> BoxFuture<'static, Result<Bytes, String>> {
    Box::pin(async move {
        let content = body.collect().await.map(Collected::to_bytes);
        content.map_err(|error| error.to_string())
    })
}

pub(crate) fn sent(
    method: &str,
    uri: &str,
    fields: &[(&str, &str)],
    content: impl Into<Bytes>,
) -> Request<ScriptBody> {
    sending(method, uri, fields, ScriptBody::full(content))
}

fn sending(
    method: &str,
    uri: &str,
    fields: &[(&str, &str)],
    content: ScriptBody,
) -> Request<ScriptBody> {
    request(method, uri, fields).map(|_: ClientBody| content)
}

fn query(content: &'static str) -> Request<ScriptBody> {
    let fields = [("content-type", "text/sql")];
    sent("QUERY", "http://a/x", &fields, content)
}

pub(crate) async fn see(cache: &Cache<Below>, request: Request<ScriptBody>) -> Seen {
    let Ok(response) = cache.clone().oneshot(request).await;
    read(response).await
}

/// An answer that says which call it is and what was asked.
fn echo(fields: &[(&str, &str)], call: usize, (parts, content): &Got) -> OriginResponse {
    let content = String::from_utf8_lossy(content.as_ref().unwrap()).into_owned();
    answer(fields, format!("{call} {} {content}", parts.method))
}

#[tokio::test(start_paused = true)]
async fn queries_of_one_content_share_and_nothing_else_does() {
    let (cache, got) = cache(&layer().query(true), |call, got| echo(&[FRESH], call, got));
    let with = |fields: &[(&str, &str)], content| sent("QUERY", "http://a/x", fields, content);
    let requests = || {
        [
            query("one"),
            query("two"),
            query(""),
            with(&[("content-type", "text/json")], "one"),
            with(
                &[("content-type", "text/sql"), ("content-encoding", "gzip")],
                "one",
            ),
            with(&[("content-encoding", "text/sql")], "one"),
            with(&[], "one"),
            sent("GET", "http://a/x", &[], ""),
        ]
    };
    for round in 0..2 {
        for (n, request) in requests().into_iter().enumerate() {
            let seen = see(&cache, request).await;
            assert!(seen.text().starts_with(&format!("{n} ")), "{}", seen.text());
            assert_eq!(seen.cache() == "hit", round == 1, "{n}");
        }
    }
    assert_eq!(got.lock().unwrap().len(), 8);
    // A write to the target reaches all of them.
    see(&cache, sent("POST", "http://a/x", &[], "w")).await;
    for request in requests() {
        assert_ne!(see(&cache, request).await.cache(), "hit");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_queries_pass_and_change_nothing() {
    let (cache, got) = cache(&layer(), |call, got| {
        let groups = ("cache-group-invalidation", "\"g\"");
        echo(&[FRESH, groups, ("cache-groups", "\"g\"")], call, got)
    });
    see(&cache, sent("GET", "http://a/x", &[], "")).await;
    for n in 1..3 {
        let seen = see(&cache, query("one")).await;
        assert_eq!(
            (seen.text(), seen.cache()),
            (&*format!("{n} QUERY one"), "fwd=method")
        );
    }
    let hit = see(&cache, sent("GET", "http://a/x", &[], "")).await;
    assert_eq!((hit.cache(), got.lock().unwrap().len()), ("hit", 3));
}

#[tokio::test(start_paused = true)]
async fn no_rule_of_queries_makes_an_answer_to_content_one_to_get() {
    let layer = layer().query(true).no_vary_search(true);
    let rule = ("no-vary-search", "params=(\"u\")");
    // The rule comes with a QUERY, and is withdrawn by one.
    let (cache, _) = cache(&layer, move |call, got| match call {
        2 | 3 => echo(&[FRESH], call, got),
        _ => echo(&[FRESH, rule], call, got),
    });
    let get = |uri| sent("GET", uri, &[], "");
    let query = |uri, content| sent("QUERY", uri, &[], content);
    assert_eq!(
        see(&cache, query("http://a/x?u=1", "a")).await.text(),
        "0 QUERY a"
    );
    assert_eq!(
        see(&cache, query("http://a/x?u=2", "a")).await.cache(),
        "hit"
    );
    assert_eq!(
        see(&cache, query("http://a/x?u=1", "b")).await.text(),
        "1 QUERY b"
    );
    assert_eq!(
        see(&cache, query("http://a/x?u=1", "c")).await.text(),
        "2 QUERY c"
    );
    assert_eq!(see(&cache, get("http://a/x?u=1")).await.text(), "3 GET ");
    assert_eq!(see(&cache, get("http://a/x?u=2")).await.text(), "4 GET ");
    assert_eq!(see(&cache, get("http://a/x?u=3")).await.text(), "4 GET ");
    assert_eq!(
        see(&cache, query("http://a/x?u=3", "c")).await.text(),
        "5 QUERY c"
    );
}

#[tokio::test(start_paused = true)]
async fn a_background_refresh_asks_the_same_question() {
    for content in ["one", ""] {
        let layer = layer().query(true);
        let fields = [("cache-control", "max-age=10, stale-while-revalidate=60")];
        let (cache, got) = cache(&layer, move |call, got| echo(&fields, call, got));
        let asked = || {
            let mut request = query(content);
            let secret = "Basic eA==".parse().unwrap();
            request.headers_mut().insert("x-client", secret);
            request
        };
        see(&cache, asked()).await;
        advance(Duration::from_secs(15)).await;
        assert_eq!(see(&cache, asked()).await.cache(), "hit");
        settle().await;
        let hit = see(&cache, asked()).await;
        assert_eq!(
            (hit.text(), hit.field("age")),
            (&*format!("1 QUERY {content}"), Some("0"))
        );
        let got = got.lock().unwrap();
        assert_eq!(got[1].0.headers["content-type"], "text/sql");
        assert!(!got[1].0.headers.contains_key("x-client"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_of_a_querys_answer_is_its_own() {
    let (cache, got) = cache(&layer().query(true), |_, (parts, _)| {
        let tagged = [FRESH, ("etag", "\"e\"")];
        if parts.headers.contains_key("range") {
            let range = [tagged[0], tagged[1], ("content-range", "bytes 0-1/5")];
            let mut part = answer(&range, "he");
            *part.status_mut() = http::StatusCode::PARTIAL_CONTENT;
            return part;
        }
        answer(&tagged, "hello")
    });
    let fields = [("content-type", "text/sql"), ("range", "bytes=0-1")];
    let part = || sent("QUERY", "http://a/x", &fields, "one");
    let seen = see(&cache, part()).await;
    assert_eq!((seen.status, seen.text()), (206, "he"));
    let hit = see(&cache, part()).await;
    assert_eq!((hit.status, hit.text(), hit.cache()), (206, "he", "hit"));
    assert_eq!(got.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn content_over_the_limit_passes_octet_for_octet() {
    let (cache, got) = cache(&layer().query(true).max_key_content(8), |call, _| {
        answer(&[FRESH], call.to_string())
    });
    let pieces = |pieces: &[&'static str]| {
        let (script, body) = Script::new();
        pieces.iter().all(|piece| script.data(*piece));
        sending("QUERY", "http://a/x", &[], body)
    };
    for (request, whole) in [
        (pieces(&["1234", "5678", "9", "abc"]), "123456789abc"),
        (sent("QUERY", "http://a/x", &[], "123456789"), "123456789"),
    ] {
        let seen = see(&cache, request).await;
        assert_eq!(seen.cache(), "fwd=bypass");
        let got = got.lock().unwrap();
        assert_eq!(got.last().unwrap().1.as_ref().unwrap(), whole);
    }
    let fits = || pieces(&["1234", "5678"]);
    assert_eq!(see(&cache, fits()).await.cache(), "fwd=uri-miss; stored");
    assert_eq!(see(&cache, fits()).await.cache(), "hit");
}

#[tokio::test(start_paused = true)]
async fn content_that_breaks_off_is_passed_on_as_broken() {
    let (cache, got) = cache(&layer().query(true), |_, _| answer(&[FRESH], "x"));
    let (script, body) = Script::new();
    script.data("12");
    script.fail();
    let seen = see(&cache, sending("QUERY", "http://a/x", &[], body)).await;
    assert_eq!(seen.cache(), "fwd=bypass");
    assert_eq!(got.lock().unwrap()[0].1, Err("origin died".to_owned()));
    assert_eq!(
        see(&cache, sent("QUERY", "http://a/x", &[], "12"))
            .await
            .cache(),
        "fwd=uri-miss; stored"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_before_its_content_is_there_asks_nothing() {
    let (cache, got) = cache(&layer().query(true), |_, _| answer(&[FRESH], "x"));
    let (_script, body) = Script::new();
    let asked = sending("QUERY", "http://a/x", &[], body);
    let client = tokio::spawn(cache.clone().oneshot(asked));
    settle().await;
    client.abort();
    settle().await;
    assert!(got.lock().unwrap().is_empty());
}
