//! Many entries that expire in the same second, while requests go on.

use crate::latency::{Latencies, Waits};
use crate::support::{Origin, answer, ask, call, request, request_with};
use crate::{row, table};
use bytes::Bytes;
use cache_layer::{Cache, CacheLayer};
use http::{HeaderValue, Uri};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use tower::Layer;

/// From the beginning to the second in which all expire: not long before the dead are swept out, once
/// a minute, so that the time before it is the longer one, and what stalls in it without a reason too.
const LIFE: Duration = Duration::from_secs(50);
/// How long they may be in going.
const PATIENCE: Duration = Duration::from_secs(70);

pub(crate) fn run(quick: bool) {
    let entries = if quick { 50_000 } else { 200_000 };
    let runtime = current_thread();
    let start = Instant::now();
    let origin = Origin::by(move |uri| {
        let cache_control = match uri.path().starts_with("/dies") {
            true => {
                let life = LIFE.saturating_sub(start.elapsed()).as_secs() + 1;
                format!("max-age={life}, must-revalidate")
            }
            false => "max-age=600".into(),
        };
        let cache_control = HeaderValue::try_from(cache_control).unwrap();
        answer(Bytes::from_static(&[b'x'; 100]), cache_control)
    });
    let layer = CacheLayer::new(2 << 30);
    let (cache, handle) = (layer.layer(origin), layer.handle());
    let stay = named("stays", 2_000);
    runtime.block_on(async {
        for uri in named("dies", entries).iter().chain(&stay) {
            ask(&cache, request(uri)).await;
        }
    });
    let stored = handle.stats().entries;

    let phase = AtomicUsize::new(0);
    let (phases, gone, left) = thread::scope(|threads| {
        let client = threads.spawn(|| ask_on(&cache, &stay, &phase));
        // They expire within a second from here on.
        thread::sleep((start + LIFE).saturating_duration_since(Instant::now()));
        phase.store(1, Relaxed);
        let expired = Instant::now();
        let left = || {
            handle
                .stats()
                .entries
                .saturating_sub(stored - entries as u64 + MISSED as u64)
        };
        while left() > 0 && expired.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(500));
        }
        let gone = expired.elapsed();
        phase.store(2, Relaxed);
        (client.join().unwrap(), gone, left())
    });
    table(format!(
        "{entries} entries expire in one second, requests of one thread"
    ));
    for (when, [hits, misses], asked) in [
        ("before", &phases[0], "the floor"),
        ("while they expire and go", &phases[1], "<= 5 ms"),
    ] {
        report(&format!("hits {when}"), hits, asked);
        report(&format!("misses {when}"), misses, asked);
    }
    row(
        "expired entries left",
        format!("{left} after {:.1} s", gone.as_secs_f64()),
        "0",
    );
}

/// How many keys the misses go to in turns.
const MISSED: usize = 5_000;

/// Asks without a pause: fifteen hits, a miss, which is stored, and so on; what each took, by phase.
fn ask_on(cache: &Cache<Origin>, stay: &[Uri], phase: &AtomicUsize) -> [[Latencies; 2]; 2] {
    let runtime = current_thread();
    let _inside = runtime.enter();
    let waits = Waits::of_this_thread();
    let missed = named("missed", MISSED);
    let mut taken = [(); 2].map(|()| [(); 2].map(|()| Latencies::new()));
    let mut service = cache.clone();
    let mut n = 0;
    while let Some([hits, misses]) = taken.get_mut(phase.load(Relaxed)) {
        n += 1;
        if n % 16 == 0 {
            let request = request_with(&missed[n / 16 % MISSED], "no-cache");
            misses.time(&waits, || runtime.block_on(ask(cache, request)));
        } else {
            hits.time(&waits, || call(&mut service, &stay[n * 7 % stay.len()]));
        }
    }
    taken
}

fn report(which: &str, taken: &Latencies, asked: &str) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    row(
        format!("{which}: p99.9, longest, longest of a running thread"),
        format!(
            "{:.3}, {:.2}, {:.2} ms of {} k",
            milliseconds(taken.quantile(0.999)),
            milliseconds(taken.longest),
            milliseconds(taken.longest_own),
            taken.requests() / 1000
        ),
        asked,
    );
}

fn named(kind: &str, number: usize) -> Vec<Uri> {
    let uri = |n| format!("http://api.example.com/{kind}/{n:08}");
    (0..number).map(|n| uri(n).parse().unwrap()).collect()
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
