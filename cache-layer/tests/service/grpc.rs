//! gRPC methods that are cached by name.

use crate::content::{cache, see, sent};
use crate::support::*;
use http::{HeaderMap, Request};
use std::time::Duration;
use tokio::time::advance;

const METHOD: &str = "/pkg.Service/Get";

fn grpc(path: &str, fields: &[(&str, &str)], message: &'static str) -> Request<ScriptBody> {
    let mut request = sent("POST", &format!("http://a{path}"), fields, message);
    let kind = "application/grpc+proto".parse().unwrap();
    request.headers_mut().insert("content-type", kind);
    request
}

/// A gRPC answer of one message and this status.
fn grpc_answer(fields: &[(&str, &str)], message: String, status: &str) -> OriginResponse {
    let (script, body) = Script::new();
    script.data(message);
    let trailers = [("grpc-status", status)]
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
    script.trailers(HeaderMap::from_iter(trailers));
    let mut response = head(fields, body);
    let kind = "application/grpc".parse().unwrap();
    response.headers_mut().insert("content-type", kind);
    response
}

#[tokio::test(start_paused = true)]
async fn only_the_named_methods_with_status_ok_are_stored() {
    let minute = Duration::from_secs(60);
    let layer = layer().grpc_method(METHOD, minute);
    let (cache, _) = cache(&layer, |call, (parts, content)| {
        let content = content.as_ref().unwrap();
        let status = if content == "bad" { "5" } else { "0" };
        match &content[..] {
            b"only" => answer(
                &[("content-type", "application/grpc"), ("grpc-status", "5")],
                "",
            ),
            b"html" => answer(&[("content-type", "text/html")], "log in"),
            _ => grpc_answer(&[], format!("{call}{}", parts.uri.path()), status),
        }
    });
    for (path, message, stored) in [
        (METHOD, "good", true),
        (METHOD, "bad", false),
        (METHOD, "only", false),
        (METHOD, "html", false),
        ("/pkg.Service/Set", "good", false),
        ("/pkg.Service/Get/", "good", false),
    ] {
        let first = see(&cache, grpc(path, &[], message)).await;
        let again = see(&cache, grpc(path, &[], message)).await;
        assert_eq!(again.cache() == "hit", stored, "{path} {message}");
        if stored {
            assert_eq!(again.body, first.body);
            assert_eq!(again.trailers.unwrap()["grpc-status"], "0");
        } else if message != "bad" {
            assert!(
                !first.cache().contains("stored"),
                "{message}: {}",
                first.cache()
            );
        }
    }
    advance(minute).await;
    assert_ne!(see(&cache, grpc(METHOD, &[], "good")).await.cache(), "hit");
    // What is no gRPC is a write like any other.
    let plain = sent("POST", &format!("http://a{METHOD}"), &[], "good");
    assert_eq!(see(&cache, plain).await.cache(), "fwd=method");
}

#[tokio::test(start_paused = true)]
async fn metadata_decide_over_sharing_and_lifetime() {
    let secret = [("authorization", "Bearer x")];
    for (metadata, lives, shared) in [
        ("", true, false),
        ("max-age=5", false, false),
        ("public, max-age=60", true, true),
        ("no-store", false, false),
    ] {
        let layer = layer().grpc_method(METHOD, Duration::from_secs(60));
        let (cache, _) = cache(&layer, move |call, _| {
            let fields = [("cache-control", metadata)];
            grpc_answer(&fields, call.to_string(), "0")
        });
        see(&cache, grpc(METHOD, &secret, "m")).await;
        let other = see(&cache, grpc(METHOD, &[("authorization", "Bearer y")], "m")).await;
        assert_eq!(other.cache() == "hit", shared, "{metadata}");
        see(&cache, grpc(METHOD, &[], "m")).await;
        advance(Duration::from_secs(10)).await;
        let later = see(&cache, grpc(METHOD, &[], "m")).await;
        assert_eq!(later.cache() == "hit", lives, "{metadata}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_answer_that_is_refreshed_lives_as_long_as_the_first() {
    let layer = layer()
        .grpc_method(METHOD, Duration::from_secs(10))
        .stale_while_revalidate(Duration::from_secs(60))
        .ttl_jitter(0.0);
    let (cache, got) = cache(&layer, |call, _| grpc_answer(&[], call.to_string(), "0"));
    see(&cache, grpc(METHOD, &[], "m")).await;
    advance(Duration::from_secs(15)).await;
    assert_eq!(see(&cache, grpc(METHOD, &[], "m")).await.text(), "0");
    settle().await;
    let hit = see(&cache, grpc(METHOD, &[], "m")).await;
    assert_eq!((hit.text(), hit.field("age")), ("1", Some("0")));
    assert_eq!(got.lock().unwrap()[1].0.method, "POST");
}

#[tokio::test(start_paused = true)]
async fn answers_of_a_method_do_not_end_together() {
    let layer = layer()
        .grpc_method(METHOD, Duration::from_secs(100))
        .ttl_jitter(0.5);
    let (cache, _) = cache(&layer, |_, _| grpc_answer(&[], "x".to_owned(), "0"));
    const MESSAGES: &str =
        "as many messages as there are octets in this text, each a bit shorter than the last";
    let message = |n| &MESSAGES[n..];
    for n in 0..80 {
        see(&cache, grpc(METHOD, &[], message(n))).await;
    }
    let mut fresh = Vec::new();
    for wait in [49, 26, 25] {
        advance(Duration::from_secs(wait)).await;
        let mut count = 0;
        for n in 0..80 {
            let asked = grpc(METHOD, &[("cache-control", "only-if-cached")], message(n));
            count += usize::from(see(&cache, asked).await.status == 200);
        }
        fresh.push(count);
    }
    assert_eq!((fresh[0], fresh[2]), (80, 0));
    assert!((20..60).contains(&fresh[1]), "{fresh:?}");
}
