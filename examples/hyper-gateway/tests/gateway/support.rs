//! A gateway in this process, an upstream that follows a script, a client that writes raw bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_gateway::{Flags, Gateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No exchange here takes a tenth of it; a test that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a scripted upstream does once its answer is written.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    /// Waits for the next request.
    KeepAlive,
    /// Closes the connection.
    Close,
    /// Holds it open and says no more.
    Silence,
}

/// A server that gives requests bytes as they stand.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    given_up: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// The same for every request.
    pub(crate) async fn start(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let answer = answer.into();
        Self::answering(move |_| answer.clone(), then).await
    }

    /// What `answer` makes of each request.
    pub(crate) async fn answering(
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
        then: Then,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let given_up = Arc::new(AtomicUsize::new(0));
        let (seen, left) = (requests.clone(), given_up.clone());
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (answer, seen, left) = (answer.clone(), seen.clone(), left.clone());
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    while let Some(request) = read_message(&mut stream, &mut bytes).await {
                        let answer = answer(&request);
                        seen.lock().unwrap().push(request);
                        if stream.write_all(&answer).await.is_err() || then == Then::Close {
                            return;
                        }
                        if then == Then::Silence {
                            // Until the gateway gives up.
                            let _ = stream.read(&mut [0]).await;
                            left.fetch_add(1, Relaxed);
                            return;
                        }
                    }
                });
            }
        });
        Self {
            address,
            requests,
            given_up,
            task,
        }
    }

    /// A 200 with `body`, kept alive.
    pub(crate) async fn ok(fields: &str, body: &str) -> Self {
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{fields}\r\n{body}");
        Self::start(answer, Then::KeepAlive).await
    }

    /// Every request so far as it came, chunked bodies in their chunks.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections the gateway closed on a silent upstream.
    pub(crate) fn given_up(&self) -> usize {
        self.given_up.load(Relaxed)
    }

    /// The one request there was.
    pub(crate) fn request(&self) -> String {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one message and leaves the bytes after it in `bytes`; `None` at the end.
async fn read_message(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(length) = message_length(bytes) {
            let message = bytes.drain(..length).collect();
            return Some(String::from_utf8(message).unwrap());
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn message_length(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.find("\r\n\r\n")? + 4;
    let fields = text[..head].to_ascii_lowercase();
    let field = |name: &str| {
        let line = fields.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    if field("transfer-encoding:").is_some() {
        let end = text[head..].find("0\r\n")?;
        return Some(head + end + text[head + end..].find("\r\n\r\n")? + 4);
    }
    let length: usize = field("content-length:").map_or(0, |length| length.parse().unwrap());
    (bytes.len() >= head + length).then_some(head + length)
}

/// Starts a gateway in front of `upstream` and returns its address.
pub(crate) async fn gateway(upstream: SocketAddr, flags: &str) -> SocketAddr {
    gateway_with_admin(upstream, flags).await.0
}

/// The same with an admin listener, the second address.
pub(crate) async fn gateway_with_admin(
    upstream: SocketAddr,
    flags: &str,
) -> (SocketAddr, SocketAddr) {
    let line = format!(
        "hyper-gateway --listen 127.0.0.1:0 --admin 127.0.0.1:0 --upstream http://{upstream} {flags}"
    );
    let gateway = Gateway::bind(Flags::read(line.split_whitespace()).unwrap()).unwrap();
    let addresses = (
        gateway.addresses().unwrap()[0],
        gateway.admin_address().unwrap().unwrap(),
    );
    tokio::spawn(gateway.run(std::future::pending()));
    addresses
}

/// Sends `request` as it stands and reads until the gateway closes.
pub(crate) async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A gateway that answers early may close while bytes are still on their way.
    let _ = stream.write_all(request.as_ref()).await;
    read_to_end(&mut stream).await
}

/// Everything until the gateway closes.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset after the answer ends it as well as a close.
    let _ = read.expect("the gateway neither answers nor closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A plain GET of `path` with more `fields`, on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str, fields: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
    exchange(address, request).await
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    status
        .parse()
        .unwrap_or_else(|_| panic!("no status: {answer:?}"))
}

/// The value of a field of an answer.
pub(crate) fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// What follows the head of an answer.
pub(crate) fn body(answer: &str) -> &str {
    answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body)
        .unwrap_or_default()
}

/// Waits for what another task is about to do.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it never happened");
}
