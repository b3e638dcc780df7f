//! Starting a server as a process of its own, and seeing how it ends.

use std::{
    env, fs,
    io::{BufRead, BufReader, Lines},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio, id},
    thread,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Arm, LIMIT, Limit};

/// Set in the child: which server it is, and the cgroup it goes into, if it is not to limit itself.
const ARM: &str = "MEMGUARD_SURVIVAL_ARM";
const CGROUP: &str = "MEMGUARD_SURVIVAL_CGROUP";

/// Which server this process is, under its limit from here on; `None` if it is the one that loads.
pub(super) fn settle() -> Option<Arm> {
    // Both ends hold 1,500 connections.
    limit(Resource::Nofile, getrlimit(Resource::Nofile).maximum);
    let name = env::var(ARM).ok()?;
    limit(Resource::Core, Some(0));
    match env::var(CGROUP) {
        Ok(path) => fs::write(format!("{path}/cgroup.procs"), id().to_string())
            .expect("a process may enter the cgroup that its parent made"),
        Err(_) => limit(Resource::Data, Some(LIMIT)),
    }
    Arm::ALL.into_iter().find(|arm| arm.name() == name)
}

fn limit(resource: Resource, bound: Option<u64>) {
    let bounds = Rlimit {
        current: bound,
        maximum: bound,
    };
    setrlimit(resource, bounds).expect("a limit may be lowered");
}

pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    /// Kept open: a test harness in the child may have more to say.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    pub(super) fn start(arm: Arm, limit: &Limit, arguments: &[&str]) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program has a path"));
        command.args(arguments).env(ARM, arm.name());
        if let Limit::Cgroup(cgroup) = limit {
            command.env(CGROUP, cgroup.path());
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program starts again");
        let output = child.stdout.take().expect("a pipe");
        let mut output = BufReader::new(output).lines();
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

    pub(super) fn is_alive(&mut self) -> bool {
        self.status().is_none()
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child may be waited for")
    }

    /// How it died, if it has, or does soon: its connections break before it is gone.
    pub(super) fn death(&mut self) -> Option<ExitStatus> {
        (0..20).find_map(|_| {
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
