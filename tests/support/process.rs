//! The example programs, built and run as their users run them.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, OnceLock},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Child,
    sync::mpsc,
};

use crate::wait::soon;

/// The path of an example's binary, built first where it is not up to date.
///
/// # Panics
///
/// When the examples do not build.
pub fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<String> = OnceLock::new();
    let messages = BUILT.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args([
                "build",
                "--workspace",
                "--all-features",
                "--bins",
                "--message-format=json",
            ])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("cargo writes JSON")
    });
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .find(|path| path.file_stem().is_some_and(|stem| stem == name))
        .unwrap_or_else(|| panic!("no example has a binary {name}"))
}

/// A program that runs until it is told to end; dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    output: Arc<Mutex<String>>,
    /// The addresses it said it listens on, in that order.
    pub addrs: Vec<SocketAddr>,
}

impl Program {
    /// Starts an example and waits until it has named `listeners` addresses it listens on.
    ///
    /// # Panics
    ///
    /// When it ends first, or takes longer than 20 s.
    pub async fn start(name: &str, args: &[&str], listeners: usize) -> Self {
        let mut child = tokio::process::Command::new(program(name))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let output = Arc::new(Mutex::new(String::new()));
        let (found, mut addrs_found) = mpsc::unbounded_channel();
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        tokio::spawn(follow(stdout, output.clone(), found.clone()));
        tokio::spawn(follow(stderr, output.clone(), found));

        let mut addrs = Vec::new();
        while addrs.len() < listeners {
            match soon("the program listens", addrs_found.recv()).await {
                Some(addr) => addrs.push(addr),
                None => panic!(
                    "{name} {args:?} does not listen; it said:\n{}",
                    output.lock().unwrap()
                ),
            }
        }
        Self {
            child,
            output,
            addrs,
        }
    }

    /// An `http://` URL on its first listener.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addrs[0])
    }

    /// Everything it has written so far, to both outputs.
    ///
    /// # Panics
    ///
    /// Never: its readers do not panic.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// When it has ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("the program runs")
    }

    /// Asks it to end, as a supervisor does.
    ///
    /// # Panics
    ///
    /// When it has ended already.
    pub fn terminate(&self) {
        let kill = Command::new("kill")
            .args(["-TERM", &self.id().to_string()])
            .status();
        assert!(kill.expect("kill runs").success());
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it takes longer than 20 s.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = soon("the program ends", self.child.wait()).await;
        ended.expect("a child can be waited for")
    }
}

/// Runs an example to its end.
///
/// # Panics
///
/// When it does not start.
#[must_use]
pub fn run(name: &str, args: &[&str]) -> Output {
    Command::new(program(name))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("it runs")
}

async fn follow(
    from: impl AsyncRead + Unpin,
    output: Arc<Mutex<String>>,
    found: mpsc::UnboundedSender<SocketAddr>,
) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        *output.lock().unwrap() += &format!("{line}\n");
        for addr in addresses(&line) {
            let _ = found.send(addr);
        }
    }
}

/// The addresses in `… on [http://]ADDR …`.
fn addresses(line: &str) -> impl Iterator<Item = SocketAddr> {
    line.split(" on ").skip(1).filter_map(|rest| {
        let word = rest.split_whitespace().next()?;
        word.trim_start_matches("http://")
            .trim_end_matches([',', '.', ';', '/'])
            .parse()
            .ok()
    })
}
