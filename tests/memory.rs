//! The memory guard over the wire: what is refused, what is not, and what gives way first.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes as WholeBody,
    routing::{get, post},
};
use bytes::Bytes;
use cache_layer::CacheLayer;
use end_to_end::{
    body,
    client::{Answer, Client},
    serve::Server,
    wait::until,
};
use http::{Request, StatusCode};
use memguard_layer::{Level, MemGuardHandle, MemGuardLayer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceBuilder;

const KIB: usize = 1 << 10;

/// A guarded upload service and the heap it believes in.
struct Guarded {
    server: Server,
    handle: MemGuardHandle,
    heap: Arc<AtomicU64>,
    /// Uploads whose handler has seen the whole body.
    taken: Arc<AtomicUsize>,
}

/// Guards `POST /upload`, which takes the whole body, with 1 MiB; `/healthz` is exempt.
async fn guarded() -> Guarded {
    let (heap, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
    let (source, counter) = (heap.clone(), taken.clone());
    let guard = MemGuardLayer::new(1 << 20)
        .source(move || source.load(Ordering::SeqCst))
        .exempt(|head| head.uri.path() == "/healthz");
    let handle = guard.handle();
    let upload = move |body: WholeBody| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move { body.len().to_string() }
    };
    let router = Router::new()
        .route("/upload", post(upload))
        .route("/healthz", get(|| async { "ok" }))
        .layer(guard);
    Guarded {
        server: Server::axum(router).await,
        handle,
        heap,
        taken,
    }
}

impl Guarded {
    async fn upload(&self, body: body::Body) -> Answer {
        let request = Request::post(self.server.url("/upload"))
            .body(body)
            .expect("valid");
        Client::http1().fetch(request).await.expect("an answer")
    }

    /// Nothing is promised once the server has let go of the request.
    async fn all_given_back(&self) {
        until("nothing is promised", async || self.handle.reserved() == 0).await;
    }
}

#[tokio::test]
async fn a_length_that_does_not_fit_is_refused_before_the_handler_runs() {
    let guarded = guarded().await;
    let fits = guarded.upload(body::full(vec![0; 400 * KIB])).await;
    assert_eq!((fits.status, fits.text()), (StatusCode::OK, "409600"));

    // The same body, when half of the budget is in use.
    guarded.heap.store(512 << 10, Ordering::SeqCst);
    let refused = guarded.upload(body::full(vec![0; 400 * KIB])).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    let seconds = refused.field("retry-after").map(str::parse);
    assert!(matches!(seconds, Some(Ok(1..=3))), "{seconds:?}");
    let never_fits = guarded.upload(body::full(vec![0; 2048 * KIB])).await;
    assert_eq!(never_fits.status, StatusCode::PAYLOAD_TOO_LARGE);

    assert_eq!(guarded.taken.load(Ordering::SeqCst), 1);
    assert_eq!(guarded.handle.rejected(), 2);
    guarded.all_given_back().await;
}

#[tokio::test]
async fn a_body_without_length_that_outgrows_the_room_gets_the_guards_answer() {
    let guarded = guarded().await;
    // Much of the budget is in use, then nothing: now there is no room, or there will never be. This heap does not count
    // the frames, so that with half of it in use a body could grow until it is too large by itself.
    for (heap, status) in [
        (768 << 10, StatusCode::SERVICE_UNAVAILABLE),
        (0, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        guarded.heap.store(heap, Ordering::SeqCst);
        let (mut feed, body) = body::fed();
        let answer = guarded.upload(body);
        let feeding = async {
            // Until the server stops reading.
            while feed.send_data(Bytes::from(vec![0; 64 * KIB])).await.is_ok() {}
        };
        let (refused, ()) = tokio::join!(answer, feeding);
        // axum's extractor makes a 400 of a broken body; the client is told what really happened.
        assert_eq!(refused.status, status, "{}", refused.text());
        assert_eq!(
            refused.field("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(guarded.taken.load(Ordering::SeqCst), 0);
        guarded.all_given_back().await;
    }

    let (mut feed, body) = body::fed();
    let feeding = async {
        for _ in 0..4 {
            feed.send_data(Bytes::from(vec![0; 64 * KIB]))
                .await
                .expect("the server reads");
        }
        drop(feed);
    };
    let (fits, ()) = tokio::join!(guarded.upload(body), feeding);
    assert_eq!((fits.status, fits.text()), (StatusCode::OK, "262144"));
}

#[tokio::test]
async fn health_checks_pass_when_nothing_else_does() {
    let guarded = guarded().await;
    guarded.heap.store(1 << 20, Ordering::SeqCst);
    assert_eq!(guarded.handle.level(), Level::Hard);
    let client = Client::http1();
    let (other, health) = (guarded.server.url("/other"), guarded.server.url("/healthz"));
    assert_eq!(
        client.get(&other).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(client.get(&health).await.text(), "ok");
    guarded.heap.store(0, Ordering::SeqCst);
    assert_eq!(
        client.get(&other).await.status,
        StatusCode::NOT_FOUND,
        "it serves again"
    );
}

#[tokio::test]
async fn the_cache_gives_way_before_anybody_is_refused() {
    const ENTRIES: u64 = 48;
    let cache = CacheLayer::new(16 << 20);
    let (source, reclaim, handle) = (cache.handle(), cache.handle(), cache.handle());
    // The heap is what the cache holds: 3 MiB of a budget of 4 MiB.
    let guard = MemGuardLayer::new(4 << 20)
        .source(move || source.stats().bytes)
        .reclaim_with(move |bytes| reclaim.reclaim(bytes));
    let guarded = guard.handle();
    let page = || async { ([("cache-control", "max-age=60")], vec![b'x'; 64 * KIB]) };
    let router = Router::new()
        .route("/page/{n}", get(page))
        .route(
            "/upload",
            post(|body: WholeBody| async move { body.len().to_string() }),
        )
        .layer(ServiceBuilder::new().layer(guard).layer(cache));
    let server = Server::axum(router).await;
    let client = Client::http1();
    for n in 0..ENTRIES {
        client.get(&server.url(&format!("/page/{n}"))).await;
    }
    assert_eq!(handle.stats().entries, ENTRIES);
    let before = handle.stats().bytes;
    assert!(before > 3 << 20, "{before}");

    let upload = Request::post(server.url("/upload"))
        .body(body::full(vec![0; 1 << 20]))
        .expect("valid");
    let answer = client.fetch(upload).await.expect("an answer");

    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "1048576"));
    assert_eq!(guarded.rejected(), 0);
    // The upload went on when it had its room; the round ends a little later.
    until("the round ends", async || {
        guarded.stats().reclaim_rounds == 1
    })
    .await;
    let after = handle.stats();
    assert!(
        after.bytes <= 2 << 20,
        "{} of {before} bytes are left",
        after.bytes
    );
    assert!(after.entries > 0, "no more was taken than was asked for");
    assert_eq!(guarded.stats().reclaimed, before - after.bytes);
}

/// Uploads stay in memory while a full cache serves its pages; whoever asks for a hot one keeps asking.
#[tokio::test]
async fn a_full_cache_gives_all_but_its_floor_before_the_first_refusal() {
    const PAGE: u64 = 64 << 10;
    const HOT: u64 = 16;
    const FLOOR: u64 = 32 * PAGE;
    let cache = CacheLayer::new(12 << 20);
    let (source, reclaim, handle) = (cache.handle(), cache.handle(), cache.handle());
    let load = Arc::new(AtomicU64::new(0));
    let (kept, uploaded) = (load.clone(), load.clone());
    let guard = MemGuardLayer::new(16 << 20)
        .source(move || source.stats().bytes + kept.load(Ordering::SeqCst))
        .reclaim_with(move |bytes| {
            let spare = reclaim.stats().bytes.saturating_sub(FLOOR);
            reclaim.reclaim(bytes.min(spare))
        });
    let guarded = guard.handle();
    let page = || async { ([("cache-control", "max-age=60")], vec![b'x'; PAGE as usize]) };
    let upload = move |body: WholeBody| async move {
        uploaded.fetch_add(body.len() as u64, Ordering::SeqCst);
    };
    let router = Router::new()
        .route("/page/{n}", get(page))
        .route("/upload", post(upload))
        .layer(ServiceBuilder::new().layer(guard).layer(cache));
    let server = Server::axum(router).await;
    let client = Client::http1();
    let mut level = guarded.watch();
    let changes = Arc::new(AtomicUsize::new(0));
    let counter = changes.clone();
    tokio::spawn(async move {
        while level.changed().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    // How many of the hot pages are in the cache, or that one was refused.
    let hot = async || {
        let mut hits = 0;
        for n in 0..HOT {
            let answer = client.get(&server.url(&format!("/page/{n}"))).await;
            if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                return None;
            }
            hits += u64::from(answer.field("cache-status") == Some("cache-layer; hit"));
        }
        Some(hits)
    };
    for n in 0..500 {
        client.get(&server.url(&format!("/page/{n}"))).await;
        if n % 50 == 0 {
            hot().await;
        }
    }
    assert!(handle.stats().bytes > 11 << 20, "the cache is full");

    while let Some(hits) = hot().await {
        assert_eq!(hits, HOT, "hot pages are kept");
        let body = body::full(vec![0; 256 * KIB]);
        let upload = Request::post(server.url("/upload"))
            .body(body)
            .expect("valid");
        let answer = client.fetch(upload).await.expect("an answer");
        if answer.status != StatusCode::OK {
            break;
        }
    }
    let (cached, load) = (handle.stats().bytes, load.load(Ordering::SeqCst));
    assert!(
        cached < FLOOR + PAGE + PAGE / 8,
        "{cached} bytes cached still"
    );
    assert!(
        cached + load + (512 << 10) > 15 << 20,
        "{cached} and {load} of 16 MiB are used"
    );
    assert_eq!(guarded.rejected(), 1);
    let changes = changes.load(Ordering::SeqCst);
    assert!(
        (3..=6).contains(&changes),
        "the level changed {changes} times"
    );
}

/// What a client reads after it has sent `head`, until the server has nothing more to say for now.
async fn converse(stream: &mut TcpStream, text: &str, ends_with: &str) -> String {
    stream.write_all(text.as_bytes()).await.expect("it listens");
    let mut answer = Vec::new();
    while !answer.ends_with(ends_with.as_bytes()) {
        if stream.read_buf(&mut answer).await.expect("readable") == 0 {
            break;
        }
    }
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn a_client_that_expects_100_continue_is_refused_before_it_sends_the_body() {
    let guarded = guarded().await;
    let head = "POST /upload HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 400000\r\n\r\n";
    let mut stream = TcpStream::connect(guarded.server.addr())
        .await
        .expect("it listens");
    let go_on = converse(&mut stream, head, "\r\n\r\n").await;
    assert!(go_on.starts_with("HTTP/1.1 100 "), "{go_on}");
    let taken = converse(&mut stream, &"x".repeat(400_000), "400000").await;
    assert!(taken.starts_with("HTTP/1.1 200 "), "{taken}");

    guarded.heap.store(512 << 10, Ordering::SeqCst);
    let refused = converse(&mut stream, head, "no such end").await;
    let refused = refused.to_ascii_lowercase();
    assert!(refused.starts_with("http/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nconnection: close\r\n"), "{refused}");
    assert_eq!(guarded.taken.load(Ordering::SeqCst), 1);
    guarded.all_given_back().await;
}
