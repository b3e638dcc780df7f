//! Sockets to listen on.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 1024;

/// Listens on `addresses`; an error names the one.
pub(crate) fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    // The system lets [::] take IPv4 as well, and then 0.0.0.0 is taken.
    let apart = addresses.iter().any(SocketAddr::is_ipv4);
    let listeners = addresses.iter().map(|address| {
        listen(*address, apart).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })
    });
    listeners.collect()
}

/// As [`TcpListener::bind`] does it; an IPv6 socket takes IPv4 as well, or not.
fn listen(address: SocketAddr, apart: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        let socket = TcpSocket::new_v6()?;
        if apart {
            SockRef::from(&socket).set_only_v6(true)?;
        }
        socket
    };
    // On Windows it would let others take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
