//! jemalloc's own statistics.

use std::{fmt, hint::black_box, time::Duration};

use tikv_jemalloc_ctl::{Result, epoch, epoch_mib, stats, thread};

use super::Source;
use crate::ConfigError;

/// What jemalloc has handed out, in its size classes, sampled each 50 ms; feature `jemalloc`.
///
/// Allocations cost nothing more, unlike with [`Heap`](crate::Heap); a sample takes 6 to 50 µs, on a thread of the
/// guard's. Small blocks that a thread keeps in its cache count as handed out.
pub struct Jemalloc {
    epoch: epoch_mib,
    allocated: stats::allocated_mib,
}

impl Jemalloc {
    /// The statistics of the jemalloc that the process allocates by.
    ///
    /// # Errors
    ///
    /// If the process does not allocate by `tikv-jemallocator`, or its jemalloc was built without statistics.
    pub fn new() -> std::result::Result<Self, ConfigError> {
        if !at_work().unwrap_or(false) {
            return Err(ConfigError::new(
                "the process does not allocate by jemalloc: \
                 #[global_allocator] static JEMALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;"
                    .to_owned(),
            ));
        }
        Self::open().map_err(|error| {
            ConfigError::new(format!("jemalloc keeps no statistics here: {error}"))
        })
    }

    fn open() -> Result<Self> {
        let jemalloc = Self {
            epoch: epoch::mib()?,
            allocated: stats::allocated::mib()?,
        };
        jemalloc.read()?;
        Ok(jemalloc)
    }

    fn read(&self) -> Result<u64> {
        self.epoch.advance()?;
        self.allocated.read().map(|bytes| bytes as u64)
    }
}

/// Whether what this thread allocates shows in jemalloc's counters.
fn at_work() -> Result<bool> {
    let allocated = thread::allocatedp::read()?;
    let before = allocated.get();
    drop(black_box(Vec::<u8>::with_capacity(1 << 16)));
    Ok(allocated.get() > before)
}

impl Source for Jemalloc {
    fn bytes(&self) -> u64 {
        self.read().unwrap_or(0)
    }

    fn name(&self) -> &'static str {
        "jemalloc statistics"
    }

    fn period(&self) -> Option<Duration> {
        Some(Duration::from_millis(50))
    }
}

impl fmt::Debug for Jemalloc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jemalloc").finish_non_exhaustive()
    }
}
