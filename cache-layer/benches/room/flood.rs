//! A flood of URLs that nobody asks for again, while a hot set goes on being asked for.

use crate::support::trace::{Random, Zipf};
use crate::support::{Origin, ask, fill, heap, request, request_with, uris};
use crate::{MIB, row, table};
use cache_layer::{Cache, CacheHandle, CacheLayer, Eviction};
use http::Uri;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use tower::Layer;

const BOUND: u64 = 64 << 20;
const BODY: usize = 4096;
const WORKERS: u64 = 2;
pub(crate) fn run(quick: bool) {
    let urls = if quick { 100_000 } else { 1_000_000 };
    for (eviction, hot, flood) in [
        (Eviction::TinyLfu, 2_000, 1),
        (Eviction::TinyLfu, 2_000, 10),
        (Eviction::TinyLfu, 10_000, 1),
        (Eviction::Lru, 2_000, 1),
    ] {
        case(eviction, hot, urls, flood);
    }
}

/// What is popular, and how popular.
struct Hot {
    uris: Vec<Uri>,
    zipf: Zipf,
}

impl Hot {
    fn draw(&self, random: &mut Random) -> &Uri {
        &self.uris[self.zipf.draw(random) as usize]
    }

    /// Hits of many draws, in per cent; what is not there is not fetched.
    async fn ratio(&self, cache: &Cache<Origin>) -> f64 {
        const DRAWS: u32 = 20_000;
        let (mut random, mut hits) = (Random(3), 0);
        for _ in 0..DRAWS {
            let request = request_with(self.draw(&mut random), "only-if-cached");
            hits += u32::from(ask(cache, request).await);
        }
        f64::from(hits) * 100.0 / f64::from(DRAWS)
    }
}

/// `to_one` URLs of the flood come for each request to the hot set.
fn case(eviction: Eviction, hot: u64, urls: u64, to_one: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS as usize)
        .enable_all()
        .build()
        .unwrap();
    let (uris, zipf) = (uris(hot as usize), Zipf::new(hot, 1.0));
    let hot = Arc::new(Hot { uris, zipf });
    let (empty, rss_empty) = (heap::live(), rss());
    let layer = CacheLayer::new(BOUND).eviction(eviction);
    let (cache, handle) = (layer.layer(Origin::new(BODY)), layer.handle());

    let before = runtime.block_on(async {
        fill(&cache, &hot.uris).await;
        let mut random = Random(4);
        for _ in 0..10 * hot.uris.len() {
            ask(&cache, request(hot.draw(&mut random))).await;
        }
        hot.ratio(&cache).await
    });
    let (start, done) = (Instant::now(), AtomicBool::new(false));
    let (most, hits) = thread::scope(|threads| {
        let sampler = threads.spawn(|| sample(&handle, &done, urls));
        let hits = runtime.block_on(flood(&cache, &hot, urls, to_one));
        done.store(true, Relaxed);
        (sampler.join().unwrap(), hits)
    });
    let took = start.elapsed().as_secs_f64();
    let rss_after = rss();
    let after = runtime.block_on(hot.ratio(&cache));

    let of_bound = |bytes: f64| format!("{:.3} of the bound", bytes / BOUND as f64);
    let during = hits as f64 * 100.0 / (urls / to_one) as f64;
    let keys = hot.uris.len();
    table(format!(
        "flood of {urls} URLs of 4 KiB, {eviction:?}, 64 MiB, {keys} hot keys asked {to_one} times less"
    ));
    row("counted bytes, most", of_bound(most.counted), "<= 1.25");
    let held = most.heap - empty as f64;
    row("heap, most", of_bound(held), "");
    let rss = [rss_empty, most.rss_full, most.rss, rss_after];
    let [empty, full, most_rss, after_rss] = rss.map(|bytes| bytes as f64 / MIB);
    row(
        "RSS, empty, full, most, after",
        format!("{empty:.0}, {full:.0}, {most_rss:.0}, {after_rss:.0} MiB"),
        "flat once full",
    );
    row(
        "hot hits before, during, after",
        format!("{before:.1}, {during:.1}, {after:.1} %"),
        "after within 3 points of before",
    );
    let rate = urls as f64 / took / 1e3;
    let taken = most.samples;
    row("misses", format!("{rate:.0} k/s, {taken} samples"), "");
}

/// The flood, and the hits that the hot set had meanwhile.
async fn flood(cache: &Cache<Origin>, hot: &Arc<Hot>, urls: u64, to_one: u64) -> u64 {
    let client = |worker: u64| {
        let (cache, hot) = (cache.clone(), Arc::clone(hot));
        async move {
            let (mut random, mut hits) = (Random(worker), 0);
            for n in 0..urls / WORKERS {
                let uri = format!("http://api.example.com/search?worker={worker}&q={n}");
                ask(&cache, request(&uri.parse().unwrap())).await;
                if n % to_one == 0 {
                    hits += u64::from(ask(&cache, request(hot.draw(&mut random))).await);
                }
            }
            hits
        }
    };
    let clients: Vec<_> = (0..WORKERS).map(|n| tokio::spawn(client(n))).collect();
    let mut hits = 0;
    for client in clients {
        hits += client.await.unwrap();
    }
    hits
}

#[derive(Default)]
struct Most {
    counted: f64,
    heap: f64,
    /// When a tenth of the flood had come: the cache is full by then.
    rss_full: u64,
    rss: u64,
    samples: u64,
}

fn sample(handle: &CacheHandle, done: &AtomicBool, urls: u64) -> Most {
    let mut most = Most::default();
    while !done.load(Relaxed) {
        let stats = handle.stats();
        most.counted = most.counted.max(stats.bytes as f64);
        most.heap = most.heap.max(heap::live() as f64);
        if most.samples.is_multiple_of(100) {
            let now = rss();
            most.rss = most.rss.max(now);
            if most.rss_full == 0 && stats.stored > urls / 10 {
                most.rss_full = now;
            }
        }
        most.samples += 1;
        thread::sleep(Duration::from_micros(20));
    }
    most
}

/// Resident bytes of the process.
fn rss() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.unwrap().parse::<u64>().unwrap() * 1024
}
