//! Where the number of bytes in use comes from.
//!
//! | source | what it counts | a reading costs | read |
//! | --- | --- | --- | --- |
//! | [`Counted`] | what the process asked for, to the byte, by [`Heap`](crate::Heap) | some 15 ns | each time |
//! | `Jemalloc` (feature `jemalloc`) | the same in size classes, without counting | 6 to 50 µs | sampled |
//! | `Resident` (Linux) | pages in memory, those that the allocator keeps among them | about 1 µs | each time |
//! | any `Fn() -> u64` | what you know | | each time |
//! | [`Sampled`] | the same | | sampled |
//!
//! Without a choice the guard takes the first that is there: `Counted` if a `Heap` is installed, `Jemalloc` if it is the
//! process's allocator, `Resident`. [`MemGuardHandle::source`](crate::MemGuardHandle::source) says which.
//!
//! A sampled source is read by a thread of the guard's own, which ends with it. Between two samples the guard assumes the
//! worst: the last sample, and every byte that left a reservation since, as if it were in the heap for good. What was
//! never reserved is seen by the next sample.

#[cfg(feature = "jemalloc")]
mod jemalloc;
mod measure;
#[cfg(target_os = "linux")]
mod resident;
mod sample;
mod sampler;

use std::{fmt, time::Duration};

#[cfg(feature = "jemalloc")]
pub use self::jemalloc::Jemalloc;
#[cfg(target_os = "linux")]
pub use self::resident::Resident;
pub(crate) use self::{
    measure::{Choice, Chosen, Measure},
    sample::Sample,
    sampler::Sampler,
};
use crate::{ConfigError, heap};

/// What a sample is built on; the model puts loom's there instead.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(test)]
mod loom;
#[cfg(test)]
mod tests;

/// Tells how many bytes of memory the process uses now.
///
/// It is asked once for a request without a body, twice or more for one with a body, and for each frame: nanoseconds
/// are right, microseconds are felt, and what takes longer should be [sampled](Self::period). Any `Fn() -> u64` is a
/// source.
pub trait Source: Send + Sync + 'static {
    /// Bytes in use at this moment.
    fn bytes(&self) -> u64;

    /// What it is called where the guard says what it goes by. Default: `custom`.
    fn name(&self) -> &'static str {
        "custom"
    }

    /// How often to sample it off the request path, at most each 5 ms; `None` to ask it each time. Default: `None`.
    fn period(&self) -> Option<Duration> {
        None
    }
}

impl<F: Fn() -> u64 + Send + Sync + 'static> Source for F {
    fn bytes(&self) -> u64 {
        self()
    }
}

/// What the process has allocated by its [`Heap`](crate::Heap), to the byte.
#[derive(Clone, Copy, Debug)]
pub struct Counted(());

impl Counted {
    /// The process's counters.
    ///
    /// # Errors
    ///
    /// If no `Heap` is installed.
    pub fn new() -> Result<Self, ConfigError> {
        heap::allocated().map(|_| Self(())).ok_or_else(|| {
            ConfigError::new(
                "no counting heap is installed: #[global_allocator] static HEAP: Heap = Heap::new();"
                    .to_owned(),
            )
        })
    }
}

impl Source for Counted {
    fn bytes(&self) -> u64 {
        heap::allocated().unwrap_or(0)
    }

    fn name(&self) -> &'static str {
        "counted heap"
    }
}

/// A source of your own that is too slow to be asked for each request: a thread of the guard's asks it now and then.
///
/// ```
/// use std::time::Duration;
///
/// use memguard_layer::{MemGuardLayer, source::Sampled};
///
/// # fn slow() -> u64 { 0 }
/// let guard = MemGuardLayer::new(64 << 20).source(Sampled::every(Duration::from_millis(50), slow));
/// ```
pub struct Sampled<F> {
    period: Duration,
    bytes: F,
}

impl<F: Fn() -> u64 + Send + Sync + 'static> Sampled<F> {
    /// Asks `bytes` each `period`, from 5 ms to 10 s, and sooner if a request did not fit.
    ///
    /// # Panics
    ///
    /// If `period` is out of range.
    #[must_use]
    #[track_caller]
    pub fn every(period: Duration, bytes: F) -> Self {
        let longest = Duration::from_secs(10);
        assert!(
            (sampler::GAP..=longest).contains(&period),
            "period is {period:?}, but must be from {:?} to {longest:?}",
            sampler::GAP
        );
        Self { period, bytes }
    }
}

impl<F: Fn() -> u64 + Send + Sync + 'static> Source for Sampled<F> {
    fn bytes(&self) -> u64 {
        (self.bytes)()
    }

    fn period(&self) -> Option<Duration> {
        Some(self.period)
    }
}

impl<F> fmt::Debug for Sampled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampled")
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

/// The best source that is there.
fn default_source() -> Box<dyn Source> {
    if let Ok(counted) = Counted::new() {
        return Box::new(counted);
    }
    #[cfg(feature = "jemalloc")]
    if let Ok(jemalloc) = Jemalloc::new() {
        return Box::new(jemalloc);
    }
    #[cfg(target_os = "linux")]
    if let Ok(resident) = Resident::new() {
        return Box::new(resident);
    }
    Box::new(Nothing)
}

/// No source at all: reservations alone count.
struct Nothing;

impl Source for Nothing {
    fn bytes(&self) -> u64 {
        0
    }

    fn name(&self) -> &'static str {
        "none"
    }
}
