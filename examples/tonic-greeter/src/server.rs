//! The layers around the greeter, and the server's life.

use std::time::Duration;

use memguard_layer::MemGuardLayer;
use ratelimit_layer::{ConcurrencyLimitLayer, RateLimitLayer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::ServiceBuilder;

use crate::flags::Flags;
use crate::greeter::Polite;
use crate::helloworld::greeter_server::GreeterServer;

/// How long calls in flight may take to end once the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A client that vanished without a word is gone after two of these.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves the connections of `listener` until `stop` completes, then lets calls in flight end
/// within ten seconds.
///
/// # Errors
///
/// When the server cannot go on.
pub async fn serve(
    flags: &Flags,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    // From the outside in: what is refused for want of memory costs no quota.
    let layers = ServiceBuilder::new()
        .layer(MemGuardLayer::new(flags.heap_budget.as_u64()))
        .layer(RateLimitLayer::new(flags.rate).with_key(flags.client.key()))
        .layer(ConcurrencyLimitLayer::new(flags.concurrency.get()).with_key(flags.client.key()))
        .into_inner();
    let (stopping, mut stopped) = watch::channel(());
    let server = Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .layer(layers)
        .add_service(GreeterServer::new(Polite))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async move {
                stop.await;
                drop(stopping);
            },
        );
    let grace = async {
        let _ = stopped.changed().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server => ended,
        () = grace => Ok(()),
    }
}
