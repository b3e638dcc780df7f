//! The server, with one handler for each kind of load.

use std::{net::Ipv4Addr, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use memguard_layer::{MemGuardHandle, MemGuardLayer, heap, purge};
use serde_json::Value;
use tokio::{net::TcpSocket, runtime::Builder, time::sleep};
use tower::ServiceBuilder;
use tower_http::decompression::RequestDecompressionLayer;

use super::{Arm, BUDGET, check::Report, grpc, process::settle};

/// What `/page` answers with.
pub(super) const PAGE: usize = 1 << 20;

/// A tree of the smallest objects takes up to 126 times its text, which is there as well: as it came, and joined.
const TREE: u32 = 130;

/// How long a handler waits for others, a database for one.
const ELSEWHERE: Duration = Duration::from_millis(50);

/// Becomes the server and stays it, if this process was started as one; to be called first of all.
pub(crate) fn serve_if_child() {
    if let Some(arm) = settle() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            // Some handlers hold a worker for milliseconds: a look at the sockets after a few of them, not after 61.
            .event_interval(4)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(serve(arm));
    }
}

async fn serve(arm: Arm) {
    let guard = MemGuardLayer::new(BUDGET)
        .exempt(|head| head.uri.path() == "/healthz")
        .body_factor_by(|head| match head.uri.path() {
            "/json" => TREE,
            _ => 2,
        })
        .handler_bytes(|head| match head.uri.path() {
            "/page" => PAGE as u64,
            _ => 0,
        })
        .purge_with(purge::glibc);
    let handle = guard.handle();
    let routes = Router::new()
        .route("/upload", post(take))
        .route("/page", get(page))
        .route(grpc::PATH, post(grpc::put))
        .route("/healthz", get(async move || report(&handle)));
    let unpacks = RequestDecompressionLayer::new();
    let json = Router::new().route("/json", post(parse));
    let app = match arm {
        Arm::Unguarded => routes.merge(json.layer(unpacks)),
        Arm::Exact => routes.merge(json.layer(unpacks)).layer(from_fn(exact)),
        // What bombs unpack to is what is metered.
        Arm::Guarded => {
            let json = json.layer(ServiceBuilder::new().layer(unpacks).layer(guard.clone()));
            routes.layer(guard).merge(json)
        }
    };
    let listener = narrow_socket();
    listener
        .bind((Ipv4Addr::LOCALHOST, 0).into())
        .expect("a free port");
    let listener = listener.listen(2048).expect("it listens");
    println!("listening {}", listener.local_addr().expect("bound"));
    let app = app.layer(DefaultBodyLimit::disable());
    axum::serve(listener, app)
        .await
        .expect("axum serves until the process ends");
}

/// With buffers of 16 KiB, so that what a client has sent is in the server's memory and not in the kernel's.
pub(super) fn narrow_socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    for set in [
        TcpSocket::set_send_buffer_size,
        TcpSocket::set_recv_buffer_size,
    ] {
        set(&socket, 16 << 10).expect("a socket has buffers");
    }
    socket
}

fn report(handle: &MemGuardHandle) -> String {
    let report = Report {
        peak: heap::peak().unwrap_or(0),
        reserved: handle.reserved(),
    };
    report.text()
}

async fn take(body: Bytes) -> String {
    body.len().to_string()
}

async fn page() -> Vec<u8> {
    sleep(ELSEWHERE).await;
    vec![b'x'; PAGE]
}

async fn parse(Json(tree): Json<Value>) -> String {
    sleep(ELSEWHERE).await;
    tree.as_array().map_or(0, Vec::len).to_string()
}

/// The guard that is not enough: the heap is known to the byte, but not what has been let in and is still to come.
async fn exact(request: Request, next: Next) -> Response {
    let is_full = heap::allocated().unwrap_or(0) > BUDGET;
    if is_full && request.uri().path() != "/healthz" {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}
