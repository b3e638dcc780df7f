//! The program: its exit codes, its one line, its end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Then, Upstream, body, field, get, read_to_end, status, until};

fn program(flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hyper-gateway"));
    command
        .args(flags.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(flags: &str) -> Output {
    program(flags).output().unwrap()
}

/// A running gateway; killed if the test gives up first.
struct Running(Child);

impl Running {
    fn start(flags: &str) -> (Self, String) {
        Self::of(&mut program(flags))
    }

    fn of(program: &mut Command) -> (Self, String) {
        let mut child = program.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        (Self(child), line)
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn address(line: &str) -> SocketAddr {
    line.split_whitespace()
        .nth(2)
        .unwrap()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn unusable_flags_are_one_line_and_exit_2() {
    for flags in [
        "",
        "--upstream https://h",
        "--upstream http://h --burst 5",
        "--bogus",
    ] {
        let output = run(flags);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("error: "), "{errors}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(run("--help").status.code(), Some(0));
}

#[tokio::test]
async fn a_taken_port_is_one_line_and_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let output = run(&format!("--upstream http://127.0.0.1:1 --listen {address}"));
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with(&format!("error: cannot listen on {address}: ")),
        "{errors}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_it_once_requests_in_flight_have_their_answers() {
    for signal in ["TERM", "INT"] {
        // The upstream speaks when the test says so.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let (mut running, line) = Running::start(&format!(
            "--listen 127.0.0.1:0 --upstream http://{upstream}"
        ));
        assert!(
            line.starts_with("hyper-gateway on http://127.0.0.1:"),
            "{line}"
        );

        let mut idle = TcpStream::connect(address(&line)).await.unwrap();
        let mut client = TcpStream::connect(address(&line)).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        assert!(server.read(&mut [0; 4096]).await.unwrap() > 0);

        running.signal(signal);
        assert_eq!(read_to_end(&mut idle).await, "");
        assert!(
            running.0.try_wait().unwrap().is_none(),
            "ended before its request did"
        );
        server
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")
            .await
            .unwrap();
        let answer = read_to_end(&mut client).await;
        assert_eq!((status(&answer), body(&answer)), (200, "late"));
        assert_eq!(running.0.wait().unwrap().code(), Some(0));
    }
}

#[tokio::test]
async fn port_0_is_printed_as_the_real_one() {
    let upstream =
        Upstream::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Then::Close).await;
    let flags = format!(
        "--listen 127.0.0.1:0 --admin 127.0.0.1:0 --upstream http://{}",
        upstream.address
    );
    let (_running, line) = Running::start(&flags);
    let mut client = TcpStream::connect(address(&line)).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    until(|| upstream.requests().len() == 1).await;
    assert!(line.contains(", admin on http://127.0.0.1:"), "{line}");
}

#[tokio::test]
async fn a_cache_that_fills_stops_where_memory_is_getting_short() {
    let page = "x".repeat(256 << 10);
    let upstream = Upstream::ok("cache-control: max-age=600\r\n", &page).await;
    let (_running, line) = Running::start(&format!(
        "--listen 127.0.0.1:0 --admin 127.0.0.1:0 --upstream http://{} --heap-budget 32MiB --cache-bytes 64MiB",
        upstream.address
    ));
    let gateway = address(&line);
    let (_, admin) = line.trim().rsplit_once("http://").unwrap();
    let outcome = async |n: usize| {
        let answer = get(gateway, &format!("/{n}"), "").await;
        assert_eq!((status(&answer), body(&answer).len()), (200, page.len()));
        field(&answer, "cache-status").unwrap().to_owned()
    };
    let mut stored = 0;
    while outcome(stored).await.ends_with("; stored") {
        stored += 1;
    }
    // Three quarters of the budget are 96 pages, the gateway itself included.
    assert!((80..96).contains(&stored), "{stored} are stored");
    for n in stored..stored + 20 {
        assert_eq!(outcome(n).await, "cache-layer; fwd=uri-miss");
        assert_eq!(outcome(n - stored).await, "cache-layer; hit");
    }
    let answer = get(admin.parse().unwrap(), "/stats", "").await;
    let figures: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    let (cache, memory) = (&figures["cache"], &figures["memory"]);
    assert_eq!(
        (&cache["entries"], &cache["kept_out"]),
        (&stored.into(), &21.into())
    );
    assert_eq!(
        (&memory["level"], &memory["reclaim_rounds"]),
        (&"elevated".into(), &0.into())
    );
    assert_eq!(memory["rejected"], 0);
}

#[cfg(feature = "pprof")]
#[tokio::test]
async fn the_heap_profile_is_there_if_it_is_switched_on() {
    let flags = "--listen 127.0.0.1:0 --admin 127.0.0.1:0 --upstream http://127.0.0.1:1";
    for (conf, expected) in [("prof:true,lg_prof_sample:12", 200), ("prof:false", 501)] {
        let (_running, line) = Running::of(program(flags).env("_RJEM_MALLOC_CONF", conf));
        let (_, admin) = line.trim().rsplit_once("http://").unwrap();
        let profile = get(admin.parse().unwrap(), "/debug/pprof/heap", "").await;
        assert_eq!(status(&profile), expected, "{profile}");
        // Gzip begins with 1F 8B, of which the second is no text.
        assert_eq!(
            body(&profile).starts_with("\u{1f}\u{fffd}"),
            expected == 200
        );
    }
}
