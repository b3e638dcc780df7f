//! A cgroup of one's own with a memory limit, where the kernel and the user's rights allow one.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Where the memory controller's hierarchy may be, and the limit's file in it: v2, then v1.
const HIERARCHIES: [(&str, &str); 2] = [
    ("/sys/fs/cgroup", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
];

/// Removed with its last process when it is dropped.
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// # Errors
    ///
    /// If neither hierarchy lets this process make one.
    pub(crate) fn with_limit(bytes: u64) -> io::Result<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("memguard-{}-{}", process::id(), MADE.fetch_add(1, Relaxed));
        let mut result = Err(io::ErrorKind::NotFound.into());
        for (root, file) in HIERARCHIES {
            result = Self::make(Path::new(root).join(&name), file, bytes);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn make(path: PathBuf, file: &str, bytes: u64) -> io::Result<Self> {
        fs::create_dir(&path)?;
        let cgroup = Self(path);
        // Without the controller there is no such file; it is not to be made.
        let mut limit = OpenOptions::new().write(true).open(cgroup.0.join(file))?;
        limit.write_all(bytes.to_string().as_bytes())?;
        Ok(cgroup)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
