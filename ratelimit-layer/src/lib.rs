//! Tower layers that limit how often and how many at once, per client, in fixed memory.
//!
//! | | limits | over it |
//! | --- | --- | --- |
//! | [`RateLimitLayer`] | requests per time, by GCRA | 429, `Retry-After`, `RateLimit` fields |
//! | [`ConcurrencyLimitLayer`] | requests in flight, to the end of the body | 429, or 503 for the total |
//! | [`RateLimiter`] | whatever you ask it, without HTTP | a [`Decision`] |
//!
//! Whom a request counts for is the peer's address ([`ClientIp`]), a header ([`ClientHeader`]), the
//! path ([`ClientPath`]), what a closure makes of the request, or several of them ([`ClientKey`]). A refusal is a response, never an error: problem+json (RFC 9457)
//! to HTTP, trailers-only `RESOURCE_EXHAUSTED` to gRPC.
//!
//! ```
//! use ratelimit_layer::{ClientIp, ConcurrencyLimitLayer, Quota, RateLimitLayer};
//! use tower::ServiceBuilder;
//!
//! let client = ClientIp::trusted_proxies(["10.0.0.0/8".parse().unwrap()]);
//! let stack = ServiceBuilder::new()
//!     .layer(RateLimitLayer::new(Quota::per_second(100).burst(200)).with_key(client.clone()))
//!     .layer(ConcurrencyLimitLayer::new(10).with_key(client));
//! ```
//!
//! # Features
//!
//! None is on by default; a bare [`SocketAddr`](std::net::SocketAddr) extension always counts as peer.
//!
//! - `axum`: the peer from `axum::extract::ConnectInfo<SocketAddr>`.
//! - `tonic`: the peer from tonic's `TcpConnectInfo`.
//! - `tonic-tls`: the same behind tonic's TLS.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adaptive;
mod algorithm;
mod body;
mod clock;
mod concurrency;
mod counters;
mod error;
mod fields;
mod future;
mod hash;
mod head;
mod key;
mod limiter;
mod policy;
mod quota;
mod rate;
mod rejection;
mod rules;
mod table;

pub use adaptive::{Adaptive, Aimd, Gradient2, Outcome, Vegas, Verdict};
pub use body::ResponseBody;
pub use concurrency::{
    AtOnce, ConcurrencyHandle, ConcurrencyLimit, ConcurrencyLimitLayer, ConcurrencyLimited,
    ConcurrencyStats, Hold, InLine, Patience, Scope,
};
pub use error::ConfigError;
pub use fields::FieldStyle;
pub use future::ResponseFuture;
pub use head::{Head, ResponseHead};
pub use ipnet::IpNet;
pub use key::{ClientHeader, ClientIp, ClientKey, ClientPath, KeyFn, Or, ProxyHeader, Unreadable};
pub use limiter::{Client, Decision, RateLimiter};
pub use policy::{Algorithm, Policy};
pub use quota::Quota;
pub use rate::{
    Offender, PolicyStats, RateLimit, RateLimitHandle, RateLimitLayer, RateLimitStats, RateLimited,
};
pub use rejection::{Rejection, Standard};
pub use rules::Unkeyed;

/// The README's example is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
