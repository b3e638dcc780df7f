//! A cache as one writes it in an afternoon, which every row must get the better of: it shows that the
//! row's octets do harm, and that the driver sees it.
//!
//! It keeps whatever comes, for whoever asks next for the same path, which it takes the liberty to tidy
//! up; a message is as long as its `Content-Length` says; what it does not know it passes on.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    message::{field, find, request_end, text},
    origin::row_of,
};

/// Answers it keeps; the oldest leaves first.
const ROOM: usize = 64;

/// What has not come by then will not come; longer than the upstream holds any answer back.
const PATIENCE: Duration = Duration::from_millis(200);

/// A running cache; dropping it closes its listener.
#[derive(Debug)]
pub(crate) struct Naive {
    pub(crate) addr: SocketAddr,
    task: JoinHandle<()>,
}

type Key = (Option<usize>, String);

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    connection: Option<TcpStream>,
    stored: VecDeque<(Key, Vec<u8>)>,
}

impl Naive {
    pub(crate) async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State {
            upstream,
            connection: None,
            stored: VecDeque::new(),
        }));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("loopback accepts");
                tokio::spawn(serve(stream, state.clone()));
            }
        });
        Self { addr, task }
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut octets = Vec::new();
    loop {
        let Some(end) = request_end(&octets, true) else {
            match stream.read_buf(&mut octets).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let (answer, read) = state.lock().await.answer(&octets[..end]).await;
        let request: Vec<u8> = octets.drain(..read).collect();
        let ends = |line: &str| line.starts_with("connection:") && line.contains("close");
        let closes = text(&request).to_ascii_lowercase().lines().any(ends);
        if stream.write_all(&answer).await.is_err() || closes {
            return;
        }
    }
}

impl State {
    /// The answer, and how much of the request was read for it: one at a time, who comes meanwhile waits
    /// for what is on its way.
    async fn answer(&mut self, request: &[u8]) -> (Vec<u8>, usize) {
        let key = key(request);
        let place = self.stored.iter().position(|(stored, _)| *stored == key);
        let stored = place.and_then(|place| self.stored.remove(place));
        let (answer, read) = match stored {
            Some((_, stored)) if text(&stored).contains("max-age=0") => {
                (self.confirm(request, &stored).await, request.len())
            }
            Some((_, stored)) => {
                let head = find(request, b"\r\n\r\n").map_or(request.len(), |at| at + 4);
                (with_line(&stored, "age: 0\r\n"), head)
            }
            None => (self.ask(request).await.unwrap_or_default(), request.len()),
        };
        if !answer.is_empty() {
            self.stored.push_back((key, answer.clone()));
        }
        if self.stored.len() > ROOM {
            self.stored.pop_front();
        }
        (answer, read)
    }

    /// Whatever a 304 says is said of what is stored.
    async fn confirm(&mut self, request: &[u8], stored: &[u8]) -> Vec<u8> {
        let tag = text(stored);
        let condition = field(&tag, "etag").map(|tag| format!("if-none-match: {tag}\r\n"));
        let request = with_line(request, &condition.unwrap_or_default());
        let answer = text(&self.ask(&request).await.unwrap_or_default());
        match answer
            .trim_end()
            .strip_prefix("HTTP/1.1 304 Not Modified\r\n")
        {
            Some(lines) => with_line(stored, &format!("{lines}\r\n")),
            None => answer.into_bytes(),
        }
    }

    async fn ask(&mut self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => TcpStream::connect(self.upstream).await?,
        };
        connection.write_all(request).await?;
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            match timeout(PATIENCE, connection.read_buf(&mut answer)).await {
                Ok(Ok(1..)) => {}
                _ => return Ok(answer),
            }
        }
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(start) = find(answer, b"\r\n\r\n") else {
        return false;
    };
    let head = text(&answer[..start]);
    let length = field(&head, "content-length").and_then(|length| length.parse::<usize>().ok());
    head.starts_with("HTTP/1.1 304")
        || length.is_some_and(|length| answer.len() >= start + 4 + length)
}

/// The same with more lines behind its first.
fn with_line(message: &[u8], lines: &str) -> Vec<u8> {
    let at = find(message, b"\r\n").map_or(0, |at| at + 2);
    [&message[..at], lines.as_bytes(), &message[at..]].concat()
}

/// The path, tidied up; rows are kept apart all the same.
fn key(request: &[u8]) -> Key {
    let line = text(request);
    let target = line.split(' ').nth(1).unwrap_or_default();
    let path = target
        .split_once("://")
        .filter(|(scheme, _)| scheme.starts_with("http"))
        .map_or(target, |(_, rest)| {
            rest.find('/').map_or("/", |at| &rest[at..])
        });
    let path = decoded(&decoded(path))
        .to_ascii_lowercase()
        .replace('\\', "/");
    let is_end = |end: char| matches!(end, '?' | ';' | '#') || end.is_ascii_control();
    let mut segments = Vec::new();
    for segment in path[..path.find(is_end).unwrap_or(path.len())].split('/') {
        match segment.trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    (row_of(request), segments.join("/"))
}

fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(octet) => decoded += &format!("{}{}", char::from(octet), &part[2..]),
            None => decoded += &format!("%{part}"),
        }
    }
    decoded
}
