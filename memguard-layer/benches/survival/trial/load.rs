//! The clients: many at once or one after the other, each holding on until all are there.

use std::{
    collections::BTreeMap, future::pending, io::Write, net::SocketAddr, sync::Arc, time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    grpc,
    server::{PAGE, narrow_socket},
};

const PART: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Length,
    Chunked,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Uploads of so many bytes.
    Upload(Form, usize),
    /// Clients that read a response of 1 MiB when all have its beginning, and then slowly.
    SlowReaders,
    /// Uploads that unpack to so many bytes of JSON.
    Bombs(usize),
    /// gRPC streams of so many bytes.
    Streams(usize),
}

pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) clients: u32,
    /// Over what time they come, and how long each takes to send its body.
    pub(crate) ramp: Duration,
}

impl Load {
    /// How many clients were told what.
    pub(super) async fn run(&self, address: SocketAddr) -> BTreeMap<String, usize> {
        let (go, opened) = watch::channel(false);
        let arrived = Arc::new(Semaphore::new(0));
        let channels = grpc::channels(address);
        let bomb = match self.kind {
            Kind::Bombs(size) => bomb(size),
            _ => Bytes::new(),
        };
        let mut clients = JoinSet::new();
        for client in 0..self.clients {
            let gate = Gate {
                arrived: Arc::clone(&arrived),
                opened: opened.clone(),
            };
            match self.kind {
                Kind::Upload(form, size) => {
                    clients.spawn(upload(address, form, size, self.ramp, gate))
                }
                Kind::SlowReaders => clients.spawn(read_slowly(address, gate)),
                Kind::Bombs(_) => clients.spawn(throw(address, bomb.clone(), gate)),
                Kind::Streams(size) => {
                    let channel = channels[client as usize % channels.len()].clone();
                    clients.spawn(grpc::stream(channel, size, self.ramp, gate))
                }
            };
            sleep(self.ramp / self.clients).await;
        }
        let _ = timeout(PATIENCE, arrived.acquire_many(self.clients)).await;
        go.send_replace(true);
        let mut answers = BTreeMap::new();
        while let Some(answer) = clients.join_next().await {
            *answers
                .entry(answer.expect("clients do not panic"))
                .or_insert(0) += 1;
        }
        answers
    }
}

/// Holds a client up until all others have come as far, or have failed.
pub(super) struct Gate {
    arrived: Arc<Semaphore>,
    opened: watch::Receiver<bool>,
}

impl Gate {
    pub(super) async fn pass(self) {
        let mut opened = self.opened.clone();
        drop(self);
        let _ = opened.wait_for(|open| *open).await;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.arrived.add_permits(1);
    }
}

/// Whether an upload of 1 MiB that nobody holds up is taken.
pub(super) async fn serves(address: SocketAddr, form: Form) -> bool {
    let (_go, opened) = watch::channel(true);
    let gate = Gate {
        arrived: Arc::new(Semaphore::new(0)),
        opened,
    };
    upload(address, form, 1 << 20, Duration::ZERO, gate).await == "200"
}

async fn connect(address: SocketAddr) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    Ok(narrow_socket().connect(address).await?.into_split())
}

/// All but the last byte before the gate, that one behind it.
async fn upload(
    address: SocketAddr,
    form: Form,
    size: usize,
    time: Duration,
    gate: Gate,
) -> String {
    let Ok((mut reader, mut writer)) = connect(address).await else {
        return "no connection".to_owned();
    };
    let write = async {
        if send_all_but_one(&mut writer, form, size, time)
            .await
            .is_ok()
        {
            gate.pass().await;
            let last: &[u8] = match form {
                Form::Length => b"x",
                Form::Chunked => b"1\r\nx\r\n0\r\n\r\n",
            };
            let _ = writer.write_all(last).await;
        }
    };
    answer(&mut reader, write).await
}

async fn send_all_but_one(
    writer: &mut OwnedWriteHalf,
    form: Form,
    size: usize,
    time: Duration,
) -> io::Result<()> {
    let framing = match form {
        Form::Length => format!("content-length: {size}"),
        Form::Chunked => "transfer-encoding: chunked".to_owned(),
    };
    let head = format!("POST /upload HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n\r\n");
    writer.write_all(head.as_bytes()).await?;
    let pause = time / (size / PART) as u32;
    let mut left = size - 1;
    while left > 0 {
        if !pause.is_zero() {
            sleep(pause).await;
        }
        let part = left.min(PART);
        if form == Form::Chunked {
            writer.write_all(format!("{part:x}\r\n").as_bytes()).await?;
        }
        writer.write_all(&[b'x'; PART][..part]).await?;
        if form == Form::Chunked {
            writer.write_all(b"\r\n").await?;
        }
        left -= part;
    }
    Ok(())
}

/// A list of the objects that take most for their text, of so many bytes, packed.
fn bomb(size: usize) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let object = r#"{"":0},"#;
    let list = format!("[{}0]", object.repeat(size / object.len() - 1));
    packed.write_all(list.as_bytes()).expect("a Vec takes all");
    packed.finish().expect("a Vec takes all").into()
}

async fn throw(address: SocketAddr, bomb: Bytes, gate: Gate) -> String {
    let Ok((mut reader, mut writer)) = connect(address).await else {
        return "no connection".to_owned();
    };
    let write = async {
        let head = format!(
            "POST /json HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            bomb.len()
        );
        let _ = writer.write_all(head.as_bytes()).await;
        // All at once is the worst of it.
        gate.pass().await;
        let _ = writer.write_all(&bomb).await;
    };
    answer(&mut reader, write).await
}

async fn read_slowly(address: SocketAddr, gate: Gate) -> String {
    let Ok((mut reader, mut writer)) = connect(address).await else {
        return "no connection".to_owned();
    };
    let write = async {
        let _ = writer
            .write_all(b"GET /page HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
    };
    let status = answer(&mut reader, write).await;
    gate.pass().await;
    let mut left = if status == "200" { PAGE } else { 0 };
    let mut part = [0; PART];
    while left > 0 {
        sleep(Duration::from_millis(5)).await;
        match reader.read(&mut part).await {
            Ok(read) if read > 0 => left = left.saturating_sub(read),
            _ => return "cut off".to_owned(),
        }
    }
    status
}

/// The status of what the server answers while `write` goes on, or how the connection ended.
async fn answer(reader: &mut OwnedReadHalf, write: impl Future<Output = ()>) -> String {
    let read = async {
        let mut head = [0; 12];
        match timeout(PATIENCE, reader.read_exact(&mut head)).await {
            Ok(Ok(_)) => String::from_utf8_lossy(&head[9..]).into_owned(),
            Ok(Err(_)) => "cut off".to_owned(),
            Err(_) => "no answer".to_owned(),
        }
    };
    let write = async {
        write.await;
        // The other half sees the answer, or the end of the connection.
        pending().await
    };
    tokio::select! {
        status = read => status,
        never = write => never,
    }
}
