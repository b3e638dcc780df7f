//! A burst of uploads against a hard memory limit: the unguarded server dies of it, the guarded one lives.
//!
//! Each test starts its own binary again as the server, in a process of its own with RLIMIT_DATA set.

#![cfg(target_os = "linux")]

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use memguard_layer::{Heap, MemGuardLayer, heap};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    runtime::Builder,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};

#[global_allocator]
static HEAP: Heap = Heap::new();

const BUDGET: u64 = 64 << 20;
const LIMIT: u64 = 128 << 20;
const UPLOADS: usize = 200;
const UPLOAD: usize = 1 << 20;

/// Set in the child: which server it is.
const ARM: &str = "MEMGUARD_SURVIVAL_ARM";

#[test]
fn uploads_with_a_length() {
    compare("uploads_with_a_length", Form::Length);
}

#[test]
fn uploads_in_chunks() {
    compare("uploads_in_chunks", Form::Chunked);
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Length,
    Chunked,
}

fn compare(test: &str, form: Form) {
    if let Ok(arm) = env::var(ARM) {
        serve(arm == "guarded");
    }
    static ONE_LOAD_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_LOAD_AT_A_TIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();

    let mut unguarded = Server::start(test, "unguarded");
    let load = runtime.block_on(burst(unguarded.address, form));
    let end = unguarded.wait();
    println!("{form:?}, unguarded: {end}; {:?}", load.outcomes);
    assert_eq!(end.signal(), Some(6), "it aborts when an allocation fails");

    let mut guarded = Server::start(test, "guarded");
    runtime.block_on(async {
        let load = burst(guarded.address, form).await;
        let report = at_rest(guarded.address).await;
        println!(
            "{form:?}, guarded: alive; {:?}; {} health checks, the slowest {:?}; {report}",
            load.outcomes, load.checks, load.slowest
        );
        let count = |outcome| load.outcomes.get(outcome).copied().unwrap_or(0);
        assert!(count("200") >= 10, "it works at what fits");
        assert!(count("503") >= 10, "and says no to the rest");
        assert_eq!(load.outcomes.values().sum::<usize>(), UPLOADS);
        assert!(
            load.checks >= 3 && load.slowest < Duration::from_secs(1),
            "healthy throughout"
        );
        assert!(field(&report, "peak") <= BUDGET + BUDGET / 20, "{report}");
        // And then as if nothing had happened.
        for form in [Form::Length, Form::Chunked] {
            for _ in 0..10 {
                let held = Semaphore::new(0);
                let (_go, release) = watch::channel(true);
                assert_eq!(upload(guarded.address, form, &held, release).await, "200");
            }
        }
    });
    assert!(guarded.is_alive());
}

/// The server, until it is killed.
fn serve(guarded: bool) -> ! {
    let at = |limit| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    setrlimit(Resource::Core, at(0)).unwrap();
    setrlimit(Resource::Data, at(LIMIT)).unwrap();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        static PEAK: AtomicU64 = AtomicU64::new(0);
        let sample = || PEAK.fetch_max(heap::allocated().unwrap(), Relaxed);
        tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(1));
            loop {
                sample();
                ticks.tick().await;
            }
        });
        let layer = MemGuardLayer::new(BUDGET).exempt(|parts| parts.uri.path() == "/healthz");
        let handle = layer.handle();
        let report = move || async move {
            let (heap, reserved, rejected) = (handle.heap(), handle.reserved(), handle.rejected());
            format!(
                "heap={heap} peak={} reserved={reserved} rejected={rejected}",
                PEAK.load(Relaxed)
            )
        };
        let take = move |body: Bytes| async move {
            sample();
            body.len().to_string()
        };
        let app = Router::new()
            .route("/upload", post(take))
            .route("/healthz", get(report))
            .layer(DefaultBodyLimit::disable());
        let app = if guarded { app.layer(layer) } else { app };
        let listener = narrow_socket();
        listener.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = listener.listen(1024).unwrap();
        println!("listening {}", listener.local_addr().unwrap());
        axum::serve(listener, app).await.unwrap();
    });
    unreachable!("axum serves until the process ends")
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(test: &str, arm: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ARM, arm)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening ")?.1.parse().ok())
            .expect("the server says where it listens");
        Self { child, address }
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Load {
    /// How many uploads ended how.
    outcomes: BTreeMap<String, usize>,
    /// Health checks answered meanwhile.
    checks: usize,
    slowest: Duration,
}

/// Sends all uploads but for their last byte, holds them all open, then lets them finish.
async fn burst(address: SocketAddr, form: Form) -> Load {
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
async fn upload(
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
fn narrow_socket() -> TcpSocket {
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
async fn at_rest(address: SocketAddr) -> String {
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

fn field(report: &str, name: &str) -> u64 {
    let value = report
        .split(' ')
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {report:?}"))
}
