//! Memory: bounds that hold at every moment, on real threads, and nothing that grows with time.

use crate::support::*;
use cache_layer::{Cache, CacheHandle, CacheLayer, Eviction};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

const BOUND: u64 = 1 << 20;

const ALL: [Eviction; 3] = [Eviction::TinyLfu, Eviction::Lru, Eviction::SoonestToExpire];

/// Answers of so many bytes as the last part of the path says.
fn sizes() -> Origin {
    Origin::new(|_, request| {
        let size = request.uri().path().rsplit('/').next().unwrap();
        answer(&[FRESH], vec![b'x'; size.parse().unwrap()])
    })
}

async fn is_held(cache: &Cache<Origin>, uri: &str) -> bool {
    let asked = request("GET", uri, &[("cache-control", "only-if-cached")]);
    ask(cache, asked).await.status == 200
}

async fn held(cache: &Cache<Origin>, uris: &[String]) -> usize {
    let mut held = 0;
    for uri in uris {
        held += usize::from(is_held(cache, uri).await);
    }
    held
}

/// Looks at the books as often as it can until it is told to stop; the most that it saw.
fn watch(handle: CacheHandle) -> impl FnOnce() -> u64 {
    let done = Arc::new(AtomicBool::new(false));
    let watched = Arc::clone(&done);
    let watcher = thread::spawn(move || {
        let mut most = 0;
        while !watched.load(Ordering::Relaxed) {
            most = most.max(handle.stats().bytes);
            thread::yield_now();
        }
        most
    });
    move || {
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_fills_at_once_stay_within_the_bound() {
    for eviction in ALL {
        // In pieces, while others come in between: what is on its way counts too.
        let origin = Origin::new(|call, _| {
            let (script, body) = Script::new();
            tokio::spawn(async move {
                for _ in 0..call % 20 {
                    if !script.data(vec![b'x'; 4096]) {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            });
            head(&[FRESH], body)
        });
        let layer = CacheLayer::new(BOUND).eviction(eviction);
        let (cache, stop) = (layer.layer(origin), watch(layer.handle()));
        let client = |client: u64| {
            let cache = cache.clone();
            async move {
                for n in 0..150 {
                    let uri = format!("http://a/{client}/{n}");
                    assert!(ask(&cache, get(&uri)).await.body.is_ok());
                }
            }
        };
        let clients: Vec<_> = (0..32).map(|n| tokio::spawn(client(n))).collect();
        for client in clients {
            client.await.unwrap();
        }
        let most = stop();
        assert!(most > BOUND / 2, "{eviction:?}: the room is used: {most}");
        assert!(most <= BOUND * 5 / 4, "{eviction:?}: {most} of {BOUND}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_once_does_not_drive_out_what_is_asked_for_often() {
    let layer = CacheLayer::new(BOUND).eviction(Eviction::TinyLfu);
    let cache = layer.layer(sizes());
    let hot: Vec<_> = (0..60).map(|n| format!("http://a/{n}/4000")).collect();
    for _ in 0..4 {
        for uri in &hot {
            ask(&cache, get(uri)).await;
        }
    }
    assert_eq!(held(&cache, &hot).await, hot.len());
    // More come between two requests for a hot one than there is room for.
    for n in 0..5_000 {
        ask(&cache, get(&format!("http://a/once/{n}/4000"))).await;
        if n % 5 == 0 {
            ask(&cache, get(&hot[n / 5 % hot.len()])).await;
        }
    }
    let left = held(&cache, &hot).await;
    assert!(left * 100 >= hot.len() * 97, "{left} left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overwriting_on_many_threads_grows_nothing() {
    let (cache, handle) = cached(&Origin::new(|call, _| {
        answer(&[FRESH], vec![b'x'; 500 + call % 7 * 100])
    }));
    let overwrite = |times: usize| {
        let cache = cache.clone();
        tokio::spawn(async move {
            for n in 0..times {
                let uri = format!("http://a/{}", n % 10);
                ask(
                    &cache,
                    request("GET", &uri, &[("cache-control", "no-cache")]),
                )
                .await;
            }
        })
    };
    overwrite(10).await.unwrap();
    let smallest = 10 * 500;
    let largest = handle.stats().bytes - smallest + 10 * 1100;
    let clients: Vec<_> = (0..8).map(|_| overwrite(1000)).collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(handle.stats().entries, 10);
    soon_holds_at_most(&handle, largest);
}

#[tokio::test(start_paused = true)]
async fn keys_that_come_and_expire_grow_nothing() {
    let short = ("cache-control", "max-age=1, must-revalidate");
    let (cache, handle) = cached(&Origin::new(move |_, _| answer(&[short], "x")));
    let mut first = 0;
    for round in 0..30 {
        for n in 0..100 {
            ask(&cache, get(&format!("http://a/{round:02}/{n:02}"))).await;
        }
        let stats = handle.stats();
        if round == 0 {
            first = stats.bytes;
        }
        assert_eq!((stats.entries, stats.bytes), (100, first), "round {round}");
        advance(Duration::from_secs(61)).await;
        // A miss, upon which the dead are swept out, on a thread of its own.
        ask(&cache, get("http://a/another")).await;
        while handle.stats().entries > 1 {
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        }
        assert!(handle.purge(&"http://a/another".parse().unwrap()));
        soon_holds_at_most(&handle, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn reclaim_in_slices_spares_the_hot_to_the_last() {
    for eviction in [Eviction::TinyLfu, Eviction::Lru] {
        let layer = CacheLayer::new(8 * BOUND).eviction(eviction);
        let (cache, handle) = (layer.layer(sizes()), layer.handle());
        // Old and new, hot and cold, large and small: none of it goes with another.
        let uri = |n: usize| format!("http://a/{n}/{}", [1000, 20_000, 9000][n % 3]);
        let all: Vec<_> = (0..400).map(uri).collect();
        for uri in &all {
            ask(&cache, get(uri)).await;
        }
        let hot: Vec<_> = all.iter().step_by(4).cloned().collect();
        for _ in 0..4 {
            for uri in &hot {
                assert_eq!(ask(&cache, get(uri)).await.cache(), "hit");
            }
        }
        let slice = handle.stats().bytes / 15;
        for _ in 0..10 {
            let before = handle.stats().bytes;
            let freed = handle.reclaim(slice);
            assert_eq!(before - handle.stats().bytes, freed, "{eviction:?}");
            assert!(
                (slice..slice + 25_000).contains(&freed),
                "{eviction:?}: {freed} of {slice}"
            );
        }
        let cold = held(&cache, &all).await - held(&cache, &hot).await;
        assert_eq!(held(&cache, &hot).await, hot.len(), "{eviction:?}");
        assert!(cold < 100, "{eviction:?}: {cold} cold ones left");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_being_read_is_not_freed() {
    let layer = CacheLayer::new(BOUND);
    let (cache, handle) = (layer.layer(sizes()), layer.handle());
    for n in 0..10 {
        ask(&cache, get(&format!("http://a/{n}/4000"))).await;
    }
    let before = handle.stats().bytes;
    let Ok(read_later) = cache.clone().oneshot(get("http://a/3/4000")).await;
    let freed = handle.reclaim(u64::MAX);
    let left = handle.stats().bytes;
    assert_eq!(freed, before - left);
    assert!((4000..before / 5).contains(&left), "{left} of {before}");
    assert!(!is_held(&cache, "http://a/3/4000").await);
    assert_eq!(read(read_later).await.body.unwrap().len(), 4000);
    soon_holds_at_most(&handle, 0);
}
