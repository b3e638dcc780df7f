//! Layers around a service that does nothing, and what each kind of key costs.

use super::support::compare::Case;
use super::support::requests::{self, allowed, answer, grpc, http, now, refused};
use super::support::threads::Effort;
use super::{narrow, wide};
use bytes::Bytes;
use http::header::{FORWARDED, HeaderName, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::{Empty, Full};
use ratelimit_layer::{
    Adaptive, ClientHeader, ClientIp, ClientKey, ClientPath, ConcurrencyLimitLayer, IpNet,
    ProxyHeader, RateLimitLayer,
};
use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;
use tower::{Layer, Service, service_fn};

pub(crate) fn layers(effort: Effort) {
    let over = |layer: RateLimitLayer| layer.layer(none());
    // A body that nobody reads holds its permit.
    let held = |_| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(
            "held",
        ))))
    };
    let mut full = ConcurrencyLimitLayer::new(1)
        .max_total(1)
        .layer(service_fn(held));
    let _held = now(full.call(http(([192, 0, 2, 1], 80).into())));

    requests::heading("by the layer");
    let mut cases = [
        allowed("none", http, none()),
        allowed(
            "rate limit, allowed",
            http,
            over(RateLimitLayer::new(wide())),
        ),
        allowed(
            "rate limit, allowed, no fields",
            http,
            over(RateLimitLayer::new(wide()).fields(false)),
        ),
        refused(
            "rate limit, refused",
            http,
            over(RateLimitLayer::new(narrow())),
        ),
        allowed(
            "concurrency limit, admitted",
            http,
            ConcurrencyLimitLayer::new(10).layer(none()),
        ),
        allowed(
            "the same, adaptive",
            http,
            ConcurrencyLimitLayer::new(10)
                .adaptive(Adaptive::gradient2().ignore_below(Duration::ZERO))
                .layer(none()),
        ),
        refused("concurrency limit, refused", http, full),
    ];
    requests::compare(&mut cases, effort.rounds.div_ceil(4));
    let mut grpc_cases = [
        allowed("none, gRPC", grpc, none()),
        allowed(
            "rate limit, allowed, gRPC",
            grpc,
            over(RateLimitLayer::new(wide())),
        ),
        refused(
            "rate limit, refused, gRPC",
            grpc,
            over(RateLimitLayer::new(narrow())),
        ),
    ];
    requests::compare(&mut grpc_cases, effort.rounds.div_ceil(4));
    println!();
    let [none, allowed, _, refused, ..] = &cases;
    requests::refusal("HTTP", none, allowed, refused);
    let [none, allowed, refused] = &grpc_cases;
    requests::refusal("gRPC", none, allowed, refused);
}

/// The service that does nothing.
fn none() -> impl Service<Request<()>, Response = Response<Empty<Bytes>>, Error = Infallible> {
    service_fn(answer)
}

/// Whom a request counts for, by each kind of key: without fields, so that little else costs.
pub(crate) fn keys(effort: Effort) {
    let proxies: IpNet = "0.0.0.0/0".parse().unwrap();
    let api_key = || ClientHeader::new(HeaderName::from_static("x-api-key"));
    let path = ClientPath::new;
    let forwarded = |address: ClientIp| address.header(ProxyHeader::Forwarded);
    requests::heading("by the client's key; the peer is a proxy, and wrote the client's address");
    requests::compare(
        &mut [
            allowed("none", named, none()),
            by("peer", ClientIp::peer()),
            by("1 hop, X-Forwarded-For", ClientIp::trusted_hops(1)),
            allowed(
                "1 hop, X-Forwarded-For of 10,000",
                besieged,
                counted_by(ClientIp::trusted_hops(1)).layer(none()),
            ),
            by("1 hop, Forwarded", forwarded(ClientIp::trusted_hops(1))),
            by(
                "trusted proxies, Forwarded",
                forwarded(ClientIp::trusted_proxies([proxies])),
            ),
            by("header", api_key()),
            by("path", path()),
            by(
                "header or peer, and path",
                api_key().or(ClientIp::peer()).and(path().segments(1)),
            ),
        ],
        effort.rounds.div_ceil(4),
    );
}

fn by<K: ClientKey + 'static>(name: &str, key: K) -> Case<'_, SocketAddr> {
    allowed(name, named, counted_by(key).layer(none()))
}

fn counted_by<K: ClientKey>(key: K) -> RateLimitLayer<K> {
    RateLimitLayer::new(wide()).fields(false).with_key(key)
}

/// A request with all that a key may look at.
fn named(peer: SocketAddr) -> Request<()> {
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
    let mut request = http(peer);
    *request.uri_mut() = Uri::from_static("/users/1234/posts?page=1");
    for (name, value) in VALUES {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    request
}

/// The same with a list that its client made long.
fn besieged(peer: SocketAddr) -> Request<()> {
    static LIST: LazyLock<HeaderValue> = LazyLock::new(|| {
        let list = "198.51.100.1,".repeat(9_999) + "203.0.113.9";
        HeaderValue::from_str(&list).unwrap()
    });
    let mut request = named(peer);
    request
        .headers_mut()
        .insert("x-forwarded-for", LIST.clone());
    request
}
