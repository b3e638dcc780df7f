//! Whether anything grows that only changes: keys overwritten, and keys that expire and are not asked
//! for again.

use crate::support::{Origin, answer, ask, fill, heap, request, request_with, uris};
use crate::{row, table};
use bytes::Bytes;
use cache_layer::{Cache, CacheHandle, CacheLayer};
use http::{HeaderValue, Uri};
use std::ops::Range;
use std::time::{Duration, Instant};
use tower::Layer;

const KEYS: u64 = 1000;
/// What stays while others come and go.
const KEPT: u64 = 10 * KEYS;

pub(crate) fn run(quick: bool) {
    let changes = if quick { 200_000 } else { 10_000_000 };
    overwrites(changes);
    expiries(changes);
}

/// Tiny answers; the `/short` ones are good for a second, and for nothing thereafter.
fn cached() -> (Cache<Origin>, CacheHandle) {
    let origin = Origin::by(|uri| {
        let cache_control = HeaderValue::from_static(match uri.path().starts_with("/short") {
            true => "max-age=1, must-revalidate",
            false => "max-age=31536000",
        });
        answer(Bytes::from_static(b"a tiny answer"), cache_control)
    });
    let layer = CacheLayer::new(64 << 20);
    (layer.layer(origin), layer.handle())
}

fn overwrites(changes: u64) {
    const CLIENTS: u64 = 2;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CLIENTS as usize)
        .enable_all()
        .build()
        .unwrap();
    let (cache, handle) = cached();
    let overwrite = |passes: u64| {
        let client = || {
            let (cache, uris) = (cache.clone(), uris(KEYS as usize));
            runtime.spawn(async move {
                for _ in 0..passes {
                    for uri in &uris {
                        ask(&cache, request_with(uri, "no-cache")).await;
                    }
                }
            })
        };
        let clients = [client(), client()];
        for client in clients {
            runtime.block_on(client).unwrap();
        }
    };
    overwrite(20);
    let (before, stored) = (at_rest(&handle), handle.stats().stored);
    let start = Instant::now();
    overwrite(changes / KEYS / CLIENTS);
    let took = start.elapsed();
    let stored = handle.stats().stored - stored;
    table(format!("{stored} overwrites of {KEYS} keys"));
    report(before, at_rest(&handle), stored, took);
}

fn expiries(changes: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let (cache, handle) = cached();
    runtime.block_on(fill(&cache, &uris(KEPT as usize)));
    // A hash table that entries come to and leave is at last twice as large as they need, once.
    let warm_up = 500 * KEYS;
    runtime.block_on(expire(&cache, &handle, 0..warm_up));
    let before = at_rest(&handle);
    let start = Instant::now();
    let keys = warm_up..warm_up + changes;
    let (most, left) = runtime.block_on(expire(&cache, &handle, keys));
    let took = start.elapsed();
    table(format!(
        "{changes} keys set and expired, {KEYS} at a time, beside {KEPT}"
    ));
    report(before, at_rest(&handle), changes, took);
    row(
        "heap, most meanwhile",
        format!("{:.2} MiB", most as f64 / crate::MIB),
        "",
    );
    row("expired entries left", left, "0");
}

/// Sets keys, a thousand at a time, and lets them expire; the most that the heap held, and how many
/// entries are left that should not be.
async fn expire(cache: &Cache<Origin>, handle: &CacheHandle, keys: Range<u64>) -> (i64, u64) {
    let set = async |key: String| {
        let uri: Uri = format!("http://api.example.com/short/{key}")
            .parse()
            .unwrap();
        ask(cache, request(&uri)).await;
    };
    // The entry of the latest miss outlives the sweep that it brings.
    let left = || handle.stats().entries.saturating_sub(KEPT + 1);
    let mut most = 0;
    for key in keys {
        set(format!("{key:012}")).await;
        if key % KEYS == KEYS - 1 {
            most = most.max(heap::live());
            tokio::time::advance(Duration::from_secs(61)).await;
            set(format!("after-{key:012}")).await;
            // A minute has passed in no time: the sweep's thread has it all to catch up with.
            let start = Instant::now();
            while left() > 0 && start.elapsed() < Duration::from_secs(1) {
                tokio::task::spawn_blocking(|| ()).await.unwrap();
            }
        }
    }
    (most, left())
}

/// What the heap holds when nothing is under way; another thread may take a while to notice.
fn at_rest(handle: &CacheHandle) -> i64 {
    let look = |_| {
        let _ = handle.stats();
        std::thread::sleep(Duration::from_millis(5));
        heap::live()
    };
    (0..20).map(look).min().unwrap()
}

fn report(before: i64, after: i64, changes: u64, took: Duration) {
    let [before_mib, after_mib] = [before, after].map(|bytes| bytes as f64 / crate::MIB);
    let grown = (after as f64 / before as f64 - 1.0) * 100.0;
    row(
        "heap before, after",
        format!("{before_mib:.3}, {after_mib:.3} MiB: {grown:+.3} %"),
        "within 1 %",
    );
    let rate = changes as f64 / took.as_secs_f64() / 1e3;
    row("rate", format!("{rate:.0} k/s"), "");
}
