//! `admit_while`: what is new stays out, what is there stays alive.

use crate::support::*;
use cache_layer::{CacheLayer, Warm};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

/// A layer that admits while the switch is on, as it is at first.
fn switched() -> (CacheLayer, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(true));
    let admits = Arc::clone(&switch);
    let layer = layer().admit_while(move || admits.load(Ordering::SeqCst));
    (layer, switch)
}

#[tokio::test(start_paused = true)]
async fn new_answers_stay_out_until_they_may_enter_again() {
    let (layer, switch) = switched();
    let origin = Origin::new(|_, _| answer(&[FRESH, ("vary", "accept-language")], "hello"));
    let (cache, handle) = (layer.layer(origin.clone()), layer.handle());
    let english = |uri| request("GET", uri, &[("accept-language", "en")]);
    let french = |uri| request("GET", uri, &[("accept-language", "fr")]);
    ask(&cache, english("http://a/old")).await;
    let before = handle.stats();

    switch.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        let new = ask(&cache, english("http://a/new")).await;
        assert_eq!((new.text(), new.cache()), ("hello", "fwd=uri-miss"));
        let variant = ask(&cache, french("http://a/old")).await;
        assert_eq!(
            (variant.text(), variant.cache()),
            ("hello", "fwd=vary-miss")
        );
        assert_eq!(ask(&cache, english("http://a/old")).await.cache(), "hit");
    }
    let stats = handle.stats();
    assert_eq!((stats.kept_out, stats.stored, stats.hits), (4, 1, 2));
    assert_eq!((stats.entries, stats.filling), (1, 0));
    assert_eq!(stats.bytes, before.bytes);

    switch.store(true, Ordering::SeqCst);
    let admitted = ask(&cache, english("http://a/new")).await;
    assert_eq!(admitted.cache(), "fwd=uri-miss; stored");
    assert_eq!(ask(&cache, english("http://a/new")).await.cache(), "hit");
    assert_eq!(handle.stats().kept_out, 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_replaced_and_confirmed_and_purged_as_ever() {
    let (layer, switch) = switched();
    let origin = Origin::new(|call, request| match request.uri().path() {
        "/tagged" if request.headers().contains_key("if-none-match") => {
            let mut confirmed = answer(&[FRESH], "");
            *confirmed.status_mut() = http::StatusCode::NOT_MODIFIED;
            confirmed
        }
        "/tagged" => answer(&[FRESH, ("etag", "\"1\"")], "tagged"),
        _ => answer(&[FRESH], "x".repeat(call + 1)),
    });
    let (cache, handle) = (layer.layer(origin.clone()), layer.handle());
    for path in ["/plain", "/tagged"] {
        ask(&cache, get(&format!("http://a{path}"))).await;
    }
    switch.store(false, Ordering::SeqCst);
    advance(Duration::from_secs(61)).await;

    // Longer than the one before it, too.
    let newer = ask(&cache, get("http://a/plain")).await;
    assert_eq!((newer.text(), newer.cache()), ("xxx", "fwd=stale; stored"));
    let confirmed = ask(&cache, get("http://a/tagged")).await;
    assert_eq!(
        (confirmed.text(), confirmed.cache()),
        ("tagged", "fwd=stale; fwd-status=304; stored")
    );
    for path in ["/plain", "/tagged"] {
        let again = ask(&cache, get(&format!("http://a{path}"))).await;
        assert_eq!(again.cache(), "hit", "{path}");
    }
    assert_eq!(handle.stats().kept_out, 0);

    // What was purged is not there any more, and does not come back.
    assert!(handle.purge(&"http://a/plain".parse().unwrap()));
    for _ in 0..2 {
        let gone = ask(&cache, get("http://a/plain")).await;
        assert_eq!(gone.cache(), "fwd=uri-miss");
    }
    ask(&cache, request("PUT", "http://a/tagged", &[])).await;
    let gone = ask(&cache, get("http://a/tagged")).await;
    assert_eq!(gone.cache(), "fwd=uri-miss");
    assert_eq!((handle.stats().kept_out, handle.stats().entries), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_fetched_anew_in_the_background() {
    let (layer, switch) = switched();
    let fields = [("cache-control", "max-age=1, stale-while-revalidate=60")];
    let origin = Origin::new(move |call, _| answer(&fields, call.to_string()));
    let cache = layer.layer(origin.clone());
    ask(&cache, get("http://a/x")).await;
    switch.store(false, Ordering::SeqCst);
    for turn in 0..3 {
        advance(Duration::from_secs(2)).await;
        let stale = ask(&cache, get("http://a/x")).await;
        assert_eq!((stale.text(), stale.cache()), (&*turn.to_string(), "hit"));
        settle().await;
    }
    assert_eq!(layer.handle().stats().refreshed, 3);
}

#[tokio::test(start_paused = true)]
async fn neither_warming_nor_empty_answers_nor_posts_bring_in_what_is_new() {
    let (layer, switch) = switched();
    let layer = layer.store_post(true);
    let origin = Origin::new(|_, request| {
        let itself = request.uri().to_string();
        let length = usize::from(request.uri().path() != "/empty");
        answer(&[FRESH, ("content-location", &itself)], "x".repeat(length))
    });
    let (cache, handle) = (layer.layer(origin.clone()), layer.handle());
    ask(&cache, get("http://a/old")).await;
    switch.store(false, Ordering::SeqCst);

    let pages = ["http://a/old", "http://a/new", "http://a/empty"].map(get);
    let warmed = handle.warm(cache.clone(), pages, &Warm::new()).await;
    assert_eq!((warmed.stored, warmed.not_stored, warmed.failed), (1, 2, 0));
    let posted = ask(&cache, request("POST", "http://a/new", &[])).await;
    assert_eq!(posted.cache(), "fwd=method");
    assert_eq!((handle.stats().entries, handle.stats().kept_out), (1, 3));

    switch.store(true, Ordering::SeqCst);
    let posted = ask(&cache, request("POST", "http://a/new", &[])).await;
    assert_eq!(posted.cache(), "fwd=method; stored");
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_share_what_is_kept_out_at_their_own_pace() {
    let (layer, switch) = switched();
    let (mut origin, service) = manual();
    let cache = layer.layer(service);
    switch.store(false, Ordering::SeqCst);
    let leader = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let (_, respond) = origin.recv().await.unwrap();
    let followers = [(); 9].map(|()| tokio::spawn(cache.clone().oneshot(get("http://a/x"))));
    settle().await;
    let (script, body) = Script::new();
    respond.send(head(&[FRESH], body)).ok().unwrap();
    let mut slow = leader.await.unwrap().unwrap();
    let status = slow.headers()["cache-status"].to_str().unwrap();
    assert_eq!(status, "cache-layer; fwd=uri-miss");

    // Ten times the window of a lone reader; one of the ten takes nothing of it.
    for _ in 0..10 {
        script.data(vec![b'x'; 64 * 1024]);
    }
    drop(script);
    for follower in followers {
        let seen = read(follower.await.unwrap().unwrap()).await;
        assert_eq!(seen.cache(), "fwd=uri-miss; collapsed");
        assert_eq!(seen.body.unwrap().len(), 640 * 1024);
    }
    advance(Duration::from_secs(60)).await;
    settle().await;
    let rest = slow.body_mut().collect().await.unwrap();
    assert_eq!(rest.to_bytes().len(), 640 * 1024, "nobody was cut off");
    drop(slow);
    let stats = layer.handle().stats();
    assert_eq!((stats.misses, stats.collapsed, stats.kept_out), (1, 9, 1));
    assert_eq!((stats.bytes, stats.filling), (0, 0));

    // Who comes when it is over asks for himself.
    let late = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    answered(&mut origin, &[FRESH]).await.data("late");
    let late = late.await.unwrap().unwrap();
    assert_eq!(late.headers()["cache-status"], "cache-layer; fwd=uri-miss");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_out_is_read_no_further_than_its_lone_reader_has_come() {
    let (layer, switch) = switched();
    let (mut origin, service) = manual();
    let (cache, handle) = (layer.layer(service), layer.handle());
    switch.store(false, Ordering::SeqCst);
    let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    let script = answered(&mut origin, &[FRESH]).await;
    let mut body = client.await.unwrap().unwrap().into_body();
    for _ in 0..60 {
        script.data(vec![b'x'; 16 * 1024]);
    }
    settle().await;
    let ahead = handle.stats().bytes;
    assert!((1..=80 * 1024).contains(&ahead), "{ahead} bytes held");

    // It joins nobody that nobody may join any more.
    let other = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
    answered(&mut origin, &[FRESH]).await.data("other");
    assert!(other.await.unwrap().is_ok());

    for _ in 0..60 {
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap().len(), 16 * 1024);
        settle().await;
        let ahead = handle.stats().bytes;
        assert!(ahead <= 80 * 1024, "{ahead} bytes held");
    }
    assert!(body.frame().now_or_never().is_none());
    drop(body);
    script.data("more");
    settle().await;
    assert!(script.is_dropped(), "nobody reads it, so nobody fetches it");
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_once_for_what_could_be_stored_and_never_on_a_hit() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let layer = layer().admit_while(move || counter.fetch_add(1, Ordering::SeqCst) < usize::MAX);
    let origin = Origin::new(|_, request| match request.uri().path() {
        "/private" => answer(&[("cache-control", "private")], "x"),
        _ => answer(&[FRESH], "x"),
    });
    let cache = layer.layer(origin);
    for (path, expected) in [("/x", 1), ("/x", 1), ("/private", 1), ("/y", 2), ("/y", 2)] {
        ask(&cache, get(&format!("http://a{path}"))).await;
        assert_eq!(asked.load(Ordering::SeqCst), expected, "{path}");
    }
    // Another route's layer may ask somebody else.
    let other = layer.namespaced("other").admit_while(|| false);
    let elsewhere = other.layer(Origin::new(|_, _| answer(&[FRESH], "x")));
    let kept_out = ask(&elsewhere, get("http://a/x")).await;
    assert_eq!(kept_out.cache(), "fwd=uri-miss");
    let kept_out = |layer: &CacheLayer| layer.handle().stats().kept_out;
    assert_eq!((kept_out(&other), kept_out(&layer)), (1, 0));
}
