//! One contract for every rejection, whichever layer says no: RateLimit, ConcurrencyLimit, MemGuard.

use std::{convert::Infallible, io, net::SocketAddr};

use bytes::Bytes;
use end_to_end::{
    BoxError,
    body::{self, Body},
    client::{Answer, Client, request},
    echo::{EchoClient, words},
    serve::Server,
};
use http::{Extensions, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use memguard_layer::{MemGuardLayer, Overloaded};
use ratelimit_layer::{
    ConcurrencyLimitLayer, ConcurrencyLimited, Quota, RateLimitLayer, RateLimited,
};
use tower::{Layer as _, Service, ServiceExt as _, service_fn, util::BoxCloneSyncService};

/// A layer in the state in which it refuses, and what is asked of its refusals.
struct Refusing {
    name: &'static str,
    status: StatusCode,
    problem: &'static str,
    /// Whether the typed reason is there.
    reason: fn(&Extensions) -> bool,
    /// The refusing service over the wire.
    server: Server,
    /// The same without a wire.
    direct: BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>,
    /// The first request's answer, kept open.
    _first: Response<Body>,
}

/// What the layers protect: an answer whose body stays open while it is held.
async fn inner<B>(_: Request<B>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(body::full("let through")))
}

fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    response.map(|body| body.map_err(io::Error::other).boxed_unsync())
}

fn from_loopback(mut request: Request<Body>) -> Request<Body> {
    request
        .extensions_mut()
        .insert(SocketAddr::from(([127, 0, 0, 1], 1)));
    request
}

/// Lets one request through `layer`, or has it refused already; the next one is refused either way.
macro_rules! refusing {
    ($name:literal, $layer:expr, $status:expr, $problem:literal, $reason:ty) => {{
        let layer = $layer;
        let direct = layer.layer(service_fn(inner)).map_response(boxed);
        let mut direct = BoxCloneSyncService::new(direct);
        let first = from_loopback(request(Method::GET, "http://a/"));
        let Ok(first) = direct.ready().await.expect("never fails").call(first).await;
        Refusing {
            name: $name,
            status: $status,
            problem: $problem,
            reason: |extensions| extensions.get::<$reason>().is_some(),
            server: Server::hyper(layer.layer(service_fn(inner))).await,
            direct,
            _first: first,
        }
    }};
}

async fn all() -> [Refusing; 3] {
    let quota = Quota::per_hour(1).burst(1);
    let too_many = StatusCode::TOO_MANY_REQUESTS;
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let full = MemGuardLayer::new(1 << 20).source(|| 1 << 20);
    [
        refusing!(
            "RateLimit",
            RateLimitLayer::new(quota),
            too_many,
            "quota-exceeded",
            RateLimited
        ),
        refusing!(
            "ConcurrencyLimit",
            ConcurrencyLimitLayer::new(1),
            too_many,
            "quota-exceeded",
            ConcurrencyLimited
        ),
        refusing!(
            "MemGuard",
            full,
            unavailable,
            "temporary-reduced-capacity",
            Overloaded
        ),
    ]
}

/// The head of an HTTP refusal; the body is JSON of the length it says.
fn is_problem(answer: &Answer, refusing: &Refusing, what: &str) {
    let what = format!("{} {what}: {answer:?}", refusing.name);
    assert_eq!(answer.status, refusing.status, "{what}");
    assert_eq!(
        answer.field("content-type"),
        Some("application/problem+json"),
        "{what}"
    );
    assert_eq!(answer.field("cache-control"), Some("no-store"), "{what}");
    let seconds: u64 = answer
        .field("retry-after")
        .expect(&what)
        .parse()
        .expect(&what);
    assert!((1..=3600).contains(&seconds), "{what}");
}

async fn over_http(refusing: &Refusing, client: &Client, version: &str) {
    let url = refusing.server.url("/any?thing=1");
    // Bodies too large to be read by chance; the connection is good for the next request.
    let post = |bytes: usize| {
        Request::post(&url)
            .body(body::full(vec![0; bytes]))
            .expect("valid")
    };
    for (what, request) in [
        ("GET", request(Method::GET, &url)),
        ("POST", post(10)),
        ("GET again", request(Method::GET, &url)),
    ] {
        let what = format!("{version} {what}");
        let answer = client.fetch(request).await.expect(&what);
        is_problem(&answer, refusing, &what);
        assert_eq!(
            answer.field("content-length"),
            Some(answer.body.len().to_string().as_str()),
            "{what}"
        );
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect(&what);
        let kind = format!(
            "https://iana.org/assignments/http-problem-types#{}",
            refusing.problem
        );
        assert_eq!(problem["type"], kind.as_str(), "{what}");
        assert_eq!(problem["status"], refusing.status.as_u16(), "{what}");
        for member in ["title", "detail"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{what}: {problem}"
            );
        }
    }
    let head = client
        .fetch(request(Method::HEAD, &url))
        .await
        .expect("an answer");
    is_problem(&head, refusing, version);
    assert!(head.body.is_empty());
}

async fn over_grpc(refusing: &Refusing) {
    let client = Client::http2();
    let call = |content_type| {
        let request = Request::post(refusing.server.url("/echo.Echo/Say"))
            .header(header::CONTENT_TYPE, content_type);
        client.send(request.body(body::full(vec![0; 5])).expect("valid"))
    };
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
        "Application/gRPC",
    ] {
        let answer = call(content_type).await.expect("an answer");
        let what = format!("{} to {content_type}: {answer:?}", refusing.name);
        assert_eq!(answer.status(), StatusCode::OK, "{what}");
        assert_eq!(
            answer.headers()["content-type"],
            "application/grpc",
            "{what}"
        );
        assert_eq!(answer.headers()["grpc-status"], "8", "{what}");
        assert!(!answer.headers().contains_key("retry-after"), "{what}");
        let message = answer.headers()["grpc-message"]
            .to_str()
            .expect("printable ASCII");
        let escapes = message
            .split('%')
            .skip(1)
            .all(|rest| rest.len() >= 2 && u8::from_str_radix(&rest[..2], 16).is_ok());
        assert!(!message.is_empty() && escapes, "{what}");
        // Trailers only: the head is all there is.
        assert!(answer.body().is_end_stream(), "{what}");
    }
    // gRPC-Web frames its status in the body, and other names only begin alike: these are HTTP.
    for content_type in ["application/grpc-web", "application/grpcx", "text/plain"] {
        let answer = call(content_type).await.expect("an answer");
        assert_eq!(
            answer.status(),
            refusing.status,
            "{} to {content_type}",
            refusing.name
        );
    }
    let mut tonic = EchoClient::connect(refusing.server.url(""))
        .await
        .expect("a connection");
    let refused = tonic.say(words("hello")).await.expect_err("refused");
    assert_eq!(
        refused.code(),
        tonic::Code::ResourceExhausted,
        "{}: {refused:?}",
        refusing.name
    );
    assert!(
        !refused.message().is_empty() && !refused.message().contains('%'),
        "{refused:?}"
    );
}

#[tokio::test]
async fn over_http_it_is_a_problem_document_with_a_time_to_come_back() {
    for refusing in all().await {
        over_http(&refusing, &Client::http1(), "HTTP/1").await;
        over_http(&refusing, &Client::http2(), "HTTP/2").await;
    }
}

#[tokio::test]
async fn over_grpc_it_is_resource_exhausted_in_the_head_alone() {
    for refusing in all().await {
        over_grpc(&refusing).await;
    }
}

#[tokio::test]
async fn the_typed_reason_rides_in_the_extensions() {
    for mut refusing in all().await {
        let request = from_loopback(request(Method::GET, "http://a/"));
        let Ok(answer) = refusing
            .direct
            .ready()
            .await
            .expect("never fails")
            .call(request)
            .await;
        assert!((refusing.reason)(answer.extensions()), "{}", refusing.name);
        let (exact, body) = (answer.body().size_hint().exact(), answer.into_body());
        assert_eq!(
            exact,
            Some(body.collect().await.expect("whole").to_bytes().len() as u64),
            "{}",
            refusing.name
        );
    }
}

#[tokio::test]
async fn a_closure_takes_the_answers_place() {
    fn teapot(path: &str, why: &str) -> Response<Body> {
        let mut response = Response::new(body::full(format!("{path}: {why}")));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    }
    macro_rules! replaced {
        ($layer:expr) => {
            $layer.with_rejection(|head, why| teapot(head.uri.path(), &format!("{why}")))
        };
    }
    let quota = Quota::per_hour(1).burst(1);
    let full = MemGuardLayer::new(1 << 20).source(|| 1 << 20);
    let status = StatusCode::IM_A_TEAPOT;
    for mut refusing in [
        refusing!(
            "RateLimit",
            replaced!(RateLimitLayer::new(quota)),
            status,
            "",
            RateLimited
        ),
        refusing!(
            "ConcurrencyLimit",
            replaced!(ConcurrencyLimitLayer::new(1)),
            status,
            "",
            ConcurrencyLimited
        ),
        refusing!("MemGuard", replaced!(full), status, "", Overloaded),
    ] {
        let answer = Client::http1().get(&refusing.server.url("/where")).await;
        assert_eq!(answer.status, status, "{}", refusing.name);
        let said = answer.text();
        assert!(
            said.starts_with("/where: ") && said.len() > 8,
            "{}: {said}",
            refusing.name
        );
        let request = from_loopback(request(Method::GET, "http://a/"));
        let Ok(answer) = refusing
            .direct
            .ready()
            .await
            .expect("never fails")
            .call(request)
            .await;
        assert!((refusing.reason)(answer.extensions()), "{}", refusing.name);
    }
}
