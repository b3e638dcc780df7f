//! Answers for one client, errors, and bodies that end early: nobody else sees a byte, nobody waits in vain.

use crate::support::*;
use futures_util::FutureExt;
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn an_errand_of_ones_own_ends_with_its_client() {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let asked = request("GET", "http://a/x", &[("authorization", "Basic eA==")]);
    let client = tokio::spawn(cache.clone().oneshot(asked));
    let (_, respond) = origin.recv().await.unwrap();
    client.abort();
    settle().await;
    assert!(respond.is_closed(), "nobody else could use it");
    assert_eq!(layer.handle().stats().filling, 0);
}

#[tokio::test(start_paused = true)]
async fn a_private_answer_reaches_its_leader_only() {
    for secret in [
        ("cache-control", "private"),
        ("set-cookie", "id=1"),
        ("x", "no lifetime"),
    ] {
        let (mut origin, service) = manual();
        let layer = layer();
        let cache = layer.layer(service);
        let clients: Vec<_> = (0..10)
            .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
            .collect();
        let (_, respond) = origin.recv().await.unwrap();
        settle().await;
        assert!(origin.recv().now_or_never().is_none(), "the others wait");
        respond.send(answer(&[secret], "0")).ok().unwrap();
        settle().await;
        for n in 1..10 {
            // All at once, not one behind the other.
            let (_, respond) = origin
                .recv()
                .now_or_never()
                .unwrap_or_else(|| panic!("follower {n} still waits"))
                .unwrap();
            respond.send(answer(&[secret], n.to_string())).ok().unwrap();
            settle().await;
        }
        let mut bodies = Vec::new();
        for client in clients {
            bodies.push(read(client.await.unwrap().unwrap()).await.text().to_owned());
        }
        bodies.sort();
        let all: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        assert_eq!(bodies, all, "each got its own");

        // For a while nobody queues for what cannot be shared.
        let clients: Vec<_> = (0..3)
            .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
            .collect();
        settle().await;
        for _ in 0..3 {
            let (_, respond) = origin.recv().now_or_never().expect("nobody waits").unwrap();
            respond.send(answer(&[secret], "later")).ok().unwrap();
        }
        for client in clients {
            assert_eq!(read(client.await.unwrap().unwrap()).await.text(), "later");
        }
        assert_eq!(layer.handle().stats().entries, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn one_clients_own_answers_do_not_keep_others_from_sharing() {
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let own = request("GET", "http://a/x", &[("authorization", "Basic eA==")]);
    let own = tokio::spawn(cache.clone().oneshot(own));
    let (_, respond) = origin.recv().await.unwrap();
    respond
        .send(answer(&[("cache-control", "private")], "own"))
        .ok()
        .unwrap();
    assert_eq!(read(own.await.unwrap().unwrap()).await.text(), "own");

    let clients: Vec<_> = (0..5)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let (_, respond) = origin.recv().await.unwrap();
    settle().await;
    assert!(origin.try_recv().is_err(), "the others wait for one");
    respond.send(answer(&[FRESH], "all")).ok().unwrap();
    for client in clients {
        assert_eq!(read(client.await.unwrap().unwrap()).await.text(), "all");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_reaches_the_leader_and_the_others_ask_for_themselves() {
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let clients: Vec<_> = (0..4)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let (_, respond) = origin.recv().await.unwrap();
    settle().await;
    drop(respond);
    settle().await;
    for _ in 0..3 {
        let (_, respond) = origin.recv().now_or_never().expect("all at once").unwrap();
        respond.send(answer(&[FRESH], "fine")).ok().unwrap();
    }
    let mut failed = 0;
    for client in clients {
        match client.await.unwrap() {
            Ok(response) => assert_eq!(read(response).await.text(), "fine"),
            Err(error) => {
                assert_eq!(error.to_string(), "origin failed");
                failed += 1;
            }
        }
    }
    settle().await;
    assert_eq!((failed, layer.handle().stats().filling), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_below_is_a_panic_above_and_strands_nobody() {
    let layer = layer();
    let service = tower::service_fn(|_: OriginRequest| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if true {
            panic!("origin's own");
        }
        Ok::<_, BoxError>(answer(&[], ""))
    });
    let cache = layer.layer(service);
    let clients: Vec<_> = (0..3)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    for client in clients {
        let panic = client.await.expect_err("panics").into_panic();
        assert_eq!(*panic.downcast_ref::<&str>().unwrap(), "origin's own");
    }
    assert_eq!(layer.handle().stats().filling, 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_or_falls_short_is_not_stored() {
    // Breaks mid-way: all readers see it.
    let (mut origin, service) = manual();
    let layer = layer();
    let cache = layer.layer(service);
    let clients: Vec<_> = (0..2)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let (_, respond) = origin.recv().await.unwrap();
    settle().await;
    let (script, body) = Script::new();
    respond.send(head(&[FRESH], body)).ok().unwrap();
    script.data("half");
    script.fail();
    for client in clients {
        let seen = read(client.await.unwrap().unwrap()).await;
        assert_eq!(
            seen.body.unwrap_err(),
            "the service's response body ended early"
        );
    }
    settle().await;
    assert_eq!(layer.handle().stats().entries, 0);

    // Shorter or longer than its Content-Length: passed on as it is, and not kept.
    for length in ["5", "3", "4, 4", "x"] {
        let client = tokio::spawn(cache.clone().oneshot(get("http://a/x")));
        let script = answered(&mut origin, &[FRESH, ("content-length", length)]).await;
        script.data("half");
        drop(script);
        assert_eq!(read(client.await.unwrap().unwrap()).await.text(), "half");
        settle().await;
        let kept = layer.handle().stats().entries;
        assert_eq!(kept, 0, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_do_not_wait_for_one_another() {
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let asked = || request("GET", "http://a/x", &[("authorization", "Basic eA==")]);
    let clients: Vec<_> = (0..3)
        .map(|_| tokio::spawn(cache.clone().oneshot(asked())))
        .collect();
    settle().await;
    for _ in clients {
        assert!(origin.recv().now_or_never().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_at_the_head_of_the_queue_costs_the_others_one_request() {
    let (mut origin, service) = manual();
    let cache = layer().layer(service);
    let with_cookie = || request("GET", "http://a/x", &[("cookie", "id=1")]);
    let leader = tokio::spawn(cache.clone().oneshot(with_cookie()));
    let (_, respond) = origin.recv().await.unwrap();
    let plain: Vec<_> = (0..5)
        .map(|_| tokio::spawn(cache.clone().oneshot(get("http://a/x"))))
        .collect();
    let other = tokio::spawn(cache.clone().oneshot(with_cookie()));
    settle().await;
    respond.send(answer(&[FRESH], "leader's")).ok().unwrap();
    assert_eq!(
        read(leader.await.unwrap().unwrap()).await.text(),
        "leader's"
    );
    settle().await;
    let mut asked = Vec::new();
    while let Ok((request, respond)) = origin.try_recv() {
        let cookie = request.headers().contains_key("cookie");
        asked.push(cookie);
        respond
            .send(answer(&[FRESH], if cookie { "other's" } else { "all" }))
            .ok()
            .unwrap();
    }
    asked.sort_unstable();
    assert_eq!(
        asked,
        [false, true],
        "one for all without, one for him who has one"
    );
    for client in plain {
        assert_eq!(read(client.await.unwrap().unwrap()).await.text(), "all");
    }
    assert_eq!(read(other.await.unwrap().unwrap()).await.text(), "other's");
}
