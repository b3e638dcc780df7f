//! A Tower layer that keeps the heap within a budget: caches give back first, then requests are refused.
//!
//! A server that buffers request bodies dies of a burst of them: each is small, all were admitted while there was room,
//! and when they have arrived there is none. [`MemGuardLayer`] reserves the memory of a request *before* it admits it,
//! by its Content-Length, or frame by frame if it has none, and keeps
//!
//! > heap in use + bytes promised ≤ budget
//!
//! at every admission, exactly. What does not fit makes caches give back first ([`reclaim_with`]), and is then refused
//! with an answer that the client understands. The service below never runs for a refused request.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use axum::{Router, body::{Body, Bytes}, http::{Request, StatusCode}, routing::post};
//! use memguard_layer::{Heap, MemGuardLayer};
//! use tower::ServiceExt;
//!
//! #[global_allocator]
//! static HEAP: Heap = Heap::new();
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let guard = MemGuardLayer::new(64 << 20).exempt(|head| head.uri.path() == "/healthz");
//! let handle = guard.handle();
//! let app = Router::new()
//!     .route("/upload", post(|body: Bytes| async move { body.len().to_string() }))
//!     .layer(guard);
//!
//! let upload = |length: &str, body| {
//!     Request::post("/upload").header("content-length", length).body(Body::from(body)).unwrap()
//! };
//! let small = app.clone().oneshot(upload("5", "hello")).await.unwrap();
//! assert_eq!(small.status(), StatusCode::OK);
//!
//! // Half of the budget is promised elsewhere: 20 MiB, which cost 40 while they are joined, do not fit beside it.
//! let job = handle.reserve(32 << 20).expect("there is room");
//! let large = app.clone().oneshot(upload("20971520", "the first of 20 MiB")).await.unwrap();
//! assert_eq!(large.status(), StatusCode::SERVICE_UNAVAILABLE);
//! assert!(large.headers().contains_key("retry-after"));
//!
//! drop(job);
//! assert_eq!((handle.reserved(), handle.rejected()), (0, 1));
//! # }
//! ```
//!
//! # What it answers
//!
//! | case | HTTP | gRPC |
//! | --- | --- | --- |
//! | no room now, or low [`priority`] | 503, `retry-after`, problem `temporary-reduced-capacity` | `RESOURCE_EXHAUSTED`, pushback |
//! | the body alone is larger than the budget | 413 | `RESOURCE_EXHAUSTED`, not to be tried again |
//! | a body of unknown length outgrew the room | as above, in place of the handler's answer | the same |
//! | [`exempt`] | passed | passed |
//!
//! If the response has begun when a body outgrows the room, that body ends with an error and the response is the
//! handler's affair. Requests without a body pass unless the level is [`Level::Hard`].
//!
//! # What it needs
//!
//! Exactness comes from [`Heap`], the counting allocator. Without it jemalloc's statistics are used (feature `jemalloc`),
//! or the resident set, which does not fall when freed memory stays with the allocator: a ceiling, not a measure. See
//! [`source`]. The service below must accept
//! `Request<RequestBody<B>>`, as axum's `Router` and tonic's `Routes` do for any body, and be `Clone`.
//!
//! [`reclaim_with`]: MemGuardLayer::reclaim_with
//! [`exempt`]: MemGuardLayer::exempt
//! [`priority`]: MemGuardLayer::priority

#![cfg_attr(docsrs, feature(doc_cfg))]

mod admission;
mod body;
pub mod cgroup;
mod error;
mod future;
mod guard;
mod handle;
mod hard;
mod head;
pub mod heap;
mod layer;
mod level;
mod memory;
pub mod profile;
pub mod purge;
mod reclaim;
mod rejection;
mod service;
mod sizing;
pub mod source;

pub use self::{
    admission::{Policy, Priority, Reservation},
    body::{RequestBody, ResponseBody},
    error::ConfigError,
    future::ResponseFuture,
    handle::{MemGuardHandle, MemGuardStats},
    head::Head,
    heap::Heap,
    layer::MemGuardLayer,
    level::{Level, Thresholds},
    profile::{ProfileError, heap_profile},
    rejection::{Overloaded, OverloadedKind, ProblemDetails, Rejection},
    service::MemGuard,
    sizing::HeapBudget,
    source::Source,
};

/// Any error, as the bodies of axum, hyper and tonic carry it.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
