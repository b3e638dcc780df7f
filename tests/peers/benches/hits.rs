//! A hit of cache-layer, of its peers, and the floor: the same requests and the same answers of 1 KiB,
//! in turns.
//!
//! `cargo bench --manifest-path tests/peers/Cargo.toml --bench hits` (add `-- --quick` for a short run)
#![allow(unsafe_code, reason = "counts allocations")]
#![allow(unreachable_pub, reason = "the support is cache-layer's own")]
#![allow(clippy::disallowed_types, reason = "measures real time")]

#[path = "../../../cache-layer/benches/support/mod.rs"]
mod support;

use bytes::Bytes;
use cache_layer::CacheLayer;
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use http_cache::MokaManager;
use http_cache_tower_server::{QueryKeyer, ServerCacheLayer};
use std::fmt::Debug;
use std::hint::black_box;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use support::compare::{Case, compare, print_ratio};
use support::{Origin, Prebuilt, fill, request, service, uris};
use tower::{Layer, Service, ServiceExt};
use tower_http_cache::prelude::{CacheLayer as TowerHttpCacheLayer, InMemoryBackend};

const ENTRIES: usize = 1024;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // The peers ask for it on hits too.
    let _inside = runtime.enter();
    let (uris, origin) = (uris(ENTRIES), Origin::new(1024));
    let room = 10 * ENTRIES;

    let mut ours = CacheLayer::new(64 << 20).layer(origin.clone());
    let mut tower_http_cache = TowerHttpCacheLayer::builder(InMemoryBackend::new(room as u64))
        .ttl(Duration::from_secs(600))
        .build()
        .layer(origin.clone());
    let manager = MokaManager::new(moka::future::Cache::new(room as u64));
    let mut tower_server = ServerCacheLayer::with_keyer(manager, QueryKeyer).layer(origin.clone());
    let asked = || origin.answers.load(Relaxed);
    runtime.block_on(async {
        store(&ours, &uris, asked).await;
        store(&tower_http_cache, &uris, asked).await;
        store(&tower_server, &uris, asked).await;
    });
    let stored = runtime
        .block_on(ours.clone().oneshot(request(&uris[0])))
        .unwrap();
    let mut floor = Prebuilt::new(stored.headers().clone(), Bytes::from(vec![b'x'; 1024]));

    let before = asked();
    let mut cases = [
        Case::new("build the request", |uri| drop(black_box(request(uri)))),
        service("floor: clone a prebuilt response", &mut floor),
        service("cache-layer: hit", &mut ours),
        service("tower-http-cache: hit", &mut tower_http_cache),
        service("http-cache-tower-server: hit", &mut tower_server),
    ];
    compare(&mut cases, &uris, if quick { 51 } else { 301 });
    let [_, floor, hit, tower_http_cache, tower_server] = &cases;
    println!("\nmedians of the rounds' ratios, and ratios of the undisturbed:");
    print_ratio(hit, floor);
    print_ratio(tower_http_cache, hit);
    print_ratio(tower_server, hit);
    assert_eq!(asked(), before, "all of them were hits");
}

/// Fills a cache until it asks for nothing more: some store in tasks of their own, later.
async fn store<S, B>(cache: &S, uris: &[Uri], asked: impl Fn() -> u64)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error: Debug> + Clone,
    B: Body<Error: Debug>,
{
    let mut before = None;
    while before != Some(asked()) {
        before = Some(asked());
        fill(cache, uris).await;
        tokio::task::yield_now().await;
    }
}
