//! Giving half of a full cache back.

use crate::latency::{Latencies, Waits};
use crate::support::compare::median;
use crate::support::{Origin, ask, call, fill, heap, request_with, uris};
use crate::{MIB, row, table};
use cache_layer::{Cache, CacheHandle, CacheLayer, Eviction};
use http::Uri;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;
use tokio::runtime::Runtime;
use tower::Layer;

const BOUND: u64 = 64 << 20;
const BODY: usize = 16 * 1024;

pub(crate) fn run(quick: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for eviction in [Eviction::TinyLfu, Eviction::Lru] {
        case(&runtime, eviction, if quick { 3 } else { 15 });
    }
}

fn case(runtime: &Runtime, eviction: Eviction, rounds: usize) {
    let waits = Waits::of_this_thread();
    let (mut times, mut own_times) = (Vec::new(), Vec::new());
    let mut errors = Vec::new();
    let (mut kept, mut hot_keys) = (usize::MAX, 0);
    let mut freed_mib = 0.0;
    for _ in 0..rounds {
        let (cache, handle, uris) = full(runtime, eviction);
        let hot: Vec<_> = uris.iter().step_by(3).cloned().collect();
        // By more than what is forgotten meanwhile.
        (0..4).for_each(|_| runtime.block_on(fill(&cache, &hot)));
        let (half, before) = (handle.stats().bytes / 2, heap::live());
        let (freed, took, own) = waits.time(|| handle.reclaim(half));
        times.push(took.as_secs_f64() * 1e3);
        own_times.push(own.as_secs_f64() * 1e3);
        let really = (before - heap::live()) as f64;
        errors.push((freed as f64 / really - 1.0).abs() * 100.0);
        freed_mib = freed as f64 / MIB;
        hot_keys = hot.len();
        kept = kept.min(runtime.block_on(held(&cache, &hot)));
    }
    let longest = own_times.iter().copied().fold(0.0, f64::max);
    let furthest = errors.iter().copied().fold(0.0, f64::max);
    let (time, own) = (median(times), median(own_times));
    table(format!(
        "reclaim of half of 64 MiB in entries of 16 KiB, {eviction:?}, {rounds} rounds"
    ));
    row(
        format!("time for {freed_mib:.1} MiB, median; of a running thread (longest)"),
        format!("{time:.2}; {own:.2} ms ({longest:.2})"),
        "<= 5 ms",
    );
    row(
        "hot keys kept, in the worst round",
        format!("{kept} of {hot_keys}"),
        "all",
    );
    row(
        "freed, against the heap's own count, at most",
        format!("{furthest:.2} % off"),
        "within 5 %",
    );
    let (beside, during) = (0..rounds.min(5))
        .map(|_| beside(runtime, eviction))
        .reduce(|(a, b), (c, d)| (a.max(c), b.max(d)))
        .unwrap();
    row(
        "longest hit meanwhile, thread running (as long before)",
        format!("{during:.2} ms ({beside:.2})"),
        "",
    );
}

/// A cache with hardly any room left, and what is in it.
fn full(runtime: &Runtime, eviction: Eviction) -> (Cache<Origin>, CacheHandle, Vec<Uri>) {
    let layer = CacheLayer::new(BOUND).eviction(eviction);
    let (cache, handle) = (layer.layer(Origin::new(BODY)), layer.handle());
    let uris = uris(BOUND as usize / BODY);
    let mut stored = 0;
    while handle.stats().bytes < BOUND / 100 * 95 {
        runtime.block_on(fill(&cache, &uris[stored..stored + 50]));
        stored += 50;
    }
    (cache, handle, uris[..stored].to_vec())
}

async fn held(cache: &Cache<Origin>, uris: &[Uri]) -> usize {
    let mut held = 0;
    for uri in uris {
        held += usize::from(ask(cache, request_with(uri, "only-if-cached")).await);
    }
    held
}

/// The longest hit of another thread in a while before, and in the reclaim, in milliseconds.
fn beside(runtime: &Runtime, eviction: Eviction) -> (f64, f64) {
    let (cache, handle, uris) = full(runtime, eviction);
    let (reclaiming, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let ready = Barrier::new(2);
    let hot = &uris[..1];
    (0..4).for_each(|_| runtime.block_on(fill(&cache, hot)));
    thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let (waits, mut cache) = (Waits::of_this_thread(), cache.clone());
            let (mut before, mut during) = (Latencies::new(), Latencies::new());
            ready.wait();
            while !done.load(Relaxed) {
                let into = match reclaiming.load(Relaxed) {
                    true => &mut during,
                    false => &mut before,
                };
                into.time(&waits, || call(&mut cache, &hot[0]));
            }
            [before, during].map(|taken| taken.longest_own.as_secs_f64() * 1e3)
        });
        ready.wait();
        thread::sleep(Duration::from_millis(10));
        let half = handle.stats().bytes / 2;
        reclaiming.store(true, Relaxed);
        handle.reclaim(half);
        done.store(true, Relaxed);
        let [before, during] = reader.join().unwrap();
        (before, during)
    })
}
