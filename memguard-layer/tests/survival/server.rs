//! The server as a process of its own, and how to start it and see how it ended.

use std::{
    env,
    io::{BufRead, BufReader, Lines},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use memguard_layer::{MemGuardLayer, heap};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::{runtime::Builder, time::interval};

use crate::{ARM, BUDGET, LIMIT, load::narrow_socket};

/// The server, until it is killed.
pub(crate) fn serve(guarded: bool) -> ! {
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
        let layer = MemGuardLayer::new(BUDGET).exempt(|head| head.uri.path() == "/healthz");
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

pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Kept open: the test harness in the child may have more to say.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    pub(crate) fn start(test: &str, arm: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ARM, arm)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = output
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening ")?.1.parse().ok())
            .expect("the server says where it listens");
        Self {
            child,
            address,
            _output: output,
        }
    }

    /// How the process ended, if it has.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// How it ended, or nothing if it is alive ten seconds from now.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        (0..1000).find_map(|_| {
            let status = self.status();
            if status.is_none() {
                thread::sleep(Duration::from_millis(10));
            }
            status
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
