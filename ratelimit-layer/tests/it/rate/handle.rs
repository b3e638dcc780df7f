//! The way in from outside the request path.

use crate::support::{hello, request, send, text};
use http::{HeaderName, Request, StatusCode};
use ratelimit_layer::{ClientHeader, Quota, RateLimitLayer, RateLimited};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, service_fn};

#[tokio::test(start_paused = true)]
async fn clients_are_found_by_request_and_address() {
    let layer = RateLimitLayer::new(Quota::per_hour(2));
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let client = handle.client_of(&request(1)).unwrap();
    assert_eq!(handle.client_at(IpAddr::from([192, 0, 2, 1])), Some(client));
    assert_eq!(handle.client_of(&Request::new(())), None);

    send(&mut service, request(1)).await;
    assert_eq!(handle.peek(client).remaining(), 1);
    assert_eq!(handle.tracked_clients(), 1);
    handle.reset(client);
    assert_eq!(handle.peek(client).remaining(), 2);
    assert_eq!(handle.tracked_clients(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_penalised_are_told_why() {
    let layer = RateLimitLayer::new(Quota::per_hour(100));
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let client = handle.client_of(&request(1)).unwrap();
    handle.penalise(client, Duration::from_secs(90));
    let refused = send(&mut service, request(1)).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "90");
    assert_eq!(refused.headers()["ratelimit"], r#""default";r=0;t=90"#);
    let why = refused.extensions().get::<RateLimited>().unwrap();
    assert!(why.is_banned() && why.client() == Some(client));
    assert_eq!(why.to_string(), "the client is banned; retry after 90 s");
    assert!(text(refused).await.contains("#abnormal-usage-detected"));
    assert_eq!(
        send(&mut service, request(2)).await.status(),
        StatusCode::OK
    );
    assert_eq!((handle.stats().banned, handle.banned_clients()), (1, 1));
    advance(Duration::from_secs(90)).await;
    assert_eq!(
        send(&mut service, request(1)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn who_does_not_stop_is_banned() {
    let layer = RateLimitLayer::new(Quota::per_second(1)).ban_after(
        3,
        Duration::from_secs(60),
        Duration::from_secs(600),
    );
    let mut service = layer.layer(service_fn(hello));
    let mut waits = Vec::new();
    for _ in 0..5 {
        let response = send(&mut service, request(1)).await;
        waits.push(response.headers().get("retry-after").cloned());
    }
    let waits: Vec<_> = waits.iter().flatten().collect();
    assert_eq!(waits, ["1", "1", "1", "600"]);
}

#[tokio::test(start_paused = true)]
async fn a_quota_set_under_way_is_told_and_held() {
    let layer = RateLimitLayer::new(Quota::per_hour(10));
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    for _ in 0..4 {
        send(&mut service, request(1)).await;
    }
    handle.set_quota("default", Quota::per_hour(5)).unwrap();
    let response = send(&mut service, request(1)).await;
    assert_eq!(
        response.headers()["ratelimit-policy"],
        r#""default";q=5;w=3600"#
    );
    assert_eq!(response.headers()["ratelimit"], r#""default";r=0;t=3600"#);
    let refused = send(&mut service, request(1)).await;
    let why = refused.extensions().get::<RateLimited>().unwrap();
    assert_eq!(why.quota(), Quota::per_hour(5));
    assert!(text(refused).await.contains("the quota is 5/h"));
    assert_eq!(handle.stats().policies[0].quota, Quota::per_hour(5));

    let error = handle.set_quota("x", Quota::per_hour(5)).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"there is no policy "x": there are ["default"]"#
    );
}

#[tokio::test(start_paused = true)]
async fn offenders_are_listed_worst_first_and_without_secrets() {
    let layer = RateLimitLayer::new(Quota::per_hour(1));
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    for client in [1, 2, 2, 2, 3, 3, 2] {
        send(&mut service, request(client)).await;
    }
    let offenders = handle.offenders(10);
    let told: Vec<_> = offenders
        .iter()
        .map(|one| (one.label.as_deref().unwrap(), one.refused, one.overcounted))
        .collect();
    assert_eq!(told, [("192.0.2.2", 3, 0), ("192.0.2.3", 1, 0)]);
    assert_eq!(Some(offenders[0].client), handle.client_of(&request(2)));
    assert_eq!(handle.offenders(1).len(), 1);

    let by_key = RateLimitLayer::new(Quota::per_hour(1))
        .with_key(ClientHeader::new(HeaderName::from_static("x-api-key")));
    let handle = by_key.handle();
    let mut service = by_key.layer(service_fn(hello));
    for _ in 0..2 {
        let mut request = request(1);
        request
            .headers_mut()
            .insert("x-api-key", "s3cr3t".parse().unwrap());
        send(&mut service, request).await;
    }
    let offender = format!("{:?}", handle.offenders(1));
    assert!(
        offender.contains("refused: 1") && !offender.contains("s3cr3t"),
        "{offender}"
    );
}
