//! Requests of many clients to services that answer at once.

use super::compare::{Case, measure};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tower::Service;

pub fn clients() -> Vec<SocketAddr> {
    let address = |n: u32| Ipv4Addr::from_bits(n.wrapping_mul(0x9e37_79b9));
    (0..10_000).map(|n| (address(n), 80).into()).collect()
}

/// What a client sends.
pub type Ask = fn(SocketAddr) -> Request<()>;

pub fn http(peer: SocketAddr) -> Request<()> {
    from(peer)
}

pub fn grpc(peer: SocketAddr) -> Request<()> {
    let mut request = from(peer);
    let grpc = HeaderValue::from_static("application/grpc");
    request.headers_mut().insert(CONTENT_TYPE, grpc);
    request
}

/// A request with the peer's address in the server's own form.
pub fn from(peer: impl Clone + Send + Sync + 'static) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(peer);
    request
}

/// The service that does nothing.
pub fn answer<B: Default>(_: Request<()>) -> Ready<Result<Response<B>, Infallible>> {
    ready(Ok(Response::new(B::default())))
}

/// A service that lets all requests through, as a case.
pub fn allowed<'a, S, B>(name: &'a str, ask: Ask, service: S) -> Case<'a, SocketAddr>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'a,
{
    case(name, ask, service, false)
}

/// A service that refuses the second request of each client and all that follow, as a case.
pub fn refused<'a, S, B>(name: &'a str, ask: Ask, service: S) -> Case<'a, SocketAddr>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'a,
{
    case(name, ask, service, true)
}

fn case<'a, S, B>(name: &'a str, ask: Ask, mut service: S, refuses: bool) -> Case<'a, SocketAddr>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'a,
{
    for client in clients() {
        now(service.call(ask(client)));
        let again = now(service.call(ask(client)));
        assert_eq!(is_refusal(&again), refuses, "{name}");
    }
    Case::new(name, move |client| {
        black_box(now(service.call(ask(*client))));
    })
}

fn is_refusal<B>(response: &Response<B>) -> bool {
    let grpc = response.headers().get("grpc-status");
    response.status() != 200 || grpc.is_some_and(|status| status != "0")
}

/// Measures the cases, of which the first is the service without a layer, and prints their rows.
pub fn compare(cases: &mut [Case<'_, SocketAddr>], rounds: u64) {
    measure(cases, &clients(), rounds as usize);
    let none = &cases[0];
    for case in cases.iter() {
        println!(
            "| {:<42} | {:>6.0} | {:>9.0} | {:>14.0} | {:>11.2} |",
            case.name,
            case.nanoseconds(),
            case.over(none),
            case.undisturbed(),
            case.allocations
        );
    }
}

/// Sets a refusal beside an admission.
pub fn refusal(
    protocol: &str,
    none: &Case<'_, SocketAddr>,
    allowed: &Case<'_, SocketAddr>,
    refused: &Case<'_, SocketAddr>,
) {
    println!(
        "{protocol}, a refusal / an admission: {:.2} of the whole (undisturbed {:.2}), {:.2} of what is over none",
        refused.ratio(allowed),
        refused.undisturbed() / allowed.undisturbed(),
        refused.over(none) / allowed.over(none)
    );
}

pub fn heading(what: &str) {
    println!("\nRequests of 10,000 clients to a service that does nothing, {what}\n");
    println!(
        "| {:<42} |     ns | over none | undisturbed ns | allocations |",
        "medians of the rounds"
    );
    println!(
        "| {} | -----: | --------: | -------------: | ----------: |",
        "-".repeat(42)
    );
}

/// The answer of a service that has it at once.
pub fn now<T>(future: impl Future<Output = Result<T, Infallible>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => value,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => unreachable!("the service answers at once"),
    }
}
