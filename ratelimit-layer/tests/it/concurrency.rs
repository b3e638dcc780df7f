//! `ConcurrencyLimitLayer`: permits go out one by one and all come back, however a request ends.

use crate::support::{grpc_request, hello, request, send, text};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use proptest::prelude::*;
use ratelimit_layer::{
    ConcurrencyHandle, ConcurrencyLimit, ConcurrencyLimitLayer, ConcurrencyLimited, Hold,
    ResponseBody, Scope, Unkeyed,
};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceExt, service_fn};

type Body = BoxBody<Bytes, &'static str>;

/// Answers one request: what the test keeps in hand.
type Answer = oneshot::Sender<Result<Response<Body>, &'static str>>;

/// A service whose requests are answered by the test.
fn by_hand() -> (
    impl Service<Request<()>, Response = Response<Body>, Error = &'static str, Future: Send> + Clone,
    mpsc::UnboundedReceiver<Answer>,
) {
    let (requests, answers) = mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<()>| {
        let (answer, answered) = oneshot::channel();
        requests.send(answer).unwrap();
        async move { answered.await.unwrap() }
    });
    (service, answers)
}

fn streaming() -> (Sender<Bytes, &'static str>, Response<Body>) {
    let (sender, body) = Channel::new(4);
    (sender, Response::new(body.boxed()))
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn in_flight(handle: &ConcurrencyHandle) -> (u64, u64) {
    (handle.stats().in_flight, handle.stats().clients)
}

#[tokio::test]
async fn a_permit_is_held_to_the_end_of_the_body() {
    let (inner, mut answers) = by_hand();
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let mut service = layer.layer(inner);
    let future = service.ready().await.unwrap().call(request(1));
    assert_eq!(in_flight(&handle), (1, 1));
    let (mut sender, response) = streaming();
    answers.recv().await.unwrap().send(Ok(response)).unwrap();
    let mut response = future.await.unwrap();
    // The head is there, the body is not.
    assert_eq!(in_flight(&handle), (1, 1));
    let refused = service
        .ready()
        .await
        .unwrap()
        .call(request(1))
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    sender.send_data(Bytes::from("half")).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(in_flight(&handle), (1, 1));
    drop(sender);
    assert!(response.body_mut().frame().await.is_none());
    // Over, though the body is still held.
    assert_eq!(in_flight(&handle), (0, 0));
    drop((response, refused));
    assert_eq!(in_flight(&handle), (0, 0));
    assert_eq!((handle.stats().admitted, handle.stats().refused), (1, 1));
}

#[tokio::test]
async fn a_last_frame_or_an_error_is_an_end_too() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    // `Full` says after its only frame that this was all; nobody needs to ask again.
    let mut full = layer.layer(service_fn(hello));
    let mut response = send(&mut full, request(1)).await;
    assert_eq!(in_flight(&handle), (1, 1));
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(in_flight(&handle), (0, 0));

    let (sender, response) = streaming();
    let (inner, mut answers) = by_hand();
    let future = layer.layer(inner).oneshot(request(1));
    let (response, ()) = tokio::join!(future, async {
        answers.recv().await.unwrap().send(Ok(response)).unwrap();
    });
    let mut response = response.unwrap();
    sender.abort("broken");
    assert_eq!(
        response.body_mut().frame().await.unwrap().unwrap_err(),
        "broken"
    );
    assert_eq!(in_flight(&handle), (0, 0));
}

#[tokio::test]
async fn trailers_pass_and_end() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let (mut sender, response) = streaming();
    let (inner, mut answers) = by_hand();
    let future = layer.layer(inner).oneshot(request(1));
    let (response, ()) = tokio::join!(future, async {
        answers.recv().await.unwrap().send(Ok(response)).unwrap();
    });
    let trailers = http::HeaderMap::from_iter([(http::header::ETAG, "x".parse().unwrap())]);
    sender
        .send(Frame::trailers(trailers.clone()))
        .await
        .unwrap();
    drop(sender);
    let body = response.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers(), Some(&trailers));
    assert_eq!(in_flight(&handle), (0, 0));
}

#[tokio::test]
async fn an_empty_body_gives_the_permit_back_with_the_head() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let inner = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let response = send(&mut layer.layer(inner), request(1)).await;
    assert_eq!(in_flight(&handle), (0, 0));
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn hold_until_the_head() {
    let layer = ConcurrencyLimitLayer::new(1).hold_until(Hold::Head);
    let handle = layer.handle();
    let response = send(&mut layer.layer(service_fn(hello)), request(1)).await;
    assert_eq!(in_flight(&handle), (0, 0));
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn dropped_at_any_point_nothing_leaks() {
    let (inner, mut answers) = by_hand();
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let mut service = layer.layer(inner);
    // Before the first poll.
    drop(service.ready().await.unwrap().call(request(1)));
    assert_eq!(in_flight(&handle), (0, 0));
    // After it.
    let mut future = Box::pin(service.ready().await.unwrap().call(request(1)));
    assert!(poll_once(future.as_mut()).is_pending());
    drop(future);
    assert_eq!(in_flight(&handle), (0, 0));
    answers.close();
    while answers.recv().await.is_some() {}

    let (inner, mut answers) = by_hand();
    let mut service = layer.layer(inner);
    for frames in 0..2 {
        // After the head, and after half of the body.
        let future = service.ready().await.unwrap().call(request(1));
        let (mut sender, response) = streaming();
        answers.recv().await.unwrap().send(Ok(response)).unwrap();
        let mut response = future.await.unwrap();
        for _ in 0..frames {
            sender.send_data(Bytes::from("half")).await.unwrap();
            response.body_mut().frame().await.unwrap().unwrap();
        }
        assert_eq!(in_flight(&handle), (1, 1));
        drop(response);
        assert_eq!(in_flight(&handle), (0, 0));
    }
}

#[tokio::test]
async fn errors_and_panics_leak_nothing() {
    let layer = ConcurrencyLimitLayer::new(1);
    let handle = layer.handle();
    let error = service_fn(async |_: Request<()>| Err::<Response<Full<Bytes>>, _>("broken"));
    let mut future = Box::pin(layer.layer(error).call(request(1)));
    let Poll::Ready(result) = poll_once(future.as_mut()) else {
        panic!("the service answers at once")
    };
    assert_eq!(result.unwrap_err(), "broken");
    // Back with the error, though the future is still held.
    assert_eq!(in_flight(&handle), (0, 0));

    let in_call = service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Full<Bytes>>, Infallible>> {
            panic!("in call")
        },
    );
    let mut service = layer.layer(in_call);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(service.call(request(1))))).is_err());
    assert_eq!(in_flight(&handle), (0, 0));

    let in_poll = service_fn(
        async |_: Request<()>| -> Result<Response<Full<Bytes>>, Infallible> { panic!("in poll") },
    );
    let future = layer.layer(in_poll).call(request(1));
    let joined = tokio::spawn(future).await;
    assert!(joined.is_err_and(|error| error.is_panic()));
    assert_eq!(in_flight(&handle), (0, 0));
}

#[tokio::test]
async fn a_refusal_says_all_and_holds_nothing() {
    let layer = ConcurrencyLimitLayer::new(2).policy_name("conc");
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let held = [
        send(&mut service, request(1)).await,
        send(&mut service, request(1)).await,
    ];
    let response = send(&mut service, request(1)).await;
    assert_eq!(in_flight(&handle), (2, 1));
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(
        response.headers()["ratelimit-policy"],
        "\"conc\";q=2;qu=\"concurrent-requests\""
    );
    let why = response.extensions().get::<ConcurrencyLimited>().unwrap();
    assert_eq!(
        (why.policy(), why.limit(), why.scope()),
        ("conc", 2, Scope::Client)
    );
    assert_eq!(
        why.to_string(),
        "policy conc allows 2 requests at once; retry after 1 s"
    );
    let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(
        problem["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(problem["violated-policies"], serde_json::json!(["conc"]));
    // Another client is not concerned.
    assert_eq!(
        send(&mut service, request(2)).await.status(),
        StatusCode::OK
    );
    drop(held);
    assert_eq!(in_flight(&handle), (0, 0));
}

#[tokio::test]
async fn the_total_is_limited_with_503() {
    let layer = ConcurrencyLimitLayer::new(2).max_total(3);
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let mut held = Vec::new();
    for client in 0..3 {
        held.push(send(&mut service, request(client)).await);
    }
    let response = send(&mut service, request(3)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(!response.headers().contains_key("ratelimit-policy"));
    assert_eq!(
        response
            .extensions()
            .get::<ConcurrencyLimited>()
            .unwrap()
            .scope(),
        Scope::Total
    );
    let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(
        problem["type"],
        "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    );
    assert_eq!(in_flight(&handle), (3, 3));
    held.pop();
    assert_eq!(
        send(&mut service, request(3)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn grpc_gets_trailers_only() {
    let mut service = ConcurrencyLimitLayer::new(1).layer(service_fn(hello));
    let _held = send(&mut service, grpc_request(1)).await;
    let response = send(&mut service, grpc_request(1)).await;
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"8".parse().unwrap())
    );
    assert!(response.body().is_end_stream());
}

#[tokio::test]
async fn exempt_and_unkeyed_requests() {
    let layer = ConcurrencyLimitLayer::new(1).exempt(|parts| parts.uri.path() == "/healthz");
    let handle = layer.handle();
    let mut service = layer.layer(service_fn(hello));
    let probe = || Request::builder().uri("/healthz").body(()).unwrap();
    let _held = [
        send(&mut service, probe()).await,
        send(&mut service, probe()).await,
    ];
    assert_eq!((handle.stats().exempt, handle.stats().in_flight), (2, 0));
    for (mode, statuses) in [
        (Unkeyed::Shared, [200, 429]),
        (Unkeyed::Refuse, [429, 429]),
        (Unkeyed::Allow, [200, 200]),
    ] {
        let layer = ConcurrencyLimitLayer::new(1).when_unkeyed(mode);
        let mut service = layer.layer(service_fn(hello));
        let mut held = Vec::new();
        for status in statuses {
            held.push(send(&mut service, Request::new(())).await);
            assert_eq!(held.last().unwrap().status(), status, "{mode:?}");
        }
        assert_eq!(layer.handle().stats().unkeyed, 2);
    }
}

#[tokio::test]
async fn another_answer_replaces_ours() {
    let layer = ConcurrencyLimitLayer::new(1).with_rejection(|_, why: &ConcurrencyLimited| {
        Response::builder()
            .status(StatusCode::IM_A_TEAPOT)
            .body(Full::from(format!("{:?}", why.scope())))
            .unwrap()
    });
    let mut service = layer.layer(service_fn(hello));
    let _held = send(&mut service, request(1)).await;
    let response = send(&mut service, request(1)).await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(text(response).await, "Client");
}

#[test]
#[should_panic(expected = "a concurrency limit of 0 cannot be used")]
fn no_request_at_all_panics() {
    let _ = ConcurrencyLimitLayer::new(0);
}

// --- Random schedules ---------------------------------------------------------------------------

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Call(u8),
    Poll(usize),
    Answer(usize),
    Fail(usize),
    Frame(usize),
    End(usize),
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = 0..8_usize;
    let step = prop_oneof![
        4 => (0..3_u8).prop_map(Step::Call),
        4 => one.clone().prop_map(Step::Poll),
        2 => one.clone().prop_map(Step::Answer),
        1 => one.clone().prop_map(Step::Fail),
        2 => one.clone().prop_map(Step::Frame),
        1 => one.clone().prop_map(Step::End),
        2 => one.prop_map(Step::Drop),
    ];
    prop::collection::vec(step, 1..40)
}

type Answering<S> =
    <ConcurrencyLimit<S, ratelimit_layer::ClientIp, ratelimit_layer::Standard> as Service<
        Request<()>,
    >>::Future;

/// A request somewhere between call and end.
enum Live<S: Service<Request<()>, Response = Response<Body>, Error = &'static str>> {
    Waiting(
        Pin<Box<Answering<S>>>,
        Option<Answer>,
        Option<Sender<Bytes, &'static str>>,
    ),
    Reading(
        Pin<Box<ResponseBody<Body>>>,
        Option<Sender<Bytes, &'static str>>,
    ),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Whatever happens in whatever order: never more than the limits, and in the end none out.
    #[test]
    fn all_permits_come_back(steps in steps()) {
        let (inner, mut answers) = by_hand();
        let layer = ConcurrencyLimitLayer::new(2).max_total(4);
        let handle = layer.handle();
        let mut service = layer.layer(inner);
        let mut live = Vec::new();
        for step in steps {
            run(step, &mut service, &mut answers, &mut live);
            let (out, clients) = in_flight(&handle);
            prop_assert!(out <= 4 && clients <= out && out <= 2 * clients);
            prop_assert!(out <= live.len() as u64);
        }
        drop(live);
        prop_assert_eq!(in_flight(&handle), (0, 0));
    }
}

fn run<S>(
    step: Step,
    service: &mut ConcurrencyLimit<S, ratelimit_layer::ClientIp, ratelimit_layer::Standard>,
    answers: &mut mpsc::UnboundedReceiver<Answer>,
    live: &mut Vec<Live<S>>,
) where
    S: Service<Request<()>, Response = Response<Body>, Error = &'static str>,
{
    match step {
        Step::Call(client) => {
            let future = Box::pin(service.call(request(client)));
            // A refused request does not reach the service.
            live.push(Live::Waiting(future, answers.try_recv().ok(), None));
        }
        Step::Poll(index) if index < live.len() => match live.swap_remove(index) {
            Live::Waiting(mut future, answer, sender) => match poll_once(future.as_mut()) {
                Poll::Ready(Ok(response)) => {
                    live.push(Live::Reading(Box::pin(response.into_body()), sender))
                }
                Poll::Ready(Err(_)) => {}
                Poll::Pending => live.push(Live::Waiting(future, answer, sender)),
            },
            Live::Reading(mut body, sender) => {
                match body
                    .as_mut()
                    .poll_frame(&mut Context::from_waker(Waker::noop()))
                {
                    Poll::Ready(None | Some(Err(_))) => {}
                    _ => live.push(Live::Reading(body, sender)),
                }
            }
        },
        Step::Answer(index) => {
            if let Some(Live::Waiting(_, answer, sender)) = live.get_mut(index)
                && let Some(answer) = answer.take()
            {
                let (new, response) = streaming();
                *sender = Some(new);
                let _ = answer.send(Ok(response));
            }
        }
        Step::Fail(index) => match live.get_mut(index) {
            Some(Live::Waiting(_, answer, _)) => {
                if let Some(answer) = answer.take() {
                    let _ = answer.send(Err("broken"));
                }
            }
            Some(Live::Reading(_, sender)) => {
                if let Some(sender) = sender.take() {
                    sender.abort("broken");
                }
            }
            None => {}
        },
        Step::Frame(index) => {
            if let Some(Live::Waiting(_, _, Some(sender)) | Live::Reading(_, Some(sender))) =
                live.get_mut(index)
            {
                let _ = sender.try_send(Frame::data(Bytes::from("frame")));
            }
        }
        Step::End(index) => {
            if let Some(Live::Waiting(_, _, sender) | Live::Reading(_, sender)) =
                live.get_mut(index)
            {
                *sender = None;
            }
        }
        Step::Drop(index) if index < live.len() => drop(live.swap_remove(index)),
        Step::Poll(_) | Step::Drop(_) => {}
    }
}
