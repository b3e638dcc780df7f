//! Hits by one thread and by two: what they share makes them wait for each other.

use crate::support::compare::median;
use crate::support::{Origin, Prebuilt, call, fill, request, uris};
use bytes::Bytes;
use cache_layer::CacheLayer;
use http::{Request, Uri};
use http_body_util::Full;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;
use tower::{Layer, Service, ServiceExt};

pub(crate) fn run(quick: bool) {
    let (rounds, hits) = if quick { (5, 100_000) } else { (41, 200_000) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let keys = 10_000;
    let cache = CacheLayer::new(64 << 20).layer(Origin::new(1024));
    runtime.block_on(fill(&cache, &uris(keys)));
    let stored = runtime
        .block_on(cache.clone().oneshot(request(&uris(1)[0])))
        .unwrap();
    // Of its own for each thread: nothing is shared, but the machine.
    let headers = stored.headers().clone();
    let floor = || Prebuilt::new(headers.clone(), Bytes::from(vec![b'x'; 1024]));
    let ours = || cache.clone();

    let mut rates = [[(); 2]; 3].map(|threads| threads.map(|()| Vec::new()));
    for _ in 0..rounds {
        for (n, threads) in [1, 2].into_iter().enumerate() {
            rates[0][n].push(rate(floor, threads, 1, hits));
            rates[1][n].push(rate(ours, threads, 1, hits));
            rates[2][n].push(rate(ours, threads, keys, hits));
        }
    }
    println!("\n| hits, {rounds} rounds in turns | 1 thread | 2 threads | ratio |");
    println!("| --- | ---: | ---: | ---: |");
    let names = ["floor: a prebuilt response each", "one key", "10,000 keys"];
    for (name, [one, two]) in names.into_iter().zip(rates) {
        let ratios = one.iter().zip(&two).map(|(one, two)| two / one).collect();
        let (one, two, ratio) = (median(one), median(two), median(ratios));
        println!("| {name} | {one:.2} M/s | {two:.2} M/s | {ratio:.2} |");
    }
}

/// Hits of all threads together, in millions a second.
fn rate<S>(service: impl Fn() -> S, threads: usize, keys: usize, hits: usize) -> f64
where
    S: Service<Request<Full<Bytes>>> + Send,
{
    let (begin, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    thread::scope(|scope| {
        for n in 0..threads {
            // URIs of its own: their clones count on shared memory.
            let (mut service, uris) = (service(), uris(keys));
            let (begin, end) = (&begin, &end);
            scope.spawn(move || {
                let offset = n * keys / 2;
                let ask = |service: &mut S, hits: usize| {
                    let asked = |n| -> &Uri { &uris[(offset + n * 7) % uris.len()] };
                    (0..hits).for_each(|n| call(service, asked(n)));
                };
                ask(&mut service, hits / 10);
                begin.wait();
                ask(&mut service, hits);
                end.wait();
            });
        }
        begin.wait();
        let start = Instant::now();
        end.wait();
        (threads * hits) as f64 / start.elapsed().as_secs_f64() / 1e6
    })
}
