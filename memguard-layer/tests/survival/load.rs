//! The clients: uploads held open all at once, and health checks meanwhile.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};

pub(crate) const UPLOADS: usize = 200;
const UPLOAD: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Length,
    Chunked,
}

pub(crate) struct Load {
    /// How many uploads ended how.
    pub(crate) outcomes: BTreeMap<String, usize>,
    /// Health checks answered meanwhile.
    pub(crate) checks: usize,
    pub(crate) slowest: Duration,
}

/// Sends all uploads but for their last byte, holds them all open, then lets them finish.
pub(crate) async fn burst(address: SocketAddr, form: Form) -> Load {
    let held = Arc::new(Semaphore::new(0));
    let (go, release) = watch::channel(false);
    let mut uploads = JoinSet::new();
    for _ in 0..UPLOADS {
        let (held, release) = (Arc::clone(&held), release.clone());
        uploads.spawn(async move { upload(address, form, &held, release).await });
    }
    let health = tokio::spawn(async move {
        let (mut checks, mut slowest) = (0, Duration::ZERO);
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let start = Instant::now();
            if go.is_closed() || check(address).await.is_none() {
                return (checks, slowest);
            }
            (checks, slowest) = (checks + 1, slowest.max(start.elapsed()));
            if held.available_permits() == UPLOADS {
                go.send_replace(true);
            }
        }
    });
    drop(release);
    let mut outcomes = BTreeMap::new();
    while let Some(outcome) = uploads.join_next().await {
        *outcomes.entry(outcome.unwrap()).or_insert(0) += 1;
    }
    let (checks, slowest) = health.await.unwrap();
    Load {
        outcomes,
        checks,
        slowest,
    }
}

/// One upload: its status, or how the connection ended. Adds a permit to `held` when all but the last byte is sent, or
/// when it is over before.
pub(crate) async fn upload(
    address: SocketAddr,
    form: Form,
    held: &Semaphore,
    mut release: watch::Receiver<bool>,
) -> String {
    let arrival = Arrival(held);
    let Ok(stream) = narrow_socket().connect(address).await else {
        return "no connection".to_owned();
    };
    let (mut reader, mut writer) = stream.into_split();
    let write = async {
        let sent = send_all_but_one(&mut writer, form).await;
        drop(arrival);
        if sent.is_ok() && release.wait_for(|go| *go).await.is_ok() {
            let last: &[u8] = match form {
                Form::Length => b"x",
                Form::Chunked => b"1\r\nx\r\n0\r\n\r\n",
            };
            let _ = writer.write_all(last).await;
        }
        // The other half sees the answer, or the end of the connection.
        std::future::pending().await
    };
    let read = async {
        let mut head = [0; 12];
        match timeout(Duration::from_secs(60), reader.read_exact(&mut head)).await {
            Ok(Ok(_)) => String::from_utf8_lossy(&head[9..]).into_owned(),
            Ok(Err(error)) => error.kind().to_string(),
            Err(_) => "no answer".to_owned(),
        }
    };
    tokio::select! {
        outcome = write => outcome,
        outcome = read => outcome,
    }
}

/// With buffers of 16 KiB, so that what a client has sent is in the server's memory and not in the kernel's.
pub(crate) fn narrow_socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 << 10).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket
}

struct Arrival<'a>(&'a Semaphore);

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

async fn send_all_but_one(
    writer: &mut (impl AsyncWriteExt + Unpin),
    form: Form,
) -> std::io::Result<()> {
    let framing = match form {
        Form::Length => format!("content-length: {UPLOAD}"),
        Form::Chunked => "transfer-encoding: chunked".to_owned(),
    };
    writer
        .write_all(
            format!("POST /upload HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n\r\n").as_bytes(),
        )
        .await?;
    let mut left = UPLOAD - 1;
    while left > 0 {
        let part = left.min(16 << 10);
        let data = [b'x'; 16 << 10];
        match form {
            Form::Length => writer.write_all(&data[..part]).await?,
            Form::Chunked => {
                writer.write_all(format!("{part:x}\r\n").as_bytes()).await?;
                writer.write_all(&data[..part]).await?;
                writer.write_all(b"\r\n").await?;
            }
        }
        left -= part;
    }
    Ok(())
}

/// One health check on a connection of its own: the server's report.
async fn check(address: SocketAddr) -> Option<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await.ok()?;
        let (head, report) = response.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| report.to_owned())
    };
    timeout(Duration::from_secs(5), exchange).await.ok()?
}

/// The report once nothing is reserved any more; connections that broke may end a little after their clients.
pub(crate) async fn at_rest(address: SocketAddr) -> String {
    let start = Instant::now();
    loop {
        let report = check(address).await.expect("the server is alive");
        if field(&report, "reserved") == 0 {
            return report;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "still reserved: {report}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn field(report: &str, name: &str) -> u64 {
    let value = report
        .split(' ')
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {report:?}"))
}
