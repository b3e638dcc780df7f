//! The gateway before nginx, over a real documentation tree of some thousand files.

use std::{
    collections::HashMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use end_to_end::{client::Client, process::Program, wait::until};
use http::StatusCode;
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet};

/// Above this the gateway passes a body on without storing it: the default of `--max-entry-bytes`.
const MAX_ENTRY_BYTES: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_is_fetched_from_nginx_once_and_served_byte_identical_twice() {
    let tree = tree();
    let files = files(&tree);
    assert!(
        files.len() > 3000,
        "{} files in {}",
        files.len(),
        tree.display()
    );
    let mut nginx = Nginx::start(&tree).await;
    let upstream = format!("http://{}", nginx.addr);
    let gateway = Program::start(
        "hyper-gateway",
        &["--listen", "127.0.0.1:0", "--upstream", &upstream],
        1,
    )
    .await;

    let first = fetch_all(&gateway, &files).await;
    let second = fetch_all(&gateway, &files).await;
    let log = nginx.stop();

    assert_eq!(first, 0, "a cold cache answers nothing");
    let oversized = files
        .iter()
        .filter(|file| file.bytes > MAX_ENTRY_BYTES)
        .count();
    assert_eq!(
        second,
        files.len() - oversized,
        "hits of {} files in the second pass",
        files.len()
    );
    assert!(second * 100 >= files.len() * 95);
    println!(
        "{} files, {second} hits in the second pass, {} requests to nginx",
        files.len(),
        log.len()
    );

    let mut requests = HashMap::<&str, usize>::new();
    for line in &log {
        let uri = line
            .strip_prefix("GET ")
            .and_then(|rest| rest.strip_suffix(" 200"));
        *requests
            .entry(uri.unwrap_or_else(|| panic!("an unexpected request: {line}")))
            .or_default() += 1;
    }
    for file in &files {
        let expected = if file.bytes > MAX_ENTRY_BYTES { 2 } else { 1 };
        assert_eq!(
            requests.get(file.uri.as_str()),
            Some(&expected),
            "requests for {}",
            file.uri
        );
    }
}

struct File {
    path: PathBuf,
    uri: String,
    bytes: u64,
}

/// Where `tests/run.sh` unpacks the documentation.
fn tree() -> PathBuf {
    let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documentation");
    assert!(
        tree.is_dir(),
        "no documentation in {}: tests/run.sh unpacks it",
        tree.display()
    );
    tree
}

fn files(tree: &Path) -> Vec<File> {
    let (mut files, mut folders) = (Vec::new(), vec![tree.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let entry = entry.expect("a readable entry");
            let kind = entry.file_type().expect("a known type");
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let uri = uri(path.strip_prefix(tree).expect("inside the tree"));
                let bytes = entry.metadata().expect("a size").len();
                files.push(File { path, uri, bytes });
            }
        }
    }
    files
}

/// The path as an origin-form request target: all but unreserved characters and `/` escaped.
fn uri(path: &Path) -> String {
    let path = path.to_str().expect("the tree's names are ASCII");
    path.bytes().fold(String::from("/"), |mut uri, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into())
            }
            _ => uri += &format!("%{byte:02X}"),
        }
        uri
    })
}

/// Fetches every file, compares it with the one on disk, and counts the answers from the cache.
async fn fetch_all(gateway: &Program, files: &[File]) -> usize {
    let (client, at_once) = (Client::http1(), Arc::new(Semaphore::new(16)));
    let mut fetches = JoinSet::new();
    for file in files {
        let (client, url, path) = (client.clone(), gateway.url(&file.uri), file.path.clone());
        let turn = at_once.clone().acquire_owned().await.expect("never closed");
        fetches.spawn(async move {
            let answer = client.get(&url).await;
            drop(turn);
            assert_eq!(answer.status, StatusCode::OK, "{url}");
            assert!(
                answer.body == fs::read(path).expect("a readable file"),
                "{url} differs"
            );
            answer
                .field("cache-status")
                .is_some_and(|status| status.contains("; hit"))
        });
    }
    fetches
        .join_all()
        .await
        .into_iter()
        .filter(|hit| *hit)
        .count()
}

/// An nginx of the test's own; dropping it ends it.
struct Nginx {
    child: Child,
    folder: PathBuf,
    addr: SocketAddr,
}

impl Nginx {
    async fn start(root: &Path) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nginx-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a writable target folder");
        // nginx takes no port 0; nothing else on the machine looks for this one just now.
        let addr = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port");
        let config = folder.join("nginx.conf");
        fs::write(&config, Self::config(root, &folder, addr)).expect("a writable folder");
        let mut child = Command::new("nginx")
            .args(["-e", "stderr", "-p"])
            .arg(&folder)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx starts; tests/run.sh installs it where it is missing");
        until("nginx listens", async || {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "nginx ended; it says why above");
            TcpStream::connect(addr).await.is_ok()
        })
        .await;
        Self {
            child,
            folder,
            addr,
        }
    }

    fn config(root: &Path, folder: &Path, addr: SocketAddr) -> String {
        let (root, folder) = (root.display(), folder.display());
        format!(
            "daemon off;
            master_process off;
            pid {folder}/nginx.pid;
            events {{}}
            http {{
                types {{ text/html html; text/css css; text/javascript js; image/png png; text/plain txt; }}
                log_format one '$request_method $request_uri $status';
                access_log {folder}/access.log one;
                client_body_temp_path {folder}/body;
                proxy_temp_path {folder}/proxy;
                fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi;
                scgi_temp_path {folder}/scgi;
                server {{ listen {addr}; root {root}; expires 1h; }}
            }}"
        )
    }

    /// Ends nginx and returns its access log's lines.
    fn stop(&mut self) -> Vec<String> {
        self.end();
        let log = fs::read_to_string(self.folder.join("access.log")).expect("nginx keeps a log");
        log.lines().map(str::to_owned).collect()
    }

    fn end(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
