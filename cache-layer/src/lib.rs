//! An HTTP cache as a Tower layer: the rules of RFC 9111 for a shared cache, in bounded memory.
//!
//! [`CacheLayer`] goes on any `Service<Request<B>>`: axum, hyper, tonic. A fresh stored answer is
//! sent without the service below being called, or even ready; everything else reaches it as before.
//!
//! ```
//! use axum::{Router, http::header, routing::get};
//! use cache_layer::CacheLayer;
//!
//! let cache = CacheLayer::new(64 << 20); // bytes
//! let handle = cache.handle();
//! let app: Router = Router::new()
//!     .route("/", get(|| async { ([(header::CACHE_CONTROL, "max-age=30")], "hello") }))
//!     .layer(cache);
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! # use tower::ServiceExt;
//! # let ask = || http::Request::get("http://a/").body(axum::body::Body::empty()).unwrap();
//! # for expected in ["cache-layer; fwd=uri-miss; stored", "cache-layer; hit"] {
//! #     let response = app.clone().oneshot(ask()).await.unwrap();
//! #     assert_eq!(response.headers()["cache-status"], expected);
//! #     axum::body::to_bytes(response.into_body(), 100).await.unwrap();
//! # }
//! # });
//! assert_eq!(handle.stats().hits, 1);
//! ```
//!
//! # What is stored
//!
//! Answers to GET that say how long they are fresh (`max-age`, `s-maxage`, `Expires`), or for which
//! [`heuristic`](CacheLayer::heuristic) or [`default_ttl`](CacheLayer::default_ttl) says it. They answer later GET and HEAD requests for the
//! same URI whose `Vary` fields are the same.
//!
//! What is not fresh any more and has an `ETag` or a `Last-Modified` is asked about before it is
//! fetched anew (section 4.3); what the service confirms with a 304 is fresh again under the fields of
//! the 304. A client's own `If-None-Match` and `If-Modified-Since` are answered from the store.
//!
//! # What never is
//!
//! - `no-store`, `private` and `no-cache` answers, answers with `Set-Cookie` (unless
//!   [`set_cookie`](CacheLayer::set_cookie) says otherwise), statuses 304, 416,
//!   428, 429, 431 and 511, 206 but as one part of a 200, `Vary` on `*`, `Cookie`, `Authorization` or `User-Agent`, or on more than
//!   eight fields;
//! - answers to requests with `Authorization`, unless they say `public`, `s-maxage` or
//!   `must-revalidate` (RFC 9111 section 3.5), or with `Cookie`, unless they say `public` or
//!   `s-maxage`. The same words decide whether a stored answer serves a request with credentials;
//! - bodies over [`max_entry_bytes`](CacheLayer::max_entry_bytes), broken ones, ones that differ from
//!   their `Content-Length`, header sections over 32 KiB.
//!
//! # What passes untouched
//!
//! Other methods; requests with content, `Range`, `Upgrade`, `If-Match` or `If-Unmodified-Since`;
//! targets over 8 KiB; requests with no, two, unusable or contradicting hosts. Unsafe methods
//! invalidate their target if they succeed (section 4.4), and what `Location` and `Content-Location`
//! name of the same origin.
//!
//! # Keys
//!
//! A key is scheme, host, path and query, exact but for the host's case, default port and trailing
//! dot, and the fields by which a service may be told of another host or path (`X-Forwarded-Host`,
//! `X-Original-URL`, `Forwarded`'s host and proto, and their kin): a forged one reaches only its
//! forger. Keys are hashed with a secret, and compared in full on every hit.
//!
//! # One request, many readers
//!
//! Requests for an answer that another request is already fetching wait for its head and read its
//! body while it arrives. Whether it may be shared is decided before any of them sees a byte of it.
//! The request to the service runs as a task of its own, so it goes on when its first client leaves,
//! and the tokio runtime must be there: calling the service outside of one panics at the first miss.
//!
//! # Bodies
//!
//! The service below sees [`RequestBody<B>`](RequestBody), because the cache asks on its own behalf,
//! without a client's body. axum's routers and tonic's servers take any body. For a service that is
//! typed to one, such as `axum::middleware::from_fn` directly below, map it back:
//!
//! ```
//! use axum::{Router, body::Body, middleware::{Next, from_fn}};
//! use cache_layer::CacheLayer;
//! use tower::ServiceBuilder;
//! use tower::ServiceExt as _;
//! # use axum::extract::Request;
//!
//! async fn middleware(request: Request, next: Next) -> axum::response::Response {
//!     next.run(request).await
//! }
//!
//! let app: Router = Router::new().layer(
//!     ServiceBuilder::new()
//!         .layer(CacheLayer::new(1 << 20))
//!         .map_request(|request: http::Request<_>| request.map(Body::new))
//!         .layer(from_fn(middleware)),
//! );
//! ```
//!
//! # Memory
//!
//! [`CacheStats::bytes`] counts what is really held: bodies, fields, keys and bookkeeping, of entries
//! and of answers on their way in. [`CacheHandle::reclaim`] gives some of it back, expired entries
//! first, then the ones that the [`Eviction`] policy values least.
//!
//! # Features
//!
//! - `axum`: keys a nested router's requests by the URI that the client asked for. Without it, two
//!   nests under one layer see stripped paths and would share keys: put the layer on the outermost
//!   router, or turn the feature on.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod cache_status;
mod error;
mod fill;
mod future;
mod handle;
mod head;
mod key;
mod keyed;
mod layer;
mod look;
mod miss;
mod policy;
mod pool;
mod post;
mod refresh;
mod reply;
mod request;
mod rfc9111;
mod search;
mod service;
mod settings;
mod shared;
mod stats;
mod store;
mod warm;

pub use body::{RequestBody, ResponseBody};
pub use cache_status::CacheStatus;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use handle::CacheHandle;
pub use layer::CacheLayer;
pub use policy::CachePolicy;
pub use rfc9111::storable::{Cookies, SetCookie};
pub use service::Cache;
pub use stats::CacheStats;
pub use store::Eviction;
pub use warm::{Fetch, Warm, Warmed};
