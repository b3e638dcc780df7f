//! How a refusal looks: HTTP/1, HTTP/2, HEAD, gRPC, or as the service's owner wants it.

mod support;

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version, request::Builder};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use memguard_layer::{MemGuardLayer, Overloaded, OverloadedKind, Priority, RequestBody};
use support::{Upload, collect, guard, upload};
use tower::{Layer, ServiceExt, service_fn};

/// A guard whose heap is full: nothing gets through.
fn full() -> MemGuardLayer {
    let (layer, heap) = guard(1000);
    heap.set(1000);
    layer.retry_jitter(Duration::ZERO)
}

async fn refuse(
    layer: MemGuardLayer,
    request: Builder,
    length: u64,
) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
    let (_feed, body) = upload(Some(length));
    let response = layer
        .layer(collect())
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    response.map(|body| body)
}

async fn bytes(body: impl Body<Data = Bytes, Error = Infallible>) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn http_1_with_an_unread_body_gets_a_problem_and_the_connection_closes() {
    let response = refuse(full(), Request::post("/").version(Version::HTTP_11), 10).await;
    let (parts, body) = response.into_parts();
    assert_eq!(parts.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(parts.headers["retry-after"], "1");
    assert_eq!(parts.headers["cache-control"], "no-store");
    assert_eq!(parts.headers["content-type"], "application/problem+json");
    assert_eq!(parts.headers["connection"], "close");
    assert_eq!(
        parts.extensions.get::<Overloaded>().unwrap().kind(),
        OverloadedKind::NoRoom
    );
    assert_eq!(
        body.size_hint().exact(),
        Some(
            parts.headers["content-length"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap()
        )
    );
    assert!(!body.is_end_stream());
    assert_eq!(
        bytes(body).await,
        concat!(
            r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","#,
            r#""title":"Temporary Reduced Capacity","status":503,"detail":"The server is short of memory."}"#,
        )
    );
}

#[tokio::test]
async fn the_connection_stays_open_on_http_2_and_for_those_shed_without_a_body() {
    let shedding = || full().priority(|_| Priority::Low);
    for (layer, version, length) in [
        (shedding(), Version::HTTP_11, 0),
        (full(), Version::HTTP_2, 10),
        (full(), Version::HTTP_3, 10),
    ] {
        let response = refuse(layer, Request::get("/").version(version), length).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            !response.headers().contains_key("connection"),
            "{version:?}"
        );
    }
    for (layer, version, length) in [
        (shedding(), Version::HTTP_11, 10),
        (full(), Version::HTTP_10, 10),
        (full(), Version::HTTP_11, 0),
    ] {
        let response = refuse(layer, Request::post("/").version(version), length).await;
        assert_eq!(response.headers()["connection"], "close", "{version:?}");
    }
}

#[tokio::test]
async fn a_body_that_can_never_fit_is_413_without_retry_after() {
    let response = refuse(full(), Request::post("/"), 501).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(!response.headers().contains_key("retry-after"));
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(
        response.extensions().get::<Overloaded>().unwrap().kind(),
        OverloadedKind::TooLarge
    );
    let document = bytes(response.into_body()).await;
    assert!(
        document.starts_with(br#"{"type":"about:blank","title":"Content Too Large","status":413,"#)
    );
}

#[tokio::test]
async fn head_gets_the_head_alone() {
    let get = refuse(full(), Request::get("/"), 0).await;
    let head = refuse(full(), Request::head("/"), 0).await;
    assert_eq!(head.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(head.headers(), get.headers());
    assert!(head.body().is_end_stream());
    assert_eq!(bytes(head.into_body()).await, "");
}

#[tokio::test]
async fn grpc_gets_trailers_only() {
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
        "Application/gRPC",
    ] {
        for length in [10, 501] {
            let request = Request::post("/")
                .version(Version::HTTP_2)
                .header("content-type", content_type);
            let response = refuse(full(), request, length).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["grpc-status"], "8");
            assert_eq!(response.headers()["content-type"], "application/grpc");
            let message = response.headers()["grpc-message"].as_bytes();
            assert!(
                message
                    .iter()
                    .all(|byte| (b' '..=b'~').contains(byte) && *byte != b'%'),
                "needs no encoding"
            );
            assert!(!response.headers().contains_key("retry-after"));
            let pushback = if length == 10 { "1000" } else { "-1" };
            assert_eq!(response.headers()["grpc-retry-pushback-ms"], pushback);
            assert!(response.body().is_end_stream(), "{content_type}");
            assert!(response.extensions().get::<Overloaded>().is_some());
        }
    }
    for content_type in ["application/grpc-web", "application/grpcx", "text/plain"] {
        let response = refuse(
            full(),
            Request::post("/").header("content-type", content_type),
            10,
        )
        .await;
        assert_eq!(
            response.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{content_type}"
        );
    }
}

#[tokio::test]
async fn a_grpc_stream_that_outgrows_the_room_gets_its_form_too() {
    let (layer, heap) = guard(1 << 20);
    let (feed, body) = upload(None);
    let request = Request::post("/")
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap();
    let response = layer.layer(collect()).oneshot(request);
    heap.set(1 << 20);
    feed.data(1);
    let response = response.await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"8".parse().unwrap())
    );
}

#[tokio::test]
async fn retry_after_is_in_whole_seconds_rounded_up() {
    for (delay, expected) in [
        (Duration::ZERO, "1"),
        (Duration::from_millis(1), "1"),
        (Duration::from_millis(2001), "3"),
        (Duration::from_secs(30), "30"),
    ] {
        let response = refuse(full().retry_after(delay), Request::get("/"), 0).await;
        assert_eq!(response.headers()["retry-after"], expected, "{delay:?}");
    }
    let response = refuse(full().retry_after(Duration::MAX), Request::get("/"), 0).await;
    assert!(
        response.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 1 << 30
    );
}

#[tokio::test]
async fn clients_refused_together_do_not_come_back_together() {
    let jittered = || {
        full()
            .retry_after(Duration::from_secs(2))
            .retry_jitter(Duration::from_secs(3))
    };
    let (mut seconds, mut millis) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..100 {
        let response = refuse(jittered(), Request::get("/"), 0).await;
        seconds.insert(
            response.headers()["retry-after"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
        let grpc = Request::post("/").header("content-type", "application/grpc");
        let pushback =
            refuse(jittered(), grpc, 0).await.headers()["grpc-retry-pushback-ms"].clone();
        millis.insert(pushback.to_str().unwrap().parse::<u32>().unwrap());
    }
    // 2 would be to come back at once; a hundred draws miss one of three with a chance of 10^-17.
    assert_eq!(seconds, ["3", "4", "5"].map(String::from).into());
    assert!(millis.len() > 80, "{millis:?}");
    assert!(millis.iter().all(|millis| (2000..=5000).contains(millis)));
}

#[tokio::test]
async fn the_owner_of_the_service_may_answer_otherwise() {
    let (layer, heap) = guard(1 << 20);
    let layer = layer.with_rejection(|head, why| {
        let text = format!("{} {} {:?}", head.method, head.uri, why.kind());
        Response::builder()
            .status(529)
            .header("x-level", format!("{:?}", why.level()))
            .body(text)
            .unwrap()
    });
    let mut service = layer.layer(collect());
    // Refused at the door, and while the body arrives.
    for (length, path) in [(Some(600 * 1024), "/door"), (None, "/midway")] {
        let (feed, body) = upload(length);
        let request = Request::builder()
            .method(Method::PUT)
            .uri(path)
            .body(body)
            .unwrap();
        let response = tower::Service::call(&mut service, request);
        heap.set((1 << 20) - 100);
        feed.data(1000);
        let response = response.await.unwrap();
        heap.set(0);
        assert_eq!(response.status().as_u16(), 529);
        assert!(response.extensions().get::<Overloaded>().is_some());
        let kind = if length.is_some() {
            "TooLarge"
        } else {
            "NoRoom"
        };
        assert_eq!(
            bytes(response.into_body()).await,
            format!("PUT {path} {kind}")
        );
    }
}

#[tokio::test]
async fn a_response_that_passes_is_the_services_own() {
    let (layer, _heap) = guard(1000);
    let inner = service_fn(|_: Request<RequestBody<Upload>>| async {
        Ok::<_, Infallible>(
            Response::builder()
                .status(201)
                .header("x-mine", "1")
                .body(Full::from("made"))
                .unwrap(),
        )
    });
    let (_feed, body) = upload(Some(10));
    let response = layer
        .layer(inner)
        .oneshot(Request::post("/").body(body).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (response.status(), response.headers().len()),
        (StatusCode::CREATED, 1)
    );
    assert_eq!(response.body().size_hint().exact(), Some(4));
    assert_eq!(bytes(response.into_body()).await, "made");
}
