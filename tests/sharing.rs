//! Whose answer is whose: variants, credentials, hosts, and what is never given to a second client.

use end_to_end::{
    cached::{Cached, FRESH, fields},
    raw,
};

#[tokio::test]
async fn variants_are_kept_apart_by_the_fields_vary_names() {
    let cached = Cached::new(&[
        ("cache-control", "max-age=60"),
        ("vary", "accept-language"),
        ("vary", "X-Tier"),
    ])
    .await;
    let de = cached.get_with("/", "accept-language", "de").await;
    let en = cached.get_with("/", "accept-language", "en").await;
    let none = cached.get("/").await;
    let tier = cached.get_with("/", "x-tier", "gold").await;
    assert_eq!(
        (de.text(), en.text(), none.text(), tier.text()),
        ("0", "1", "2", "3")
    );
    for (name, value, expected) in [
        ("accept-language", "de", "0"),
        ("accept-language", "en", "1"),
        ("x-other", "any", "2"),
        ("x-tier", "gold", "3"),
    ] {
        let again = cached.get_with("/", name, value).await;
        assert_eq!(
            (again.text(), again.field("age").is_some()),
            (expected, true)
        );
    }
    assert_eq!(cached.reached(), 4);
}

#[tokio::test]
async fn what_may_not_be_shared_is_not() {
    for fields in [
        &[("cache-control", "no-store")][..],
        &[("cache-control", "private, max-age=60")],
        &[("cache-control", "No-Cache, max-age=60")],
        &[("cache-control", "max-age=0")],
        &[("cache-control", "max-age=60"), ("set-cookie", "id=1")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
        &[("cache-control", "max-age=60"), ("vary", "accept, *")],
        &[("expires", "0")],
        &[
            ("cache-control", "max-age=60"),
            ("cache-control", "no-store"),
        ],
        &[],
    ] {
        let cached = Cached::new(fields).await;
        for number in ["0", "1", "2"] {
            let answer = cached.get("/").await;
            assert_eq!(
                (answer.text(), answer.field("age")),
                (number, None),
                "{fields:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_to_credentials_is_shared_only_when_it_says_so() {
    for (directives, shared) in [
        ("max-age=60", false),
        ("max-age=60, proxy-revalidate", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
    ] {
        let cached = Cached::new(&[("cache-control", directives)]).await;
        let alice = cached.get_with("/", "authorization", "Basic alice").await;
        let bob = cached.get_with("/", "authorization", "Basic bob").await;
        let alice_again = cached.get_with("/", "authorization", "Basic alice").await;
        let nobody = cached.get("/").await;
        let expected = if shared {
            ["0", "0", "0", "0"]
        } else {
            ["0", "1", "2", "3"]
        };
        let got = [alice.text(), bob.text(), alice_again.text(), nobody.text()];
        assert_eq!(got, expected, "{directives}");
    }
}

#[tokio::test]
async fn fields_of_one_connection_are_not_replayed() {
    let cached = Cached::new(&[
        ("cache-control", "max-age=60"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("x-end", "1"),
    ])
    .await;
    cached.get("/").await;
    let hit = cached.get("/").await;
    for name in ["connection", "x-hop", "keep-alive", "proxy-authenticate"] {
        assert!(!hit.headers.contains_key(name), "{name} was replayed");
    }
    assert_eq!(hit.field("x-end"), Some("1"));
    assert_eq!(cached.reached(), 1);
}

#[tokio::test]
async fn one_hosts_answers_are_never_given_under_another() {
    let cached = Cached::new(FRESH).await;
    let from = async |hosts: &str| {
        let request = format!("GET / HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        raw::exchange(cached.server.addr(), request).await
    };
    let body = |answer: &str| answer.rsplit("\r\n").next().unwrap_or_default().to_owned();
    let one = from("host: one.example\r\n").await;
    let two = from("host: two.example\r\n").await;
    assert_eq!((body(&one), body(&two)), ("0".into(), "1".into()), "{one}");
    // Case and the default port are spellings of the same host.
    assert_eq!(body(&from("host: ONE.example:80\r\n").await), "0");
    assert_eq!(body(&from("host: one.example:8080\r\n").await), "2");
    let held = cached.handle.stats().entries;
    for unusable in [
        "",
        "host: one.example\r\nhost: two.example\r\n",
        "host: one.example/two\r\n",
        "host: \r\n",
    ] {
        for _ in 0..2 {
            let answer = from(unusable).await;
            assert!(
                !answer.contains("\r\nage:"),
                "{unusable:?} was answered from the cache: {answer}"
            );
        }
    }
    assert_eq!(
        cached.handle.stats().entries,
        held,
        "nothing under an unusable host is stored"
    );
}

#[tokio::test]
async fn what_the_unkeyed_override_fields_change_reaches_only_who_sent_them() {
    let cached = Cached::with(|request| {
        let mut fields = fields(FRESH);
        if let Some(host) = request.headers().get("x-forwarded-host") {
            fields.insert("location", host.clone());
        }
        fields
    })
    .await;
    cached
        .get_with("/", "x-forwarded-host", "evil.example")
        .await;
    assert_eq!(cached.get("/").await.field("location"), None);
}
