//! Profiles of the heap: made in a process of its own, whose jemalloc profiles from its start, and read as pprof reads them.

use std::{
    collections::HashSet,
    env, fs,
    hint::black_box,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, id},
    time::Duration,
};

use flate2::read::GzDecoder;
use memguard_layer::{Heap, Level, MemGuardLayer, heap_profile};
use prost::Message;
use tikv_jemallocator::Jemalloc;
use tokio::{runtime::Builder, time::sleep};

/// A counting heap over jemalloc does not hide it.
#[global_allocator]
static HEAP: Heap<Jemalloc> = Heap::with(Jemalloc);

const CHILD: &str = "MEMGUARD_PPROF_CHILD";

const BLOCKS: usize = 64;

/// What the profiles are to show: 64 blocks of 256 KiB.
#[inline(never)]
fn hoard() -> Vec<Box<[u8]>> {
    (0..BLOCKS)
        .map(|_| black_box(vec![1; 256 << 10].into_boxed_slice()))
        .collect()
}

/// Runs `test` again in a process with a directory to write to, and this configuration of jemalloc.
fn run(test: &str, conf: &str, directory: &Path) -> String {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, directory)
        .env("_RJEM_MALLOC_CONF", conf)
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    assert!(
        child.status.success(),
        "{output}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    output
}

fn child() -> Option<PathBuf> {
    env::var_os(CHILD).map(PathBuf::from)
}

/// An empty directory, gone in the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", id()));
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}

/// The parts of pprof's profile.proto that matter here.
#[derive(Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
}

#[derive(Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
}

/// A profile shows the hoard, at call stacks that it knows.
fn shows_the_hoard(file: &Path) {
    let mut text = Vec::new();
    GzDecoder::new(fs::File::open(file).unwrap())
        .read_to_end(&mut text)
        .expect("it is gzipped");
    let profile = Profile::decode(&*text).expect("it is a protocol buffer");
    let name = |index: i64| profile.string_table[usize::try_from(index).unwrap()].as_str();
    let types: Vec<_> = profile
        .sample_type
        .iter()
        .map(|of| (name(of.kind), name(of.unit)))
        .collect();
    assert_eq!(types, [("inuse_space", "bytes")]);
    let known: HashSet<_> = profile
        .location
        .iter()
        .map(|location| location.id)
        .collect();
    let largest = profile.sample.iter().max_by_key(|sample| sample.value[0]);
    let largest = largest.expect("something is in use");
    assert!(
        largest.location_id.len() > 3 && largest.location_id.iter().all(|id| known.contains(id))
    );
    // Blocks far above the sampling interval are sampled one and all.
    let hoard = (BLOCKS * (256 << 10)) as i64;
    assert!(
        (hoard * 9 / 10..hoard * 12 / 10).contains(&largest.value[0]),
        "{}",
        largest.value[0]
    );
}

#[test]
fn a_profile_is_in_pprof_format_and_shows_who_allocated() {
    if let Some(directory) = child() {
        let hoard = hoard();
        let profile = block_on(heap_profile()).unwrap();
        drop(hoard);
        return fs::write(directory.join("heap.pb.gz"), profile).unwrap();
    }
    let directory = Directory::new("profile");
    run(
        "a_profile_is_in_pprof_format_and_shows_who_allocated",
        "prof:true,lg_prof_sample:12",
        &directory.0,
    );
    shows_the_hoard(&directory.0.join("heap.pb.gz"));
    // For a look at it with `go tool pprof`.
    if let Some(copy) = env::var_os("MEMGUARD_PPROF_COPY") {
        fs::copy(directory.0.join("heap.pb.gz"), copy).unwrap();
    }
}

#[test]
fn without_profiling_the_error_says_how_to_switch_it_on() {
    if child().is_some() {
        let error = block_on(heap_profile()).unwrap_err();
        return println!("it says: {error}");
    }
    let directory = Directory::new("off");
    for (conf, said) in [
        (
            "",
            "it says: heap profiling is off: start the process with _RJEM_MALLOC_CONF=prof:true",
        ),
        (
            "prof:true,prof_active:false",
            "it says: heap profiling is not active",
        ),
    ] {
        let output = run(
            "without_profiling_the_error_says_how_to_switch_it_on",
            conf,
            &directory.0,
        );
        assert!(output.contains(said), "{output}");
    }
    let layer = MemGuardLayer::new(100).profile_at_hard(&directory.0);
    let error = layer.unwrap_err().to_string();
    assert!(error.contains("_RJEM_MALLOC_CONF"), "{error}");
    let layer = MemGuardLayer::new(100).profile_at_hard("/nowhere");
    let error = layer.unwrap_err().to_string();
    assert!(error.contains("/nowhere"), "{error}");
}

#[test]
fn at_hard_a_profile_is_written_once() {
    if let Some(directory) = child() {
        let hoard = hoard();
        let guard = MemGuardLayer::new(100).source(|| 100);
        block_on(async {
            let handle = guard.profile_at_hard(&directory).unwrap().handle();
            // The profile is made by the real clock, on a thread of its own.
            while fs::read_dir(&directory).unwrap().next().is_none() {
                assert_eq!(handle.level(), Level::Hard);
                sleep(Duration::from_millis(5)).await;
            }
            for _ in 0..20 {
                assert_eq!(handle.level(), Level::Hard);
                sleep(Duration::from_millis(5)).await;
            }
        });
        return drop(hoard);
    }
    let directory = Directory::new("hard");
    run(
        "at_hard_a_profile_is_written_once",
        "prof:true,lg_prof_sample:12",
        &directory.0,
    );
    let files = directory.files();
    assert_eq!(files.len(), 1, "{files:?}");
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with("heap-") && name.ends_with(".pb.gz"),
        "{name}"
    );
    shows_the_hoard(&files[0]);
}
