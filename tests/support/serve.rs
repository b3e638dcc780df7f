//! Servers on `127.0.0.1:0` that stop accepting when they are dropped.

use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::transport::server::TcpIncoming;
use tower::{Service, ServiceExt};

use crate::BoxError;

/// A running server; dropping it closes its listener.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves an axum router, HTTP/1 and HTTP/2, with the peer's address as `ConnectInfo`.
    pub async fn axum(router: Router) -> Self {
        let (listener, addr) = listen().await;
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move {
            axum::serve(listener, service).await.expect("axum serves");
        });
        Self { addr, task }
    }

    /// Serves a tower service with hyper alone, HTTP/1 and HTTP/2; the peer's address goes into
    /// the request's extensions as a `SocketAddr`.
    pub async fn hyper<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (listener, addr) = listen().await;
        let task = tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.expect("loopback accepts");
                let service = service.clone().map_request(move |mut request: Request<_>| {
                    request.extensions_mut().insert(peer);
                    request
                });
                tokio::spawn(async move {
                    // A connection that ends badly is for its client to notice.
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
                        .await;
                });
            }
        });
        Self { addr, task }
    }

    /// Lets tonic serve what `serve` makes of the listener.
    pub async fn tonic<F>(serve: impl FnOnce(TcpIncoming) -> F) -> Self
    where
        F: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
    {
        let (listener, addr) = listen().await;
        let serving = serve(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { serving.await.expect("tonic serves") });
        Self { addr, task }
    }

    /// The address the server listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// An `http://` URL on this server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free loopback port");
    let addr = listener
        .local_addr()
        .expect("a bound listener has an address");
    (listener, addr)
}
