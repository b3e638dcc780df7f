//! The address of the socket's other end, as servers leave it in the request's extensions.

use crate::head::Head;
use std::net::{IpAddr, SocketAddr};

/// The peer's address: axum's or tonic's connect info (with the features of those names), or a bare
/// [`SocketAddr`], which is what a hyper service inserts itself.
#[inline]
pub(crate) fn peer(head: &Head<'_>) -> Option<IpAddr> {
    let extensions = &head.extensions;
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(address)) =
        extensions.get::<axum::extract::ConnectInfo<SocketAddr>>()
    {
        return Some(address.ip().to_canonical());
    }
    #[cfg(feature = "tonic")]
    if let Some(address) = tonic_peer(extensions) {
        return Some(address.ip().to_canonical());
    }
    // IPv4 peers of a dual-stack socket show as ::ffff:a.b.c.d.
    extensions
        .get::<SocketAddr>()
        .map(|address| address.ip().to_canonical())
}

#[cfg(feature = "tonic")]
fn tonic_peer(extensions: &http::Extensions) -> Option<SocketAddr> {
    use tonic::transport::server::TcpConnectInfo;
    #[cfg(feature = "tonic-tls")]
    if let Some(info) = extensions.get::<tonic::transport::server::TlsConnectInfo<TcpConnectInfo>>()
    {
        return info.get_ref().remote_addr();
    }
    extensions.get::<TcpConnectInfo>()?.remote_addr()
}
