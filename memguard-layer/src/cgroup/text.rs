//! What the kernel's files say: functions over text, none of which panics on any.

use std::path::PathBuf;

/// Which hierarchy counts the memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// The memory controller's own hierarchy.
    V1,
    /// The unified hierarchy.
    V2,
}

/// A cgroup mount, from a line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) version: Version,
    /// The cgroup that is mounted, as seen from this process's cgroup namespace.
    pub(super) root: String,
    /// Where it is mounted.
    pub(super) point: PathBuf,
}

/// The cgroup of the process in the hierarchy of `version`, from `/proc/self/cgroup` (cgroups(7)).
pub(super) fn path(cgroup: &str, version: Version) -> Option<&str> {
    cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let found = match version {
            Version::V1 => controllers.split(',').any(|name| name == "memory"),
            Version::V2 => id == "0" && controllers.is_empty(),
        };
        (found && path.starts_with('/')).then_some(path)
    })
}

/// The mounts that may show the memory controller's files, from `/proc/self/mountinfo` (proc(5)).
pub(super) fn mounts(mountinfo: &str) -> impl Iterator<Item = Mount> {
    mountinfo.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut filesystem = filesystem.split(' ');
        let version = match filesystem.next()? {
            "cgroup2" => Version::V2,
            "cgroup" => {
                let options = filesystem.nth(1)?;
                options
                    .split(',')
                    .any(|option| option == "memory")
                    .then_some(Version::V1)?
            }
            _ => return None,
        };
        Some(Mount {
            version,
            root: unescape(root),
            point: PathBuf::from(unescape(point)),
        })
    })
}

/// Undoes the kernel's `\040` for a space and the like.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
            .filter(u8::is_ascii);
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

impl Mount {
    /// The steps from the mount point down to the cgroup `path`, or `None` if it is not below what is mounted.
    ///
    /// With a namespace of its own, or in a container that shows the host's paths, `root` and `path` share their
    /// beginning; what is left is below the mount point. A `..` that is left leads out of what can be seen.
    pub(super) fn steps<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let below = match self.root.as_str() {
            "/" => path,
            root => path.strip_prefix(root)?,
        };
        if !below.is_empty() && !below.starts_with('/') {
            return None;
        }
        let steps: Vec<_> = below.split('/').filter(|step| !step.is_empty()).collect();
        (!steps.contains(&"..")).then_some(steps)
    }
}

/// A limit in bytes; `Some(None)` if there is none, `None` if the text is no limit at all.
///
/// The first hierarchy writes the largest number of pages for no limit, the second `max`.
pub(super) fn limit(text: &str) -> Option<Option<u64>> {
    const UNLIMITED: u64 = 1 << 62;
    match text.trim() {
        "max" => Some(None),
        number => number
            .parse()
            .ok()
            .map(|bytes| Some(bytes).filter(|bytes| *bytes < UNLIMITED)),
    }
}

/// The value of `key` in `memory.stat`.
fn stat(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix(' ')?;
        value.trim().parse().ok()
    })
}

/// Bytes that the kernel cannot drop, from `memory.stat`: anonymous and shared memory and unreclaimable slab, never the
/// page cache.
///
/// The first hierarchy does not tell its slab by kinds, so there it is left out.
pub(super) fn usage(stat_text: &str, version: Version) -> Option<u64> {
    let value = |key| stat(stat_text, key);
    let (anonymous, shared, slab) = match version {
        Version::V1 => ("total_rss", "total_shmem", None),
        Version::V2 => ("anon", "shmem", Some("slab_unreclaimable")),
    };
    let rest = [Some(shared), slab].into_iter().flatten();
    Some(
        rest.filter_map(value)
            .fold(value(anonymous)?, u64::saturating_add),
    )
}

/// The smallest limit of the cgroup and all above it, seen or not; the first hierarchy's `memory.stat` has it.
pub(super) fn hierarchical_limit(stat_text: &str) -> Option<u64> {
    let bytes = stat(stat_text, "hierarchical_memory_limit")?;
    limit(&bytes.to_string()).flatten()
}

/// The shares of the last ten seconds in which some, or all, of the tasks waited for memory, from `memory.pressure`, in
/// percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pressure {
    pub(super) some: f64,
    pub(super) full: f64,
}

impl Pressure {
    /// From the text of `memory.pressure`; the `full` line may be missing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let share = |kind: &str| {
            text.lines().find_map(|line| {
                let fields = line.strip_prefix(kind)?.strip_prefix(' ')?;
                let share = fields
                    .split(' ')
                    .find_map(|field| field.strip_prefix("avg10="))?;
                share.parse::<f64>().ok().filter(|share| share.is_finite())
            })
        };
        Some(Self {
            some: share("some")?,
            full: share("full").unwrap_or(0.0),
        })
    }

    /// Whether tasks wait so much that the level should be one higher: some for a tenth of the time, or all for a
    /// twentieth.
    pub(super) fn is_high(self) -> bool {
        self.some >= 10.0 || self.full >= 5.0
    }
}
