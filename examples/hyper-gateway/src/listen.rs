//! Several listeners as one.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 1024;

#[derive(Debug)]
pub(crate) struct Listeners {
    all: Vec<TcpListener>,
    /// Whose turn it is: none waits for one that is always busy.
    next: usize,
}

impl Listeners {
    /// Listens on `addresses`; an error names the one.
    pub(crate) fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        // The system lets [::] take IPv4 as well, and then 0.0.0.0 is taken.
        let apart = addresses.iter().any(SocketAddr::is_ipv4);
        let listeners = addresses.iter().map(|address| {
            listen(*address, apart).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            })
        });
        Ok(Self {
            all: listeners.collect::<io::Result<_>>()?,
            next: 0,
        })
    }

    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.all.iter().map(TcpListener::local_addr).collect()
    }

    pub(crate) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            for _ in 0..self.all.len() {
                let listener = &self.all[self.next];
                self.next = (self.next + 1) % self.all.len();
                if let Poll::Ready(accepted) = listener.poll_accept(context) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
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
