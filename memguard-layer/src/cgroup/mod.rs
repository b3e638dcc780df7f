//! The memory cgroup that the process lives in: its limits, what it uses of them, and how hard it waits for memory.
//!
//! The heap's budget is the guard's first bound. What kills the process is the cgroup's limit, and the heap is not all that
//! counts towards it: what the allocator keeps, stacks, other processes. So the guard looks at the cgroup too, each 100 ms,
//! on a thread of its own:
//!
//! - **Ceiling.** From 90 % of a limit on, its own or one of a cgroup above it, the level is `Hard` until it is under 85.5 %,
//!   and nothing is admitted that would not fit below 90 %. What counts is what the kernel cannot drop: `anon`, `shmem` and
//!   unreclaimable slab. The page cache does not. `memory.high`, beyond which the kernel holds the process up, is a limit as
//!   `memory.max` is.
//! - **Pressure** (PSI). While tasks of the cgroup wait for memory, the level is one higher than the heap's own, but never
//!   `Hard` for that reason: waiting alone refuses nobody.
//!
//! Both hierarchies, any mount layout and namespaces are understood; what is not there is left out.
//! [`MemGuardLayer::from_cgroup`](crate::MemGuardLayer::from_cgroup) makes the budget a share of the limit.

mod ceiling;
mod text;

#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use text::{Mount, Pressure};

pub(crate) use self::ceiling::Ceiling;
pub use self::text::Version;
use crate::ConfigError;

/// The memory cgroup of this process, and those above it.
#[derive(Clone, Debug)]
pub struct Cgroup {
    version: Version,
    /// Its own directory first, then those above it up to the mount point.
    groups: Vec<PathBuf>,
    pressure: Option<PathBuf>,
}

/// A limit of a cgroup, and what is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    limit: u64,
    used: u64,
}

impl Cgroup {
    /// The cgroup of this process.
    ///
    /// # Errors
    ///
    /// If there is none: not Linux, no memory controller, or its files are not mounted where this process sees them.
    pub fn new() -> Result<Self, ConfigError> {
        Self::below(Path::new("/"))
    }

    /// As [`new`](Self::new), with `root` in place of `/` for every file that is read: `proc/self/cgroup`,
    /// `proc/self/mountinfo`, and the mount points that it names.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn below(root: &Path) -> Result<Self, ConfigError> {
        let read = |file: &str| {
            fs::read_to_string(root.join(file)).map_err(|error| {
                ConfigError::new(format!(
                    "the cgroup is found by /{file}, which cannot be read: {error}"
                ))
            })
        };
        let (cgroup, mountinfo) = (read("proc/self/cgroup")?, read("proc/self/mountinfo")?);
        let mounts: Vec<Mount> = text::mounts(&mountinfo).collect();
        let groups = |version| {
            let path = text::path(&cgroup, version)?;
            let mounts = mounts.iter().filter(|mount| mount.version == version);
            mounts
                .filter_map(|mount| Some(directories(root, mount, &mount.steps(path)?)))
                .find(|groups| groups[0].is_dir())
        };
        let (v1, v2) = (groups(Version::V1), groups(Version::V2));
        let pressure = v2
            .as_ref()
            .map(|groups| groups[0].join("memory.pressure"))
            .filter(|file| file.is_file());
        let (version, groups) = v1
            .map(|groups| (Version::V1, groups))
            .or_else(|| v2.map(|groups| (Version::V2, groups)))
            .ok_or_else(|| {
                ConfigError::new(format!(
                    "no memory cgroup of this process is mounted where it can see it: /proc/self/cgroup says {:?}",
                    cgroup.lines().collect::<Vec<_>>().join("; ")
                ))
            })?;
        let found = Self {
            version,
            groups,
            pressure,
        };
        if !found
            .groups
            .iter()
            .any(|group| found.usage(group).is_some())
        {
            return Err(ConfigError::new(format!(
                "neither {} nor a cgroup above it says in memory.stat what it uses",
                found.path().display()
            )));
        }
        Ok(found)
    }

    /// Which hierarchy it is in.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.groups[0]
    }

    /// The smallest limit of it and all above it at this moment, in bytes; `None` if there is none.
    ///
    /// `memory.high` counts as `memory.max` does.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.rooms().map(|room| room.limit).min()
    }

    /// Each limit, and what counts towards it.
    fn rooms(&self) -> impl Iterator<Item = Room> {
        self.groups.iter().filter_map(|group| {
            let (used, hierarchical) = self.usage(group)?;
            let files: &[_] = match self.version {
                Version::V1 => &["memory.limit_in_bytes"],
                Version::V2 => &["memory.max", "memory.high"],
            };
            files
                .iter()
                .filter_map(|file| text::limit(&read(group, file)?).flatten())
                .chain(hierarchical)
                .min()
                .map(|limit| Room { limit, used })
        })
    }

    /// Whether the tasks of the cgroup wait for memory.
    fn is_pressed(&self) -> bool {
        let text = self
            .pressure
            .as_ref()
            .and_then(|file| fs::read_to_string(file).ok());
        text.and_then(|text| Pressure::parse(&text))
            .is_some_and(Pressure::is_high)
    }

    /// What a group uses, and the smallest limit above it if its `memory.stat` has it.
    fn usage(&self, group: &Path) -> Option<(u64, Option<u64>)> {
        let stat = read(group, "memory.stat")?;
        let used = text::usage(&stat, self.version)?;
        Some((used, text::hierarchical_limit(&stat)))
    }
}

fn read(group: &Path, file: &str) -> Option<String> {
    fs::read_to_string(group.join(file)).ok()
}

/// The cgroup's directory and those above it, up to the mount point.
fn directories(root: &Path, mount: &Mount, steps: &[&str]) -> Vec<PathBuf> {
    let point = mount.point.strip_prefix("/").unwrap_or(&mount.point);
    let point = root.join(point);
    (0..=steps.len())
        .rev()
        .map(|depth| {
            let mut directory = point.clone();
            directory.extend(&steps[..depth]);
            directory
        })
        .collect()
}
