//! Bytes on a TCP connection, for what no well-behaved client sends.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::wait::soon;

/// Sends `bytes` and reads until the server closes the connection.
///
/// # Panics
///
/// When the server does not close it within 20 s.
pub async fn exchange(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("the server listens");
    // A server may answer and close before it has read all of a request it refuses.
    let _ = stream.write_all(bytes.as_ref()).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A reset after the answer still leaves what was read.
    let _ = soon("the server closes the connection", read).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status code of a raw HTTP/1 answer; 0 when there is none.
#[must_use]
pub fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}
