//! Health checks during a load, from a thread of their own, each by a connection of its own.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::time::Instant;

const PERIOD: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server says of itself: see [`Report::text`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Report {
    pub(super) peak: u64,
    pub(super) reserved: u64,
}

impl Report {
    pub(super) fn text(self) -> String {
        format!("{} {}", self.peak, self.reserved)
    }

    fn of(text: &str) -> Option<Self> {
        let (peak, reserved) = text.split_once(' ')?;
        Some(Self {
            peak: peak.parse().ok()?,
            reserved: reserved.parse().ok()?,
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) answered: usize,
    pub(super) slowest: Duration,
    /// One was not answered: it is the last.
    pub(super) failed: bool,
    pub(super) last: Option<Report>,
}

pub(super) struct Checks {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Checks {
    pub(super) fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            loop {
                // One more after the load is over, for the figures at the end.
                let last = ends.load(Relaxed);
                let start = Instant::now();
                let Ok(report) = check(address) else {
                    seen.failed = true;
                    return seen;
                };
                seen.answered += 1;
                seen.slowest = seen.slowest.max(start.elapsed());
                seen.last = report;
                if last {
                    return seen;
                }
                thread::sleep(PERIOD);
            }
        });
        Self { over, thread }
    }

    pub(super) fn end(self) -> Seen {
        self.over.store(true, Relaxed);
        self.thread.join().expect("checks do not panic")
    }
}

fn check(address: SocketAddr) -> io::Result<Option<Report>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let report = answer
        .split_once("\r\n\r\n")
        .and_then(|(_, text)| Report::of(text));
    match answer.starts_with("HTTP/1.1 200") {
        true => Ok(report),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}
