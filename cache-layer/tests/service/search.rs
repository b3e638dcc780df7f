//! Queries that ask for the same (No-Vary-Search).

use crate::support::*;
use cache_layer::Cache;
use tower::Layer;

const RULE: (&str, &str) = ("no-vary-search", "key-order, params=(\"u\")");

fn cache_of(origin: &Origin) -> Cache<Origin> {
    layer().no_vary_search(true).layer(origin.clone())
}

async fn see(cache: &Cache<Origin>, query: &str) -> String {
    ask(cache, get(&format!("http://a/x{query}")))
        .await
        .text()
        .to_owned()
}

fn numbered(rules: &'static [&'static str]) -> Origin {
    Origin::new(move |call, _| {
        let rule = rules[call.min(rules.len() - 1)];
        answer(&[FRESH, ("no-vary-search", rule)], call.to_string())
    })
}

#[tokio::test(start_paused = true)]
async fn a_rule_holds_for_its_path_from_the_first_answer_on() {
    let origin = numbered(&[RULE.1]);
    let cache = cache_of(&origin);
    for query in ["?a=1&b=2&u=1", "?u=7&b=2&a=1", "?b=2&a=1", "?a=1&b=%32"] {
        assert_eq!(see(&cache, query).await, "0", "{query}");
    }
    for (query, text) in [
        ("?a=2&b=1", "1"),
        ("?a=1", "2"),
        ("", "3"),
        ("?", "3"),
        ("?u=9", "3"),
    ] {
        assert_eq!(see(&cache, query).await, text, "{query}");
    }
    assert_eq!(ask(&cache, get("http://a/y?u=1")).await.text(), "4");
    assert_eq!(ask(&cache, get("http://b/x?a=1&b=2")).await.text(), "5");
    // Where it is not asked for, no rule is heeded.
    let (cache, _) = cached(&numbered(&[RULE.1]));
    assert_eq!(
        (see(&cache, "?u=1").await, see(&cache, "?u=2").await),
        ("0".into(), "1".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_changes_or_ends_shares_nothing_of_before() {
    for next in ["params=(\"v\")", "?1", ""] {
        let rules: &'static [&'static str] = Box::leak(Box::new([RULE.1, next]));
        let cache = cache_of(&numbered(rules));
        assert_eq!(see(&cache, "?a=1&u=1").await, "0");
        assert_eq!(
            see(&cache, "?a=2&u=1").await,
            "1",
            "which says something else"
        );
        assert_eq!(see(&cache, "?a=1&u=1").await, "2", "{next}");
        assert_eq!(see(&cache, "?a=1&u=2").await, "3", "{next}");
        assert_eq!(see(&cache, "?a=2&u=1").await, "1", "{next}");
    }
}

#[tokio::test(start_paused = true)]
async fn purges_and_writes_reach_all_that_is_the_same() {
    for which in 0..4 {
        let origin = Origin::new(|call, request| match request.method().as_str() {
            "GET" => answer(&[FRESH, RULE], call.to_string()),
            _ => answer(&[("location", "/x?u=5&a=1")], ""),
        });
        let layer = layer().no_vary_search(true);
        let (cache, handle) = (layer.layer(origin), layer.handle());
        assert_eq!(see(&cache, "?a=1&u=1").await, "0");
        assert_eq!(see(&cache, "?a=2").await, "1");
        let other = "http://a/x?u=9&a=1";
        match which {
            0 => assert!(handle.purge(&other.parse().unwrap())),
            1 => assert!(handle.purge_softly(&other.parse().unwrap())),
            2 => drop(ask(&cache, request("POST", other, &[])).await),
            _ => drop(ask(&cache, request("POST", "http://a/w", &[])).await),
        }
        assert_ne!(see(&cache, "?a=1&u=1").await, "0", "{which}");
        let untouched = ask(&cache, get("http://a/x?a=2")).await;
        assert_eq!(
            (untouched.text(), untouched.cache()),
            ("1", "hit"),
            "{which}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_under_a_rule_that_falls_ask_for_themselves() {
    use tower::ServiceExt;
    let (mut origin, service) = manual();
    let cache = layer().no_vary_search(true).layer(service);
    let ask = |query: &str| tokio::spawn(cache.clone().oneshot(get(&format!("http://a/x{query}"))));
    let first = ask("?u=0&a=0");
    let (_, respond) = origin.recv().await.unwrap();
    respond.send(answer(&[FRESH, RULE], "rule")).ok().unwrap();
    read(first.await.unwrap().unwrap()).await;
    let (one, other) = (ask("?u=1"), ask("?u=2"));
    let (asked, respond) = origin.recv().await.unwrap();
    settle().await;
    assert!(origin.try_recv().is_err(), "one for both");
    let query = asked.uri().query().unwrap().to_owned();
    respond.send(answer(&[FRESH], query)).ok().unwrap();
    let (asked, respond) = origin.recv().await.unwrap();
    let query = asked.uri().query().unwrap().to_owned();
    respond.send(answer(&[FRESH], query)).ok().unwrap();
    assert_eq!(read(one.await.unwrap().unwrap()).await.text(), "u=1");
    assert_eq!(read(other.await.unwrap().unwrap()).await.text(), "u=2");
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_to_a_forged_field_says_nothing_of_others_queries() {
    let origin = Origin::new(|call, request| {
        let forged = request.headers().contains_key("x-original-url");
        let rule = if forged { "except=()" } else { "?1" };
        answer(&[FRESH, ("no-vary-search", rule)], call.to_string())
    });
    let layer = layer().no_vary_search(true);
    let (cache, handle) = (layer.layer(origin.clone()), layer.handle());
    let forged = |query: &str| {
        let uri = format!("http://a/x{query}");
        request("GET", &uri, &[("x-original-url", "/y")])
    };
    assert_eq!(ask(&cache, forged("?a=1")).await.text(), "0");
    assert_eq!(ask(&cache, forged("?a=2")).await.text(), "0");
    assert_eq!(see(&cache, "?a=1").await, "1");
    assert_eq!(see(&cache, "?a=2").await, "2");
    // What is stored by a rule of its own goes with its path.
    assert!(handle.purge(&"http://a/x?a=3".parse().unwrap()));
    assert_eq!(ask(&cache, forged("?a=4")).await.text(), "3");
    assert_eq!(see(&cache, "?a=1").await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_write_with_other_fields_reaches_what_a_rule_made() {
    let origin = Origin::new(|call, _| answer(&[FRESH, RULE], call.to_string()));
    let cache = cache_of(&origin);
    assert_eq!(see(&cache, "?a=1&u=1").await, "0");
    let write = request("POST", "http://a/x?u=2&a=1", &[("x-forwarded-host", "b")]);
    ask(&cache, write).await;
    assert_eq!(see(&cache, "?a=1&u=3").await, "2");
}
