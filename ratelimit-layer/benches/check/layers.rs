//! Layers around a service that does nothing, and what each kind of key costs.

use super::{ALLOCATIONS, Effort, median, mix};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, FORWARDED, HeaderName, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::Empty;
use ratelimit_layer::{
    ClientHeader, ClientIp, ClientKey, ClientPath, ConcurrencyLimitLayer, IpNet, ProxyHeader,
    Quota, RateLimitLayer,
};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tower::{Layer, Service, service_fn};

type Inner = Response<Empty<Bytes>>;

/// A stack by name, as a function from client to status.
type Arm = (&'static str, Box<dyn FnMut(u32) -> u16>);

fn answer(_: Request<()>) -> Ready<Result<Inner, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

pub(crate) fn layers(effort: Effort) {
    println!(
        "\nA request through a layer around a service that does nothing, 10,000 clients, ns (median)\n"
    );
    println!("| layer                              |     ns | over none | allocations |");
    println!("| ---------------------------------- | -----: | --------: | ----------: |");
    let wide = Quota::per_second(1_000_000).burst(1_000_000_000);
    let narrow = Quota::per_hour(1);
    let mut none = service_fn(answer);
    let mut allowed = RateLimitLayer::new(wide).layer(service_fn(answer));
    let mut bare = RateLimitLayer::new(wide)
        .fields(false)
        .layer(service_fn(answer));
    let mut refused = RateLimitLayer::new(narrow).layer(service_fn(answer));
    let mut refused_grpc = RateLimitLayer::new(narrow).layer(service_fn(answer));
    let mut concurrent = ConcurrencyLimitLayer::new(10).layer(service_fn(answer));
    let full = ConcurrencyLimitLayer::new(1).max_total(1);
    let mut full_service = full.layer(service_fn(|_| {
        ready(Ok::<_, Infallible>(Response::new(Unending)))
    }));
    let held = now(full_service.call(request(1)));
    let arms: Vec<Arm> = vec![
        ("none", Box::new(move |client| status(&mut none, client))),
        (
            "rate limit, allowed",
            Box::new(move |client| status(&mut allowed, client)),
        ),
        (
            "rate limit, allowed, no fields",
            Box::new(move |client| status(&mut bare, client)),
        ),
        (
            "rate limit, refused",
            Box::new(move |client| status(&mut refused, client)),
        ),
        (
            "rate limit, refused, gRPC",
            Box::new(move |client| {
                let mut request = request(client);
                let grpc = HeaderValue::from_static("application/grpc");
                request.headers_mut().insert(CONTENT_TYPE, grpc);
                now(refused_grpc.call(request)).status().as_u16()
            }),
        ),
        (
            "concurrency limit, admitted",
            Box::new(move |client| status(&mut concurrent, client)),
        ),
        (
            "concurrency limit, refused",
            Box::new(move |client| status(&mut full_service, client)),
        ),
    ];
    compare(effort, arms);
    drop(held);
}

/// Whom a request counts for, by each kind of key: without fields, so that little else costs.
pub(crate) fn keys(effort: Effort) {
    println!(
        "\nThe same, by the client's key; the peer is a proxy, and wrote the client's address\n"
    );
    println!("| key                                |     ns | over none | allocations |");
    println!("| ---------------------------------- | -----: | --------: | ----------: |");
    let mut none = service_fn(answer);
    let proxies: IpNet = "0.0.0.0/0".parse().unwrap();
    let api_key = || ClientHeader::new(HeaderName::from_static("x-api-key"));
    let path = ClientPath::new;
    compare(
        effort,
        vec![
            (
                "none",
                Box::new(move |client| status_of(&mut none, named(client))),
            ),
            by("peer", ClientIp::peer()),
            by("1 hop, X-Forwarded-For", ClientIp::trusted_hops(1)),
            by(
                "1 hop, Forwarded",
                ClientIp::trusted_hops(1).header(ProxyHeader::Forwarded),
            ),
            by(
                "trusted proxies, Forwarded",
                ClientIp::trusted_proxies([proxies]).header(ProxyHeader::Forwarded),
            ),
            by("header", api_key()),
            by("path", path()),
            by(
                "header or peer, and path",
                api_key().or(ClientIp::peer()).and(path().segments(1)),
            ),
        ],
    );
}

fn by<K: ClientKey + 'static>(name: &'static str, key: K) -> Arm {
    let wide = Quota::per_second(1_000_000).burst(1_000_000_000);
    let layer = RateLimitLayer::new(wide).fields(false).with_key(key);
    let mut service = layer.layer(service_fn(answer));
    (
        name,
        Box::new(move |client| status_of(&mut service, named(client))),
    )
}

/// Prints the cost of each arm, the first as what the others are over.
fn compare(effort: Effort, mut arms: Vec<Arm>) {
    for (_, arm) in &mut arms {
        (0..10_000).for_each(|client| assert!(black_box(arm(client)) >= 200));
    }
    let mut costs = vec![Vec::new(); arms.len()];
    let mut allocations = vec![0.0; arms.len()];
    for _ in 0..effort.rounds {
        for (index, (_, arm)) in arms.iter_mut().enumerate() {
            let (began, before) = (Instant::now(), ALLOCATIONS.load(Relaxed));
            let mut requests = 0_u32;
            while began.elapsed() < effort.round {
                for _ in 0..500 {
                    black_box(arm(mix(u64::from(requests)) as u32 % 10_000));
                    requests += 1;
                }
            }
            costs[index].push(began.elapsed().as_nanos() as f64 / f64::from(requests));
            allocations[index] = (ALLOCATIONS.load(Relaxed) - before) as f64 / f64::from(requests);
        }
    }
    let costs: Vec<f64> = costs.into_iter().map(median).collect();
    for (index, (name, _)) in arms.iter().enumerate() {
        println!(
            "| {name:<34} | {:>6.0} | {:>9.0} | {:>11.2} |",
            costs[index],
            costs[index] - costs[0],
            allocations[index]
        );
    }
}

fn request(client: u32) -> Request<()> {
    let mut request = Request::new(());
    request
        .extensions_mut()
        .insert(SocketAddr::from((Ipv4Addr::from_bits(client), 80)));
    request
}

/// A request with all that a key may look at.
fn named(client: u32) -> Request<()> {
    const VALUES: [(HeaderName, &str); 3] = [
        (
            FORWARDED,
            "for=198.51.100.1, for=\"203.0.113.9:4711\";proto=https",
        ),
        (
            HeaderName::from_static("x-forwarded-for"),
            "198.51.100.1, 203.0.113.9",
        ),
        (
            HeaderName::from_static("x-api-key"),
            "0123456789abcdef0123456789abcdef",
        ),
    ];
    let mut request = request(client);
    *request.uri_mut() = Uri::from_static("/users/1234/posts?page=1");
    for (name, value) in VALUES {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    request
}

fn status<S, B>(service: &mut S, client: u32) -> u16
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    status_of(service, request(client))
}

fn status_of<S, B>(service: &mut S, request: Request<()>) -> u16
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    now(service.call(request)).status().as_u16()
}

fn now<T>(future: impl Future<Output = Result<T, Infallible>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => value,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => unreachable!("the service answers at once"),
    }
}

/// A body that is never over, so that its permit stays out.
struct Unending;

impl http_body::Body for Unending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}
