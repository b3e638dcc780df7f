//! One load against one server in a process of its own, under a hard limit of memory, and how that went.
//!
//! The process that loads starts its own program again as the server; see [`serve_if_child`].

mod cgroup;
mod check;
mod grpc;
mod load;
mod process;
mod server;

use std::{collections::BTreeMap, fmt, net::SocketAddr, process::ExitStatus, time::Duration};

use tokio::{
    runtime::Builder,
    time::{Instant, sleep},
};

pub(crate) use cgroup::Cgroup;
pub(crate) use load::{Form, Kind, Load};
pub(crate) use server::serve_if_child;

use check::Checks;
use process::Server;

pub(crate) const MIB: u64 = 1 << 20;

/// What the guard keeps the heap within.
pub(crate) const BUDGET: u64 = 64 * MIB;

/// What the process dies of.
pub(crate) const LIMIT: u64 = 128 * MIB;

/// How a server looks after its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Unguarded,
    /// Refuses while the heap, exactly counted, is over the budget; reserves nothing.
    Exact,
    Guarded,
}

impl Arm {
    pub(crate) const ALL: [Self; 3] = [Self::Unguarded, Self::Exact, Self::Guarded];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unguarded => "unguarded",
            Self::Exact => "exact, no reservation",
            Self::Guarded => "guarded",
        }
    }
}

/// What bounds the server's memory.
pub(crate) enum Limit {
    /// RLIMIT_DATA: allocations fail.
    Data,
    /// The memory controller: the kernel kills.
    Cgroup(Cgroup),
}

impl Limit {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Data => "RLIMIT_DATA",
            Self::Cgroup(_) => "cgroup",
        }
    }
}

/// How a server fared.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How the process ended, if it did not live.
    pub(crate) death: Option<ExitStatus>,
    /// How many clients were told what.
    pub(crate) answers: BTreeMap<String, usize>,
    /// Health checks answered, the slowest of them, and whether one was not.
    pub(crate) checks: usize,
    pub(crate) slowest: Duration,
    pub(crate) check_failed: bool,
    /// How long after the load it answered uploads as if there had been none.
    pub(crate) serves_after: Option<Duration>,
    /// By the last report: the most bytes ever allocated, and bytes promised.
    pub(crate) peak: u64,
    pub(crate) reserved: u64,
}

impl Outcome {
    /// What of the guard's promises was not kept; no health check is to take longer than `longest`.
    pub(crate) fn broken(&self, longest: Duration) -> Vec<&'static str> {
        let kept = [
            (self.death.is_none(), "it died"),
            (self.peak <= BUDGET + BUDGET / 20, "the heap's peak"),
            (self.checks >= 3, "too few health checks"),
            (!self.check_failed, "a health check that failed"),
            (self.slowest <= longest, "a slow health check"),
            (
                self.serves_after
                    .is_some_and(|time| time <= Duration::from_secs(1)),
                "it did not serve a second later",
            ),
            (self.reserved == 0, "bytes stayed reserved"),
        ];
        kept.into_iter()
            .filter_map(|(kept, promise)| (!kept).then_some(promise))
            .collect()
    }
}

impl fmt::Display for Outcome {
    /// Cells of a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            checks, slowest, ..
        } = self;
        match self.death {
            None => write!(f, "lived")?,
            Some(status) => write!(f, "died ({status})")?,
        }
        write!(f, " | {:.1} MiB", self.peak as f64 / MIB as f64)?;
        write!(f, " | {:.1} ms of {checks}", slowest.as_secs_f64() * 1000.0)?;
        match self.serves_after {
            Some(time) => write!(f, " | {} ms", time.as_millis())?,
            None => write!(f, " | never")?,
        }
        write!(f, " | {} | ", self.reserved)?;
        let answers = self
            .answers
            .iter()
            .map(|(answer, count)| format!("{count} {answer}"));
        f.write_str(&answers.collect::<Vec<_>>().join(", "))
    }
}

/// Loads a new server; `arguments` make this program call [`serve_if_child`].
pub(crate) fn run(load: &Load, limit: &Limit, arm: Arm, arguments: &[&str]) -> Outcome {
    let mut server = Server::start(arm, limit, arguments);
    let address = server.address;
    let checks = Checks::start(address);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (answers, serves_after) = runtime.block_on(async {
        let answers = load.run(address).await;
        let end = Instant::now();
        let serves_after = match server.is_alive() {
            true => serves_again(address).await.then(|| end.elapsed()),
            false => None,
        };
        // Connections that broke may end a little after their clients.
        sleep(Duration::from_millis(100)).await;
        (answers, serves_after)
    });
    let seen = checks.end();
    let last = seen.last.unwrap_or_default();
    Outcome {
        death: server.death(),
        answers,
        checks: seen.answered,
        slowest: seen.slowest,
        check_failed: seen.failed,
        serves_after,
        peak: last.peak,
        reserved: last.reserved,
    }
}

/// Whether uploads of both forms are answered, in five seconds at most.
async fn serves_again(address: SocketAddr) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let mut served = true;
        for form in [Form::Length, Form::Chunked] {
            served &= load::serves(address, form).await;
        }
        if served {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}
