//! A small JSON API behind all three layers, their handles in axum's state.

mod adaptive;
mod allocator;
mod cache;
mod client;
mod flags;
mod listen;
mod rate;

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Extension, Json, Router};
use cache_layer::{CacheHandle, CacheLayer, CachePolicy};
use flags::Flags;
use memguard_layer::{MemGuardHandle, MemGuardLayer};
use ratelimit_layer::{ConcurrencyHandle, ConcurrencyLimitLayer, RateLimitHandle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What the handlers share: the items, and the layers' handles.
#[derive(Clone, Debug)]
struct Api {
    items: Arc<Mutex<Vec<Item>>>,
    cache: Option<CacheHandle>,
    rate: RateLimitHandle,
    concurrency: ConcurrencyHandle,
    guard: MemGuardHandle,
}

#[derive(Clone, Debug, Serialize)]
struct Item {
    id: usize,
    name: String,
    version: u64,
}

/// As many items as there ever are: a service that must not die of memory holds no open-ended map.
const ITEMS: usize = 1_000;
const LONGEST_NAME: usize = 100;

fn app(flags: &Flags) -> Router {
    let mut concurrency = ConcurrencyLimitLayer::new(flags.concurrency.get())
        .with_key(flags.client.key())
        .wait(flags.concurrency.get(), *flags.concurrency_wait);
    if let Some(limit) = flags.adaptive.limit() {
        concurrency = concurrency.adaptive(limit);
    }
    let mut guard = MemGuardLayer::new(flags.heap_budget.as_u64()).purge_with(allocator::give_back);
    if let Some(directory) = &flags.profile_directory {
        guard = guard
            .profile_at_hard(directory)
            .expect("the flag was checked");
    }
    let cache = cache::layer(flags, &guard.handle());
    if let Some(cache) = cache.as_ref().map(CacheLayer::handle) {
        guard = guard.reclaim_with(move |bytes| cache.reclaim(bytes));
    }
    let rate = rate::layer(&flags.rate, flags.dry_run).expect("the flag has a default");
    let rate = rate::scaled(rate, guard.handle()).with_key(flags.client.key());

    let item = |id| Item {
        id,
        name: format!("item {id}"),
        version: 1,
    };
    let api = Api {
        items: Arc::new(Mutex::new((0..ITEMS).map(item).collect())),
        cache: cache.as_ref().map(CacheLayer::handle),
        rate: rate.handle(),
        concurrency: concurrency.handle(),
        guard: guard.handle(),
    };
    let mut app = Router::new()
        .route("/items", get(list_items))
        .route("/items/{id}", get(read_item).post(write_item))
        .route("/me", get(me))
        .route(
            "/upload",
            post(upload).layer(DefaultBodyLimit::max(8 << 20)),
        );
    // Each `layer` goes around those before it: the guard is the outermost.
    if let Some(cache) = cache {
        app = app.layer(cache);
    }
    // Routes added after the layers are outside all of them.
    let mut app = app.layer(concurrency).layer(rate).layer(guard);
    if flags.pprof {
        app = app.route("/debug/pprof/heap", get(heap_profile));
    }
    app.route("/stats", get(stats))
        .route("/graphs", get(Html(include_str!("graphs.html"))))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(api)
}

/// Slow on purpose: the cache is what makes it fast.
async fn read_item(State(api): State<Api>, Path(id): Path<usize>) -> Response {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let items = api.items.lock().expect("no holder panics");
    match items.get(id) {
        Some(item) => ([(CACHE_CONTROL, "public, max-age=30")], Json(item)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Which items: ten from `from` on.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    from: usize,
}

/// Every write changes some page, so a handler's word to the cache beats the fields here: pages are
/// kept in it, not in browsers, and a write finds them all by their tag.
async fn list_items(State(api): State<Api>, Query(page): Query<Page>) -> Response {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let policy = CachePolicy::new()
        .ttl(Duration::from_secs(30))
        .stale_while_revalidate(Duration::from_secs(30))
        .tag("items");
    let items = api.items.lock().expect("no holder panics");
    let page = items.iter().skip(page.from).take(10).cloned().collect();
    (
        Extension(policy),
        [(CACHE_CONTROL, "no-store")],
        Json::<Vec<Item>>(page),
    )
        .into_response()
}

#[derive(Debug, Deserialize)]
struct NewName {
    name: String,
}

/// The cache sees a successful POST and forgets what it stored for the same URI; of the pages it has
/// to be told.
async fn write_item(
    State(api): State<Api>,
    Path(id): Path<usize>,
    Json(new): Json<NewName>,
) -> Response {
    if new.name.len() > LONGEST_NAME {
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            "a name has 100 bytes at most\n",
        )
            .into_response();
    }
    let mut items = api.items.lock().expect("no holder panics");
    let Some(item) = items.get_mut(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    item.name = new.name;
    item.version += 1;
    if let Some(cache) = &api.cache {
        cache.purge_tag("items");
    }
    Json(&*item).into_response()
}

/// Differs by client, so it says `private` and no shared cache stores it.
async fn me(headers: HeaderMap) -> Response {
    let user = match headers.get(AUTHORIZATION).map(|value| value.as_bytes()) {
        Some(b"Bearer alices-token") => "alice",
        Some(b"Bearer bobs-token") => "bob",
        _ => return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response(),
    };
    ([(CACHE_CONTROL, "private")], Json(json!({ "user": user }))).into_response()
}

/// Takes the whole body into memory: what the guard makes room for, or refuses.
async fn upload(body: Bytes) -> Json<Value> {
    let digest: String = Sha256::digest(&body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Json(json!({ "length": body.len(), "sha256": digest }))
}

async fn stats(State(api): State<Api>) -> Json<Value> {
    let (rate, concurrency, guard) = (api.rate.stats(), api.concurrency.stats(), api.guard.stats());
    Json(json!({
        "cache": api.cache.map(|cache| {
            let cache = cache.stats();
            json!({
                "hits": cache.hits,
                "misses": cache.misses,
                "collapsed": cache.collapsed,
                "bypassed": cache.bypassed,
                "kept_out": cache.kept_out,
                "entries": cache.entries,
                "bytes": cache.bytes,
            })
        }),
        "rate": {
            "allowed": rate.allowed,
            "refused": rate.refused,
            "would_refuse": rate.policies.iter().map(|policy| policy.would_refuse).sum::<u64>(),
        },
        "concurrency": {
            "in_flight": concurrency.in_flight,
            "waiting": concurrency.waiting,
            "adaptive_limit": concurrency.adaptive_limit,
            "admitted": concurrency.admitted,
            "refused": concurrency.refused,
        },
        "memory": {
            "level": format!("{:?}", guard.level).to_lowercase(),
            "heap": guard.heap,
            "reserved": guard.reserved,
            "budget": guard.budget,
            "rejected": guard.rejected,
        },
    }))
}

/// Whether a load balancer should send requests here.
async fn ready(State(api): State<Api>) -> (StatusCode, &'static str) {
    match api.guard.ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "short of memory\n"),
    }
}

/// Where the memory went, for `go tool pprof`.
async fn heap_profile() -> Response {
    match memguard_layer::heap_profile().await {
        Ok(profile) => (
            [
                (CONTENT_TYPE, "application/octet-stream"),
                (CACHE_CONTROL, "no-store"),
            ],
            profile,
        )
            .into_response(),
        Err(why) => (StatusCode::NOT_IMPLEMENTED, format!("{why}\n")).into_response(),
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let flags = Flags::read();
    let listeners = listen::bind(&flags.listen).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        std::process::exit(1);
    });
    let addresses = listeners.iter().map(TcpListener::local_addr);
    let addresses: Vec<SocketAddr> = addresses.collect::<io::Result<_>>()?;
    let names: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    println!(
        "axum-api on http://{}; try it, twice:",
        names.join(" and on http://")
    );
    println!("  curl -i http://{}/items/1", names[0]);
    println!("  curl -s http://{}/stats", names[0]);

    let service = app(&flags).into_make_service_with_connect_info::<SocketAddr>();
    let (stop, stopped) = tokio::sync::watch::channel(());
    let mut servers = JoinSet::new();
    for listener in listeners {
        let listener = listener.tap_io(|stream| {
            // Only costs latency if it fails.
            let _ = stream.set_nodelay(true);
        });
        let mut stopped = stopped.clone();
        let server = axum::serve(listener, service.clone()).with_graceful_shutdown(async move {
            let _ = stopped.changed().await;
        });
        servers.spawn(server.into_future());
    }
    stop_signal().await;
    drop(stop);
    // Whoever is not done by then is cut off.
    let _ = tokio::time::timeout(Duration::from_secs(10), servers.join_all()).await;
    Ok(())
}

/// Completes at SIGTERM or Ctrl-C.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be handled");
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}

#[cfg(test)]
mod tests;
