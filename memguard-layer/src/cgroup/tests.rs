//! Trees of files as kernels, containers and orchestrators lay them out, and what is made of them.

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::Duration,
};

use proptest::prelude::*;

use super::{ceiling::Seen, *};
use crate::{level::Strain, sizing::share_of};

/// A root directory of its own, gone in the end.
struct Tree(PathBuf);

impl Tree {
    fn new(cgroup: &str, mountinfo: &str) -> Self {
        static TREES: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "memguard-{}-{}",
            std::process::id(),
            TREES.fetch_add(1, Relaxed)
        );
        Self(env::temp_dir().join(name))
            .with("proc/self/cgroup", cgroup)
            .with("proc/self/mountinfo", mountinfo)
    }

    fn with(self, file: &str, text: &str) -> Self {
        self.write(file, text);
        self
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.0.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// With a group of the second hierarchy.
    fn group(self, group: &str, max: &str, anon: u64) -> Self {
        self.write_group(group, max, anon);
        self
    }

    fn write_group(&self, group: &str, max: &str, anon: u64) {
        let stat = format!(
            "anon {anon}\nfile 900000000\nshmem 20\nslab_reclaimable 7000000\nslab_unreclaimable 3\n"
        );
        self.write(&format!("{group}/memory.max"), max);
        self.write(&format!("{group}/memory.stat"), &stat);
    }

    fn cgroup(&self) -> Result<Cgroup, ConfigError> {
        Cgroup::below(&self.0)
    }

    fn rooms(&self) -> Vec<(u64, u64)> {
        let cgroup = self.cgroup().unwrap();
        cgroup.rooms().map(|room| (room.limit, room.used)).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const UNIFIED: &str =
    "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

#[test]
fn the_smallest_limit_wins_and_each_has_its_own_use() {
    let tree = Tree::new("0::/kube.slice/pod/one\n", UNIFIED)
        .group("sys/fs/cgroup", "max\n", 9_000)
        .group("sys/fs/cgroup/kube.slice", "4000\n", 3_000)
        .group("sys/fs/cgroup/kube.slice/pod", "1000\n", 600)
        .group("sys/fs/cgroup/kube.slice/pod/one", "2000\n", 500)
        .with("sys/fs/cgroup/kube.slice/pod/one/memory.high", "1500\n");
    // Anonymous, shared, unreclaimable: neither the page cache nor what can be reclaimed.
    assert_eq!(tree.rooms(), [(1500, 523), (1000, 623), (4000, 3023)]);
    let cgroup = tree.cgroup().unwrap();
    assert_eq!(
        (cgroup.version(), cgroup.limit()),
        (Version::V2, Some(1000))
    );
    assert!(cgroup.path().ends_with("sys/fs/cgroup/kube.slice/pod/one"));
    assert_eq!(share_of(0.6, &cgroup), Ok(600));
}

#[test]
fn in_a_namespace_or_a_container_the_mount_is_the_group() {
    for (cgroup, root) in [
        ("/", "/"),
        ("/docker/abc", "/docker/abc"),
        ("/../abc", "/../abc"),
    ] {
        let tree = Tree::new(
            &format!("0::{cgroup}\n"),
            &UNIFIED.replace(" / ", &format!(" {root} ")),
        )
        .group("sys/fs/cgroup", "1000", 10);
        assert_eq!(tree.rooms(), [(1000, 33)], "{cgroup} of {root}");
    }
}

#[test]
fn the_first_hierarchy_is_read_by_its_own_names_beside_the_second() {
    let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let stat = "cache 800\nrss 1\nshmem 2\nhierarchical_memory_limit 5000\ntotal_cache 900\ntotal_rss 400\ntotal_shmem 30\n";
    let tree = Tree::new("9:name=systemd:/\n4:cpu,memory:/a\n0::/b\n", mounts)
        .with(
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        )
        .with(
            "sys/fs/cgroup/memory/memory.stat",
            &stat.replace("5000", "9223372036854771712"),
        )
        .with("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "8000\n")
        .with("sys/fs/cgroup/memory/a/memory.stat", stat)
        .with(
            "sys/fs/cgroup/unified/b/memory.pressure",
            "some avg10=30.00 avg60=1.00 avg300=0.00 total=9\n",
        );
    assert_eq!(
        tree.rooms(),
        [(5000, 430)],
        "a limit that no file here shows counts too"
    );
    let cgroup = tree.cgroup().unwrap();
    assert_eq!(cgroup.version(), Version::V1);
    assert!(
        cgroup.is_pressed(),
        "pressure is told by the second hierarchy only"
    );
}

#[test]
fn without_a_limit_a_share_says_what_is_missing() {
    let tree = Tree::new("0::/x\n", UNIFIED).group("sys/fs/cgroup/x", "max", 10);
    let cgroup = tree.cgroup().unwrap();
    assert_eq!(cgroup.limit(), None);
    let error = share_of(0.6, &cgroup).unwrap_err().to_string();
    assert!(
        error.contains("sys/fs/cgroup/x") && error.contains("has a limit"),
        "{error}"
    );
}

#[test]
fn a_controller_that_is_not_delegated_is_looked_for_further_up() {
    let tree = Tree::new("0::/user/session\n", UNIFIED)
        .group("sys/fs/cgroup/user", "1000", 10)
        .with("sys/fs/cgroup/user/session/cgroup.procs", "1\n");
    assert_eq!(tree.rooms(), [(1000, 33)]);
}

#[test]
fn what_is_not_there_is_named() {
    for (tree, missing) in [
        (Tree::new("0::/x\n", ""), "mounted"),
        (Tree::new("", UNIFIED), "mounted"),
        (Tree::new("0::/x\n", UNIFIED), "mounted"),
        (Tree::new("0::/../x\n", UNIFIED), "mounted"),
        (
            Tree::new("0::/x\n", &UNIFIED.replace(" / ", " /xy ")),
            "mounted",
        ),
        (
            Tree::new("0::/x\n", UNIFIED).with("sys/fs/cgroup/x/memory.stat", "anon none\n"),
            "memory.stat",
        ),
    ] {
        let error = tree.cgroup().unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
    let nowhere = env::temp_dir().join("memguard-nowhere");
    let error = Cgroup::below(&nowhere).unwrap_err().to_string();
    assert!(error.contains("/proc/self/cgroup"), "{error}");
}

#[test]
fn this_process_has_a_cgroup_or_an_error_says_why_not() {
    match Cgroup::new() {
        Ok(cgroup) => assert!(cgroup.path().is_dir()),
        Err(error) => assert!(error.to_string().contains("cgroup"), "{error}"),
    }
}

#[test]
fn the_ceiling_is_at_nine_tenths_and_left_below() {
    let tree = Tree::new("0::/x\n", UNIFIED).group("sys/fs/cgroup/x", "10000", 0);
    let cgroup = tree.cgroup().unwrap();
    let seen = Seen::new();
    let at = |used: u64, limit: &str| {
        tree.write_group("sys/fs/cgroup/x", limit, used - 23);
        seen.look(&cgroup);
        (seen.strain().over_ceiling, seen.used_of(1000))
    };
    assert_eq!(at(1000, "10000"), (false, 0), "8000 are left");
    assert_eq!(at(8400, "10000"), (false, 400), "600 are left");
    assert_eq!(at(8999, "10000"), (false, 999));
    assert_eq!(at(9000, "10000"), (true, 1000));
    assert_eq!(at(9500, "10000"), (true, 1500));
    assert_eq!(at(8550, "10000"), (true, 550));
    assert_eq!(at(8549, "10000"), (false, 549));
    assert_eq!(at(8999, "10000"), (false, 999), "not over it again yet");
    seen.release(50);
    assert_eq!(
        seen.used_of(1000),
        1049,
        "what left a reservation counts until the next look"
    );
    assert_eq!(at(8400, "10000"), (false, 400));
    assert_eq!(at(8400, "9000"), (true, 1300), "limits may change");
    assert_eq!(at(8400, "max"), (false, 0), "and go");
    drop(tree);
    seen.look(&cgroup);
    assert_eq!((seen.strain(), seen.used_of(1000)), (Strain::default(), 0));
}

#[test]
fn a_thread_looks_until_the_ceiling_is_dropped() {
    let tree = Tree::new("0::/x\n", UNIFIED).group("sys/fs/cgroup/x", "10000", 9000);
    let ceiling = Ceiling::start(tree.cgroup().unwrap()).unwrap();
    assert!(ceiling.seen().strain().over_ceiling, "seen at once");
    tree.write_group("sys/fs/cgroup/x", "max", 0);
    // Its clock is the real one: it looks within 5 ms if it is asked to, and else within 100.
    let looked = (0..1000).any(|_| {
        ceiling.hurry();
        thread::sleep(Duration::from_millis(5));
        !ceiling.seen().strain().over_ceiling
    });
    assert!(looked);
}

#[test]
fn pressure_is_high_from_a_tenth_or_a_twentieth_on() {
    for (text, high) in [
        (
            "some avg10=9.99 avg60=99.00 avg300=99.00 total=1\nfull avg10=4.99 avg60=9.00 avg300=9.00 total=1\n",
            false,
        ),
        (
            "some avg10=10.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
            true,
        ),
        (
            "some avg10=6.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=5.00 avg60=0.00 avg300=0.00 total=1\n",
            true,
        ),
        ("full avg10=50.00\n", false),
        ("some avg10=inf\n", false),
        ("", false),
    ] {
        assert_eq!(
            Pressure::parse(text).is_some_and(Pressure::is_high),
            high,
            "{text}"
        );
    }
}

#[test]
fn mount_points_may_have_spaces() {
    let mounts: Vec<_> =
        text::mounts("1 2 0:3 / /my\\040cgroup\\134\\x rw - cgroup2 none rw\n").collect();
    assert_eq!(mounts[0].point, Path::new("/my cgroup\\\\x"));
}

proptest! {
    #[test]
    fn no_text_panics(
        text in r"([0-9]{0,3}[:,. /-]|memory|cgroup2?|\.\.|max|total_rss|anon|some|avg10=|\\[0-9]{0,3}|é|\n| - ){0,40}",
        path in r"(/|\.\.|a|é){0,8}",
    ) {
        for version in [Version::V1, Version::V2] {
            let _ = (text::path(&text, version), text::usage(&text, version));
        }
        for mount in text::mounts(&text) {
            if let Some(steps) = mount.steps(&path) {
                prop_assert!(!steps.contains(&".."));
            }
        }
        let _ = (text::limit(&text), text::hierarchical_limit(&text), Pressure::parse(&text));
    }

    #[test]
    fn a_group_below_its_mount_is_found_whatever_their_names(root in "(/[a-zé.:-]{1,5}){0,3}", below in "(/[a-z é]{1,5}){0,3}") {
        prop_assume!(!root.contains(".."));
        let line = format!("1 2 0:3 {} /m rw - cgroup2 none rw\n", if root.is_empty() { "/" } else { &root });
        let mount = text::mounts(&line).next().unwrap();
        let cgroup = format!("0::{root}{}\n", if root.is_empty() && below.is_empty() { "/" } else { &below });
        let steps = mount.steps(text::path(&cgroup, Version::V2).unwrap()).unwrap();
        let expected: Vec<_> = below.split('/').filter(|step| !step.is_empty()).collect();
        prop_assert_eq!(steps, expected);
    }
}
