//! Many clients at once, on real threads: nobody ever sees what was true before his own write.

use crate::support::*;
use cache_layer::{Cache, CacheLayer, ResponseBody};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Response;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt, service_fn};

const KEYS: usize = 8;
const CLIENTS: u64 = 16;
const ROUNDS: u64 = 400;

/// xorshift: the same schedule of choices in each run, whatever the threads make of it.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_that_is_answered_is_seen_by_every_later_read() {
    let versions: Arc<[AtomicU64; KEYS]> = Arc::default();
    // What clients know to be written: a read that starts later must see at least this.
    let known: Arc<[AtomicU64; KEYS]> = Arc::default();
    let origin = {
        let versions = Arc::clone(&versions);
        BoxCloneSyncService::new(service_fn(move |request: OriginRequest| {
            let versions = Arc::clone(&versions);
            async move {
                let key: usize = request.uri().path()[1..].parse().unwrap();
                if request.method() == "POST" {
                    tokio::task::yield_now().await;
                    let version = versions[key].fetch_add(1, Ordering::SeqCst) + 1;
                    return Ok::<_, BoxError>(answer(&[], version.to_string()));
                }
                let version = versions[key].load(Ordering::SeqCst);
                tokio::task::yield_now().await;
                let kind = match version % 5 {
                    0 => ("cache-control", "private"),
                    _ => FRESH,
                };
                let (script, body) = Script::new();
                tokio::spawn(async move {
                    // In pieces, padded to different sizes, so that fills overlap everything else.
                    script.data(format!("{version}"));
                    tokio::task::yield_now().await;
                    script.data(" ".repeat(version as usize % 3000));
                });
                Ok(head(&[kind], body))
            }
        }))
    };
    let layer = CacheLayer::new(64 * 1024).max_entry_bytes(2048);
    let handle = layer.handle();
    let cache = layer.layer(origin);

    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (cache, known, handle) = (cache.clone(), Arc::clone(&known), handle.clone());
        clients.push(tokio::spawn(async move {
            let mut choices = Choices(client + 1);
            for _ in 0..ROUNDS {
                let key = choices.below(KEYS as u64) as usize;
                match choices.below(20) {
                    0 => {
                        let version = text(send(&cache, "POST", key)).await;
                        known[key].fetch_max(version.unwrap(), Ordering::SeqCst);
                    }
                    1 => assert!(handle.purge(&format!("http://a/{key}").parse().unwrap())),
                    2 => handle.clear(),
                    3 => assert!(handle.reclaim(choices.below(40_000)) <= 200_000),
                    // Leaves at some point of the way.
                    4..8 => {
                        let patience = Duration::from_micros(choices.below(300));
                        let _ = tokio::time::timeout(patience, send(&cache, "GET", key)).await;
                    }
                    _ => {
                        let least = known[key].load(Ordering::SeqCst);
                        let seen = text(send(&cache, "GET", key)).await;
                        let seen = seen.expect("no reader is slow enough to be cut off");
                        assert!(seen >= least, "read {seen} after {least} was written");
                    }
                }
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    // Fills that lost their clients end by themselves: nothing keeps their bodies open.
    while handle.stats().filling > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    handle.reclaim(u64::MAX);
    soon_holds_at_most(&handle, 0);
}

type Below = BoxCloneSyncService<OriginRequest, OriginResponse, BoxError>;

type Sent = BoxFuture<'static, Result<Response<ResponseBody<ScriptBody>>, BoxError>>;

/// Boxed here, where the compiler sees that the service lives for ever.
fn send(cache: &Cache<Below>, method: &str, key: usize) -> Sent {
    cache
        .clone()
        .oneshot(request(method, &format!("http://a/{key}"), &[]))
        .boxed()
}

async fn text(response: Sent) -> Result<u64, String> {
    let response = response.await.map_err(|error| error.to_string())?;
    let body = read(response).await.body?;
    let text = std::str::from_utf8(&body).map_err(|error| error.to_string())?;
    text.trim_end().parse().map_err(|_| text.to_owned())
}
