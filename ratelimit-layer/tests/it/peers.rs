//! Where servers put the peer's address.

use crate::support::{hello, send};
use http::{Request, StatusCode};
use ratelimit_layer::{ClientIp, Quota, RateLimitLayer};
use std::net::{IpAddr, SocketAddr};
use tower::{Layer, service_fn};

const PEER: ([u8; 4], u16) = ([192, 0, 2, 7], 4711);

/// Two requests with the same extension: the second is over the quota of that peer, and a request
/// of another peer is not.
async fn counts_for_its_peer<E: Clone + Send + Sync + 'static>(
    extension: impl Fn(SocketAddr) -> E,
) {
    let mut service = RateLimitLayer::new(Quota::per_hour(1)).layer(service_fn(hello));
    let request = |peer: ([u8; 4], u16)| {
        Request::builder()
            .extension(extension(peer.into()))
            .body(())
            .unwrap()
    };
    assert_eq!(
        send(&mut service, request(PEER)).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        send(&mut service, request(PEER)).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        send(&mut service, request(([192, 0, 2, 8], 1)))
            .await
            .status(),
        StatusCode::OK
    );
    let (parts, ()) = request(PEER).into_parts();
    assert_eq!(ClientIp::peer().extract(&parts), Some(IpAddr::from(PEER.0)));
}

#[tokio::test]
async fn a_socket_address() {
    counts_for_its_peer(|peer| peer).await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn axum_connect_info() {
    counts_for_its_peer(axum::extract::ConnectInfo).await;
}

#[cfg(feature = "tonic")]
#[tokio::test]
async fn tonic_connect_info() {
    use tonic::transport::server::TcpConnectInfo;
    counts_for_its_peer(|peer| TcpConnectInfo {
        local_addr: None,
        remote_addr: Some(peer),
    })
    .await;
}
