//! The layers around the upstream, as the flags have them. From the outside in: what is refused
//! for want of memory costs no quota, and what is refused by quota or concurrency reads no cache.

use std::num::NonZeroUsize;

use bytes::Bytes;
use cache_layer::{CacheHandle, CacheLayer};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use memguard_layer::{Level, MemGuardHandle, MemGuardLayer};
use ratelimit_layer::{ConcurrencyHandle, ConcurrencyLimitLayer, RateLimitHandle, RateLimitLayer};
use tower::Service;

use crate::body::BoxError;
use crate::failure::Failure;
use crate::flags::Flags;
use crate::optional::optional;
use crate::rate;
use crate::upstream::Upstream;

/// The ways in from outside the request path; `None` for what is off.
#[derive(Clone, Debug)]
pub(crate) struct Handles {
    pub(crate) cache: Option<CacheHandle>,
    pub(crate) rate: Option<RateLimitHandle>,
    pub(crate) concurrency: Option<ConcurrencyHandle>,
    pub(crate) guard: Option<MemGuardHandle>,
    pub(crate) upstream: Upstream,
}

/// The service behind the public listener, and its handles.
pub(crate) fn stack(
    flags: &Flags,
) -> (
    impl Service<
        Request<Incoming>,
        Response = Response<impl Body<Data = Bytes, Error = BoxError> + Send + 'static>,
        Error = Failure,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static,
    Handles,
) {
    let concurrency = flags.limits_concurrency().then(|| {
        let most = flags.concurrency.map_or(usize::MAX, NonZeroUsize::get);
        let mut layer = ConcurrencyLimitLayer::new(most)
            .with_key(flags.client.key())
            .wait(most, flags.concurrency_wait.unwrap_or_default());
        if let Some(idle) = flags.concurrency_idle {
            layer = layer.max_idle(idle);
        }
        match flags.adaptive.limit() {
            Some(limit) => layer.adaptive(limit),
            None => layer,
        }
    });
    let guard = flags.heap_budget.map(|budget| {
        // Bodies stream through: no handler holds one whole and joined.
        let mut layer = MemGuardLayer::new(budget)
            .body_factor(1)
            .purge_with(give_back);
        if let Some(directory) = &flags.profile_directory {
            layer = layer
                .profile_at_hard(directory)
                .expect("the flag was checked");
        }
        layer
    });
    let cache = flags.cache.layer().map(|layer| {
        let layer = flags.keys.of(layer);
        match guard.as_ref().map(MemGuardLayer::handle) {
            Some(guard) => frugal(layer, &guard),
            None => layer,
        }
    });
    let guard = guard.map(|layer| match cache.as_ref().map(CacheLayer::handle) {
        Some(cache) => layer.reclaim_with(move |bytes| cache.reclaim(bytes)),
        None => layer,
    });
    let rate = rate::layer(&flags.rate, flags.dry_run).map(|layer| {
        let layer = match guard.as_ref().map(MemGuardLayer::handle) {
            Some(guard) => rate::scaled(layer, guard),
            None => layer,
        };
        layer.with_key(flags.client.key())
    });
    let upstream = Upstream::new(flags.upstream.clone(), flags.upstream_timeout);

    let handles = Handles {
        cache: cache.as_ref().map(CacheLayer::handle),
        rate: rate.as_ref().map(RateLimitLayer::handle),
        concurrency: concurrency.as_ref().map(ConcurrencyLimitLayer::handle),
        guard: guard.as_ref().map(MemGuardLayer::handle),
        upstream: upstream.clone(),
    };
    let cached = optional(cache, upstream);
    let limited = optional(rate, optional(concurrency, cached));
    (optional(guard, limited), handles)
}

/// Nothing new is stored while memory is getting short: it would have to be given back before long.
fn frugal(cache: CacheLayer, guard: &MemGuardHandle) -> CacheLayer {
    // A receiver of the level and no handle: the guard has one of the cache, and neither would ever go.
    let level = guard.watch();
    cache.admit_while(move || *level.borrow() < Level::Elevated)
}

/// Makes the allocator of `main.rs` give back to the system what it keeps for later.
fn give_back() {
    #[cfg(feature = "pprof")]
    memguard_layer::purge::jemalloc();
    #[cfg(all(not(feature = "pprof"), target_os = "linux", target_env = "gnu"))]
    memguard_layer::purge::glibc();
}
