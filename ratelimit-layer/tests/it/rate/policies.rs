//! Several policies, for some requests, at a cost, settled afterwards.

use crate::support::{hello, request, send, text};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use ratelimit_layer::{
    Algorithm, Decision, FieldStyle, Policy, Quota, RateLimitLayer, RateLimited,
};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

fn to(path: &str, client: u8) -> Request<()> {
    let mut request = request(client);
    *request.uri_mut() = path.parse().unwrap();
    request
}

/// Answers with the status that the path asks for.
async fn status(request: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("hello"));
    *response.status_mut() = request.uri().path()[1..].parse().unwrap();
    Ok(response)
}

#[tokio::test(start_paused = true)]
async fn all_have_room_or_nobody_is_charged() {
    let layer = RateLimitLayer::new(Quota::per_second(2))
        .policy_name("second")
        .policy(Policy::new("hour", Quota::per_hour(3)));
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));

    let first = send(&mut service, request(1)).await;
    assert_eq!(
        first.headers()["ratelimit-policy"],
        r#""second";q=2;w=1,"hour";q=3;w=3600"#
    );
    assert_eq!(
        first.headers()["ratelimit"],
        r#""second";r=1;t=1,"hour";r=2;t=1200"#
    );
    assert_eq!(
        send(&mut service, request(1)).await.status(),
        StatusCode::OK
    );

    let refused = send(&mut service, request(1)).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(
        refused.headers()["ratelimit"],
        r#""second";r=0;t=1,"hour";r=1;t=1"#
    );
    assert!(
        text(refused)
            .await
            .contains(r#""violated-policies":["second"]"#)
    );

    advance(Duration::from_secs(1)).await;
    assert_eq!(
        send(&mut service, request(1)).await.status(),
        StatusCode::OK
    );
    let refused = send(&mut service, request(1)).await;
    let why = refused.extensions().get::<RateLimited>().unwrap();
    assert_eq!((why.policy(), why.quota()), ("hour", Quota::per_hour(3)));
    assert_eq!(why.policies().collect::<Vec<_>>(), ["hour"]);

    send(&mut service, request(1)).await;
    let refused = send(&mut service, request(2)).await;
    assert_eq!(refused.status(), StatusCode::OK);
    let stats = handle.stats();
    assert_eq!((stats.allowed, stats.refused), (4, 3));
    let by_policy: Vec<_> = stats
        .policies
        .iter()
        .map(|policy| (&*policy.name, policy.refused))
        .collect();
    assert_eq!(by_policy, [("second", 1), ("hour", 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_all_that_are_over_and_the_longest_wait() {
    let layer = RateLimitLayer::new(Quota::per_minute(1))
        .policy(Policy::new("hour", Quota::per_hour(1)))
        .policy(Policy::new("spare", Quota::per_hour(10)));
    let mut service = layer.layer(service_fn(hello));
    send(&mut service, request(1)).await;
    let refused = send(&mut service, request(1)).await;
    assert_eq!(refused.headers()["retry-after"], "3600");
    let why = refused.extensions().get::<RateLimited>().unwrap();
    assert_eq!(why.policies().collect::<Vec<_>>(), ["default", "hour"]);
    assert!(
        text(refused)
            .await
            .contains(r#""violated-policies":["default","hour"]"#)
    );
}

#[tokio::test(start_paused = true)]
async fn policies_hold_for_the_requests_they_are_for() {
    let layer = RateLimitLayer::new(Quota::per_hour(100)).policy(
        Policy::new("search", Quota::per_hour(1)).only(|head| head.uri.path() == "/search"),
    );
    let mut service = layer.layer(service_fn(hello));
    for _ in 0..10 {
        let response = send(&mut service, to("/", 1)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()["ratelimit-policy"],
            r#""default";q=100;w=3600"#
        );
    }
    let response = send(&mut service, to("/search", 1)).await;
    assert_eq!(
        response.headers()["ratelimit"],
        r#""default";r=89;t=396,"search";r=0;t=3600"#
    );
    assert_eq!(
        send(&mut service, to("/search", 1)).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        send(&mut service, to("/", 1)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn requests_cost_what_the_closure_says() {
    let policy = Policy::new("cost", Quota::per_hour(10))
        .cost(|head| head.uri.path()[1..].parse().unwrap_or(1));
    let mut service = RateLimitLayer::of_policy(policy).layer(service_fn(hello));
    for (cost, status, left) in [
        ("/4", 200, Some("6")),
        ("/7", 429, Some("6")),
        ("/0", 200, None),
        ("/6", 200, Some("0")),
        ("/0", 200, None),
        ("/11", 429, Some("0")),
    ] {
        let response = send(&mut service, to(cost, 1)).await;
        assert_eq!(response.status(), status, "{cost}");
        let item = response.headers().get("ratelimit");
        let item = item.map(|item| item.to_str().unwrap().to_owned());
        let left = left.map(|left| format!("\"cost\";r={left};"));
        assert_eq!(item.is_some(), left.is_some(), "{cost}");
        assert!(
            item.unwrap_or_default()
                .starts_with(&left.unwrap_or_default()),
            "{cost}"
        );
    }
    // More than there ever is: come back with less when all is there.
    let never = send(&mut service, to("/11", 2)).await;
    assert_eq!(never.headers()["retry-after"], "3600");
}

#[tokio::test(start_paused = true)]
async fn tiers_have_quotas_of_their_own() {
    let policy = Policy::new("tier", Quota::per_hour(1)).quota_by(|head| {
        let tier = head.headers.get("tier")?.to_str().ok()?;
        tier.parse().ok()
    });
    let mut service = RateLimitLayer::of_policy(policy).layer(service_fn(hello));
    let of = |tier: &str| {
        let mut request = request(1);
        request.headers_mut().insert("tier", tier.parse().unwrap());
        request
    };
    for left in ["1", "0"] {
        let response = send(&mut service, of("2/m")).await;
        assert_eq!(response.headers()["ratelimit-policy"], r#""tier";q=2;w=60"#);
        let item = response.headers()["ratelimit"].to_str().unwrap();
        assert!(item.starts_with(&format!("\"tier\";r={left};")), "{item}");
    }
    let refused = send(&mut service, of("2/m")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "30");
    let why = refused.extensions().get::<RateLimited>().unwrap();
    assert_eq!(why.quota(), Quota::per_minute(2));
    assert!(text(refused).await.contains("the quota is 2/m"));
    // A bucket for each quota, and the policy's own.
    assert_eq!(send(&mut service, of("3/m")).await.status(), StatusCode::OK);
    assert_eq!(
        send(&mut service, of("none")).await.status(),
        StatusCode::OK
    );
    assert_eq!(send(&mut service, request(1)).await.status(), 429);
}

#[tokio::test(start_paused = true)]
async fn only_failed_logins_cost() {
    let policy = Policy::new("logins", Quota::per_hour(2))
        .settle(|response| u32::from(response.status == StatusCode::UNAUTHORIZED));
    let mut service = RateLimitLayer::of_policy(policy).layer(service_fn(status));
    for (path, expected) in [
        ("/200", 200),
        ("/401", 401),
        ("/200", 200),
        ("/200", 200),
        ("/401", 401),
        ("/200", 429),
    ] {
        assert_eq!(
            send(&mut service, to(path, 1)).await.status(),
            expected,
            "{path}"
        );
    }
    assert_eq!(send(&mut service, to("/401", 2)).await.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn a_settled_cost_may_be_more_than_there_is() {
    let policy = Policy::new("work", Quota::per_minute(60)).settle(|response| {
        let cost = response.headers.get("cost").unwrap();
        cost.to_str().unwrap().parse().unwrap()
    });
    let layer = RateLimitLayer::of_policy(policy);
    let mut service = layer.layer(service_fn(async |request: Request<()>| {
        let response = Response::builder().header("cost", &request.uri().path()[1..]);
        Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
    }));
    assert_eq!(send(&mut service, to("/90", 1)).await.status(), 200);
    let refused = send(&mut service, to("/1", 1)).await;
    assert_eq!(refused.headers()["retry-after"], "31");
    advance(Duration::from_secs(31)).await;
    assert_eq!(send(&mut service, to("/1", 1)).await.status(), 200);
    assert_eq!(send(&mut service, to("/1", 1)).await.status(), 429);
}

#[tokio::test(start_paused = true)]
async fn what_fails_keeps_its_charge() {
    let policy = Policy::new("work", Quota::per_hour(1)).settle(|_| 0);
    let layer = RateLimitLayer::of_policy(policy);
    let broken = layer.layer(service_fn(async |_: Request<()>| {
        Err::<Response<Full<Bytes>>, _>("broken")
    }));
    assert_eq!(broken.oneshot(request(1)).await.unwrap_err(), "broken");
    let mut service = layer.layer(service_fn(hello));
    assert_eq!(send(&mut service, request(1)).await.status(), 429);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_counted_to_the_end_of_the_body() {
    let policy = Policy::new("bytes", Quota::per_minute(6_000)).count_bytes();
    let layer = RateLimitLayer::of_policy(policy);
    let handle = layer.handle();
    let client = handle.client_of(&request(1)).unwrap();
    let mut service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::from(vec![0; 10_000])))
    }));
    let response = send(&mut service, request(1)).await;
    assert_eq!(
        response.headers()["ratelimit-policy"],
        r#""bytes";q=6000;w=60;qu="content-bytes""#
    );
    assert_eq!(handle.peek(client).remaining(), 5_999);
    let Ok(_) = response.into_body().collect().await;
    assert_eq!(handle.peek(client).wait(), Duration::from_millis(40_010));
    assert_eq!(send(&mut service, request(1)).await.status(), 429);

    // Who does not read pays what was sent: nothing.
    drop(send(&mut service, request(2)).await);
    let client = handle.client_of(&request(2)).unwrap();
    assert_eq!(handle.peek(client).remaining(), 6_000);
}

#[tokio::test(start_paused = true)]
async fn windows_work_in_the_layer() {
    for algorithm in [Algorithm::SlidingWindowLog, Algorithm::SlidingWindowCounter] {
        let policy = Policy::new("window", Quota::per_minute(2)).algorithm(algorithm);
        let mut service = RateLimitLayer::of_policy(policy).layer(service_fn(hello));
        let first = send(&mut service, request(1)).await;
        assert_eq!(first.headers()["ratelimit-policy"], r#""window";q=2;w=60"#);
        advance(Duration::from_secs(30)).await;
        send(&mut service, request(1)).await;
        let refused = send(&mut service, request(1)).await;
        assert_eq!(refused.status(), 429);
        let why = refused.extensions().get::<RateLimited>().unwrap();
        advance(why.wait()).await;
        assert_eq!(
            send(&mut service, request(1)).await.status(),
            200,
            "{algorithm:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_counts_and_marks() {
    let layer = RateLimitLayer::of_policy(Policy::new("dry", Quota::per_hour(1)).dry_run(true))
        .extensions(true);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(async |request: Request<()>| {
        let decision = request.extensions().get::<Decision>().copied();
        let marked = decision.is_some_and(|decision| decision.would_refuse());
        Ok::<_, Infallible>(Response::new(Full::from(marked.to_string())))
    }));
    for marked in [false, true, true] {
        let response = send(&mut service, request(1)).await;
        let decision = response.extensions().get::<Decision>().unwrap();
        assert_eq!(
            (decision.is_allowed(), decision.would_refuse()),
            (true, marked)
        );
        assert_eq!(text(response).await, marked.to_string());
    }
    let stats = handle.stats();
    assert_eq!((stats.allowed, stats.refused), (3, 0));
    let dry = &stats.policies[0];
    assert_eq!((dry.refused, dry.would_refuse, dry.dry_run), (0, 2, true));
}

#[tokio::test(start_paused = true)]
async fn decisions_are_in_extensions_only_if_asked_for() {
    for on in [false, true] {
        let layer = RateLimitLayer::new(Quota::per_hour(1)).extensions(on);
        let mut service = layer.layer(service_fn(hello));
        for allowed in [true, false] {
            let response = send(&mut service, request(1)).await;
            let decision = response.extensions().get::<Decision>();
            assert_eq!(decision.map(Decision::is_allowed), on.then_some(allowed));
            assert_eq!(
                response.extensions().get::<RateLimited>().is_some(),
                !allowed
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn older_fields_tell_of_the_policy_with_the_least_left() {
    let layer = RateLimitLayer::new(Quota::per_second(10))
        .policy(Policy::new("hour", Quota::per_hour(5)))
        .fields(FieldStyle::Legacy);
    let mut service = layer.layer(service_fn(hello));
    let response = send(&mut service, request(1)).await;
    assert_eq!(response.headers()["x-ratelimit-limit"], "5");
    assert_eq!(response.headers()["x-ratelimit-remaining"], "4");
}
