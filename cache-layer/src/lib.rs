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
//! [`heuristic`](CacheLayer::heuristic), [`default_ttl`](CacheLayer::default_ttl) or the handler's own
//! [`CachePolicy`] says it. They answer later GET and HEAD requests for the same URI whose `Vary`
//! fields say the same, or that prefer for certain what is there. Up to 32 variants of one URI are
//! kept. Errors live by their own word, or by [`negative_ttl`](CacheLayer::negative_ttl); a 5xx never takes
//! the place of what may still be used. [`targeted`](CacheLayer::targeted) names fields that speak to this cache in place of
//! `Cache-Control` (RFC 9213).
//!
//! Answers with an `ETag` or a `Last-Modified` that are not fresh, or say `no-cache`, are kept to be
//! asked about (section 4.3): what the service confirms with a 304 is used under the fields of the
//! 304. A client's own `If-None-Match` and `If-Modified-Since` are answered from the store, and a HEAD
//! that has to be passed on updates what is stored (section 4.3.5).
//!
//! | by choice | |
//! | --- | --- |
//! | [`store_post`](CacheLayer::store_post) | an answer to POST that says it is what a GET would get |
//! | [`query`](CacheLayer::query) | QUERY, with its content in the key (RFC 10008) |
//! | [`grpc_method`](CacheLayer::grpc_method) | unary gRPC methods, with their message in the key |
//! | [`no_vary_search`](CacheLayer::no_vary_search) | one entry for all queries that an answer calls alike |
//!
//! # How long
//!
//! For as long as the origin says, within [`min_ttl`](CacheLayer::min_ttl) and
//! [`max_ttl`](CacheLayer::max_ttl), if those are set. Lifetimes that are not the origin's own word are
//! shortened at random by up to [`ttl_jitter`](CacheLayer::ttl_jitter), a tenth by default, so that what was
//! stored together does not expire together.
//!
//! # Parts
//!
//! `Range` is answered with a 206 from what is stored. Partial answers are stored too, put together
//! under one strong validator, and completed by asking for nothing but what is missing (sections 3.3
//! and 3.4). Several ranges that do not make one stretch get the whole.
//!
//! # Stale answers
//!
//! They are used where their origin ([`stale-while-revalidate`, `stale-if-error`][RFC 5861]), the client
//! (`max-stale`, `stale-if-error`) or the configuration
//! ([`stale_while_revalidate`](CacheLayer::stale_while_revalidate),
//! [`stale_if_error`](CacheLayer::stale_if_error),
//! [`stale_if_disconnected`](CacheLayer::stale_if_disconnected)) allows it, and never against `must-revalidate`,
//! `proxy-revalidate`, `s-maxage` or `no-cache`. While one is used, it is fetched anew in the
//! background by one request that carries the target, the fields that the answer depends on, and
//! nothing of the client's: see [`Fetch`] and [`carry_extension`](CacheLayer::carry_extension).
//!
//! [RFC 5861]: https://www.rfc-editor.org/rfc/rfc5861
//!
//! # What never is
//!
//! - `no-store` and `private` answers, answers with `Set-Cookie` (unless
//!   [`set_cookie`](CacheLayer::set_cookie) says otherwise), statuses 304, 416, 428, 429, 431, 511 and what
//!   is none (600 and above), a 206 of several parts, more than 128 `Cache-Groups`;
//! - `Vary` on `*`, on `Cookie`, `Authorization`, `User-Agent` or a field that counts as credentials (unless
//!   [`vary_on`](CacheLayer::vary_on) says otherwise), or on more than
//!   [`max_vary_names`](CacheLayer::max_vary_names);
//! - answers to requests with `Authorization` or one of
//!   [`credential_headers`](CacheLayer::credential_headers), such as `X-Api-Key`, unless they say `public`,
//!   `s-maxage` or `must-revalidate` (RFC 9111 section 3.5), or with `Cookie`, unless they say `public` or
//!   `s-maxage` (or [`cookies`](CacheLayer::cookies) says otherwise). The same words decide whether a
//!   stored answer serves a request with credentials. By [`credentials`](CacheLayer::credentials) they pass
//!   the cache by;
//! - fields that `private="..."` or `no-cache="..."` names;
//! - bodies over [`max_entry_bytes`](CacheLayer::max_entry_bytes), broken ones, ones that differ from
//!   their `Content-Length`, ones of HTTP/1.0 without a length, whose end may be a break; fields over
//!   [`max_header_bytes`](CacheLayer::max_header_bytes), gRPC answers of a status other than OK.
//!
//! # What passes untouched
//!
//! Other methods; GET with content, `Upgrade`, `If-Match` or `If-Unmodified-Since`, or a field that
//! asks for another method (`X-HTTP-Method-Override` and its kin); targets over 8 KiB and hosts over 255
//! octets, unless [`overlong`](CacheLayer::overlong) says otherwise; requests without a host. Those with
//! two hosts, an invalid one or one that contradicts the target are refused with 400, unless
//! [`bad_host`](CacheLayer::bad_host) says otherwise.
//!
//! # What makes it go
//!
//! Unsafe methods invalidate their target if they succeed (section 4.4), what `Location` and
//! `Content-Location` name of the same origin, and the groups that `Cache-Group-Invalidation` names
//! (RFC 9875). [`CacheHandle`] purges by URI or [`tag`](CachePolicy::tag), so that it is gone, or, softly,
//! so that it is stale. All of it reaches what is on its way into the store too.
//!
//! # Keys
//!
//! Whatever could change an answer is part of its key, or does not reach the service: the service sees
//! what the key says.
//!
//! | part | by default | by choice |
//! | --- | --- | --- |
//! | fields that override the target, as `X-Forwarded-Host`, `X-Original-URL` | as they are: a forged one reaches only its forger | taken out, refused, or ignored: [`overrides`](CacheLayer::overrides), [`override_fields`](CacheLayer::override_fields), [`trusted_peers`](CacheLayer::trusted_peers) |
//! | scheme, host | in its normal form, which the service sees | as it is spelled: [`spelling`](CacheLayer::spelling) |
//! | path | as it is spelled | in its normal form, which the service sees: [`spelling`](CacheLayer::spelling) |
//! | query | as it is | sorted, some parameters only: [`query_policy`](CacheLayer::query_policy) |
//! | other fields of the request | by `Vary` | [`key_headers`](CacheLayer::key_headers) |
//! | tenant or user | all share | [`key_by`](CacheLayer::key_by) |
//! | content | of QUERY and gRPC | [`query`](CacheLayer::query), [`grpc_method`](CacheLayer::grpc_method) |
//! | namespace | none | [`namespace`](CacheLayer::namespace) |
//!
//! Keys are hashed with a secret, and compared in full on every hit. A purge and a write reach all keys of
//! their target.
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
//! without a client's body, or reads one first; its frames are [`Bytes`](bytes::Bytes), its error is
//! boxed. axum's routers and tonic's servers take any body. For a service that is
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
//! What is stored takes no more than the bytes it is given, but for the moment in which it is decided who
//! leaves for a newcomer. With answers on their way in, and bodies that slow clients still read after
//! their entries have left, it takes a quarter more at most, at every moment: answers for which that is
//! not enough stream through and are not stored. [`CacheStats::bytes`] counts all of it as it is really held:
//! bodies, fields, keys and bookkeeping.
//!
//! Who leaves is whoever has expired, then whom the [`Eviction`] policy values least. By default that is
//! TinyLFU behind a small window: a flood of answers that nobody asks for twice replaces nothing. Large
//! answers have to be asked for more often than small ones, and how soon the past is forgotten is learnt
//! from the traffic, so that news and shifting favourites are kept as well as LRU keeps them.
//! [`CacheHandle::reclaim`] gives memory back in the same order, and
//! [`admit_while`](CacheLayer::admit_while) keeps out what is new for as long as memory is short. What is of no use to anybody is swept
//! out once a minute, off the async workers, and so is what nobody has asked for, by
//! [`time_to_idle`](CacheLayer::time_to_idle).
//!
//! [`CacheStats`] says what the cache does and why entries leave; [`CacheHandle::top_keys`] says which
//! keys are hot, in fixed memory. What was purged is remembered in fixed tables too: 20 KiB up to a
//! cache of 4 MiB, 1.25 MiB from 256 MiB on.
//!
//! # Several routes
//!
//! Each route can have a layer of its own, with settings and keys of its own:
//! [`namespaced`](CacheLayer::namespaced) makes one that shares the memory.
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
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod head;
mod key;
mod keyed;
mod layer;
mod look;
mod miss;
mod plan;
mod policy;
mod pool;
mod post;
mod refresh;
mod reply;
mod request;
mod respond;
mod rfc9111;
mod search;
mod service;
mod settings;
mod shared;
mod stats;
mod store;
mod warm;
mod write;

pub use body::{RequestBody, ResponseBody};
pub use cache_status::CacheStatus;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use handle::CacheHandle;
pub use key::{Overrides, QueryPolicy, Spelling, Unkeyable};
pub use layer::CacheLayer;
pub use policy::CachePolicy;
pub use rfc9111::storable::{Cookies, Credentials, SetCookie};
pub use service::Cache;
pub use stats::{Bypasses, CacheStats, Evictions, TopKey};
pub use store::{Eviction, TopBy};
pub use warm::{Fetch, Warm, Warmed};
