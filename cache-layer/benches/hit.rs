//! What a hit costs against the floor, which is copying a prebuilt response with the same fields, and
//! whether the bytes that the cache counts are the bytes that the heap holds.
//!
//! `cargo bench -p cache-layer --bench hit` (add `-- --quick` for a short run,
//! `--hits-only` for a profiler)
#![allow(unsafe_code, reason = "counts allocations")]
#![allow(unreachable_pub, reason = "support is shared with tests/peers")]
#![allow(clippy::disallowed_types, reason = "measures real time")]

mod support;

use bytes::Bytes;
use cache_layer::CacheLayer;
use http::Uri;
use std::hint::black_box;
use support::compare::{Case, compare, print_ratio};
use support::{Origin, Prebuilt, fill, heap, request, service, uris};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt};

fn main() {
    let asked = |flag| std::env::args().any(|argument| argument == flag);
    let quick = asked("--quick");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    hits(&runtime, if quick { 101 } else { 2001 });
    if asked("--hits-only") {
        return;
    }
    println!(
        "\n| body | entries | counted | heap | counted / heap |\n| ---: | ---: | ---: | ---: | ---: |"
    );
    for body in [0, 100, 1024, 16 * 1024] {
        accounting(&runtime, body, if quick { 2_000 } else { 20_000 });
    }
}

fn hits(runtime: &Runtime, rounds: usize) {
    let uris = uris(1024);
    let mut cache = CacheLayer::new(64 << 20).layer(Origin::new(1024));
    runtime.block_on(fill(&cache, &uris));
    let stored = runtime
        .block_on(cache.clone().oneshot(request(&uris[0])))
        .unwrap();
    let mut floor = Prebuilt::new(stored.headers().clone(), Bytes::from(vec![b'x'; 1024]));
    let mut cases = [
        Case::new("build the request", |uri| drop(black_box(request(uri)))),
        service("floor: clone a prebuilt response", &mut floor),
        service("cache-layer: hit", &mut cache),
    ];
    compare(&mut cases, &uris, rounds);
    let [_, floor, hit] = &cases;
    println!();
    print_ratio(hit, floor);
}

/// Compares the ledger with the heap for many entries of one size.
fn accounting(runtime: &Runtime, body: usize, entries: usize) {
    let uris: Vec<Uri> = (0..entries)
        .map(|n| {
            format!("http://api.example.com/{n}/{body}")
                .parse()
                .unwrap()
        })
        .collect();
    let layer = CacheLayer::new(1 << 30);
    let (cache, handle) = (layer.layer(Origin::new(body)), layer.handle());
    runtime.block_on(fill(&cache, &uris[..10]));
    let (before, counted) = (heap::live(), handle.stats().bytes);
    runtime.block_on(fill(&cache, &uris[10..]));
    let counted = handle.stats().bytes - counted;
    let heap = heap::live() - before;
    let each = |bytes: f64| bytes / (entries - 10) as f64;
    println!(
        "| {body} | {entries} | {:.0} | {:.0} | {:.3} |",
        each(counted as f64),
        each(heap as f64),
        counted as f64 / heap as f64
    );
}
