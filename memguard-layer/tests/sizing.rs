//! Budgets by the environment and by the cgroup, each in a process of its own, and the cgroup as the second bound.

#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
mod support;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, id},
};

use http::StatusCode;
use memguard_layer::{
    Level, MemGuardLayer,
    cgroup::{Cgroup, Version},
};
use support::{at_once, collect, request, upload};
use tower::{Layer, Service};

const CHILD: &str = "MEMGUARD_SIZING_CHILD";

/// What `from_env` makes of the environment, in a process of its own, which first enters `group`.
fn from_env(budget: Option<&str>, group: Option<&Path>) -> String {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "a_budget_is_what_the_environment_says",
            "--nocapture",
        ])
        .env(CHILD, group.map_or(Path::new(""), |group| group))
        .env_remove("MEMGUARD_BUDGET");
    if let Some(budget) = budget {
        child.env("MEMGUARD_BUDGET", budget);
    }
    let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
    let said = output.lines().find_map(|line| line.split_once("it says: "));
    said.unwrap_or_else(|| panic!("{output}")).1.to_owned()
}

fn child(group: &Path) {
    if group != Path::new("") {
        fs::write(group.join("cgroup.procs"), id().to_string()).unwrap();
    }
    let said = match MemGuardLayer::from_env() {
        Ok(layer) => layer.handle().budget().to_string(),
        Err(error) => error.to_string(),
    };
    println!("it says: {said}");
}

#[test]
fn a_budget_is_what_the_environment_says() {
    if let Ok(group) = env::var(CHILD) {
        return child(Path::new(&group));
    }
    assert_eq!(from_env(Some("64MiB"), None), (64 << 20).to_string());
    for (budget, said) in [
        (
            None,
            "MEMGUARD_BUDGET is not set, but must be a number of bytes",
        ),
        (
            Some("64 apples"),
            "MEMGUARD_BUDGET: the budget is \"64 apples\", but must be a number of bytes",
        ),
        (Some("0"), "budget_bytes is 0, but must be from 1"),
        (
            Some("120%"),
            "MEMGUARD_BUDGET: the share of the cgroup's limit is 1.2, but must be above 0",
        ),
    ] {
        let answer = from_env(budget, None);
        assert!(answer.starts_with(said), "{answer}");
    }
    let limit = Cgroup::new().ok().and_then(|cgroup| cgroup.limit());
    let answer = from_env(Some("50%"), None);
    match limit {
        Some(limit) => assert_eq!(answer, (limit / 2).to_string()),
        None => assert!(
            answer.ends_with("give the budget as a number of bytes (512MiB)"),
            "{answer}"
        ),
    }
}

/// A cgroup of its own below this process's, with a limit, if the machine lets one be made.
struct Group(PathBuf);

impl Group {
    fn new(limit: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let cgroup = Cgroup::new()?;
        let group = Self(cgroup.path().join(format!("memguard-{}", id())));
        fs::create_dir(&group.0)?;
        let file = match cgroup.version() {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        };
        fs::write(group.0.join(file), limit.to_string())?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_share_is_taken_of_the_limit_of_a_real_cgroup() {
    match Group::new(96 << 20) {
        Ok(group) => {
            assert_eq!(
                from_env(Some("50%"), Some(&group.0)),
                (48 << 20).to_string()
            );
        }
        // Then what is left to see is that a share is refused or taken of another limit.
        Err(why) => println!("no cgroup can be made here: {why}"),
    }
}

/// A cgroup as the kernel shows it.
struct Fixture(PathBuf);

impl Fixture {
    fn new(name: &str) -> Self {
        let fixture = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", id())));
        for (file, text) in [
            ("proc/self/cgroup", "0::/\n"),
            (
                "proc/self/mountinfo",
                "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            ),
            ("sys/fs/cgroup/memory.max", "1000000\n"),
        ] {
            fixture.write(file, text);
        }
        fixture
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.0.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// A guard of 500,000 bytes, of which the heap holds `heap` while the cgroup holds `anon` of 1,000,000.
    fn guard(&self, heap: u64, anon: u64, pressure: &str) -> MemGuardLayer {
        self.write(
            "sys/fs/cgroup/memory.stat",
            &format!("anon {anon}\nfile 800000\nshmem 0\nslab_unreclaimable 0\n"),
        );
        self.write(
            "sys/fs/cgroup/memory.pressure",
            &format!("some avg10={pressure} avg60=0.00 avg300=0.00 total=0\n"),
        );
        MemGuardLayer::new(500_000)
            .source(move || heap)
            .with_cgroup(Cgroup::below(&self.0).unwrap())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a guard answers an upload.
fn answer(layer: &MemGuardLayer, length: u64) -> StatusCode {
    let (feed, body) = upload(Some(length));
    feed.data(usize::try_from(length).unwrap());
    drop(feed);
    at_once(layer.layer(collect()).call(request(body)))
        .unwrap()
        .status()
}

#[test]
fn what_does_not_fit_below_the_ceiling_is_refused_whatever_the_heap() {
    let fixture = Fixture::new("ceiling");
    let roomy = fixture.guard(100_000, 600_000, "0.00");
    assert_eq!(
        answer(&roomy, 100_000),
        StatusCode::OK,
        "200,000 of 300,000"
    );
    assert_eq!(answer(&roomy, 160_000), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(roomy.handle().level(), Level::Normal);

    let over = fixture.guard(100_000, 900_000, "0.00");
    assert_eq!(over.handle().level(), Level::Hard);
    assert!(over.handle().stats().over_ceiling);
    assert_eq!(answer(&over, 1), StatusCode::SERVICE_UNAVAILABLE);

    let unguarded = fixture.guard(100_000, 900_000, "0.00").without_cgroup();
    assert_eq!(unguarded.handle().level(), Level::Normal);
    assert_eq!(answer(&unguarded, 160_000), StatusCode::OK);
}

#[test]
fn pressure_raises_the_level_by_one_and_refuses_nobody() {
    let fixture = Fixture::new("pressure");
    for (heap, calm, pressed) in [
        (100_000, Level::Normal, Level::Elevated),
        (380_000, Level::Elevated, Level::Soft),
        (470_000, Level::Soft, Level::Soft),
        (475_000, Level::Hard, Level::Hard),
    ] {
        assert_eq!(fixture.guard(heap, 0, "9.90").handle().level(), calm);
        let guard = fixture.guard(heap, 0, "10.10");
        assert_eq!(guard.handle().level(), pressed, "{heap}");
        assert!(guard.handle().stats().pressed);
        if calm < Level::Hard {
            assert_eq!(answer(&guard, 1000), StatusCode::OK);
        }
    }
}
