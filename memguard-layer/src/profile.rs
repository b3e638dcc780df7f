//! Where the memory went: profiles of the heap by call stack.
//!
//! jemalloc notes the call stack of one allocation in so many bytes. A profile says, for each stack, how many bytes are in
//! use that were allocated there; `go tool pprof` and the other viewers of its format read it. It needs, all together:
//!
//! - this crate's feature `pprof`;
//! - `tikv-jemallocator` as the process's allocator; a [`Heap`](crate::Heap) over it is fine;
//! - profiling, switched on as the process starts: `_RJEM_MALLOC_CONF=prof:true,lg_prof_sample:19` in its environment. One
//!   sample in 512 KiB (2¹⁹ bytes) costs little; jemalloc(3) has the options.
//!
//! Without one of them [`heap_profile`] returns an error that says which.

use std::{
    error::Error,
    fmt, fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

#[cfg(feature = "pprof")]
use jemalloc_pprof::JemallocProfCtl;
#[cfg(feature = "pprof")]
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// Why there is no profile, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileError {
    message: String,
}

impl ProfileError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ProfileError {}

/// The heap by call stack at this moment, in pprof's format: a gzipped protocol buffer.
///
/// It is made on one of tokio's blocking threads, one at a time, and takes tens of milliseconds and some megabytes.
///
/// # Errors
///
/// If something is missing that the [module](self) lists, or the profile cannot be written to a temporary file.
///
/// # Cancel safety
///
/// If the future is dropped, the profile is made all the same and thrown away.
///
/// # Panics
///
/// Outside a tokio runtime.
pub async fn heap_profile() -> Result<Vec<u8>, ProfileError> {
    spawn_blocking(blocking)
        .await
        .map_err(|error| ProfileError::new(format!("the profile was not finished: {error}")))?
}

/// As [`heap_profile`], on this thread.
#[cfg(feature = "pprof")]
fn blocking() -> Result<Vec<u8>, ProfileError> {
    let mut profiler = profiler()?.blocking_lock();
    is_active(&profiler)?;
    profiler
        .dump_pprof()
        .map_err(|error| ProfileError::new(format!("the heap profile failed: {error:#}")))
}

/// Whether a profile could be made, as far as one can tell without making it.
#[cfg(feature = "pprof")]
pub(crate) fn available() -> Result<(), ProfileError> {
    // Locked: one is being made.
    profiler()?
        .try_lock()
        .map_or(Ok(()), |profiler| is_active(&profiler))
}

#[cfg(feature = "pprof")]
const SWITCH: &str =
    "start the process with _RJEM_MALLOC_CONF=prof:true,lg_prof_sample:19 in its environment";

#[cfg(feature = "pprof")]
fn profiler() -> Result<&'static Mutex<JemallocProfCtl>, ProfileError> {
    crate::source::Jemalloc::new().map_err(|error| {
        ProfileError::new(format!("heap profiles are made by jemalloc: {error}"))
    })?;
    // Before the profiler is asked for, which panics if jemalloc has none.
    tikv_jemalloc_ctl::profiling::prof::read().map_err(|error| {
        ProfileError::new(format!(
            "jemalloc was built without profiling ({error}): build tikv-jemallocator with its feature `profiling`"
        ))
    })?;
    jemalloc_pprof::PROF_CTL
        .as_deref()
        .ok_or_else(|| ProfileError::new(format!("heap profiling is off: {SWITCH}")))
}

#[cfg(feature = "pprof")]
fn is_active(profiler: &JemallocProfCtl) -> Result<(), ProfileError> {
    if profiler.activated() {
        Ok(())
    } else {
        Err(ProfileError::new(format!(
            "heap profiling is not active (prof_active:false): {SWITCH}"
        )))
    }
}

/// As [`heap_profile`], on this thread.
#[cfg(not(feature = "pprof"))]
fn blocking() -> Result<Vec<u8>, ProfileError> {
    Err(ProfileError::new(
        "heap profiles are not built in: build memguard-layer with its feature `pprof`, allocate by tikv-jemallocator, and \
         start the process with _RJEM_MALLOC_CONF=prof:true,lg_prof_sample:19 in its environment",
    ))
}

/// Whether a profile could be made, as far as one can tell without making it.
#[cfg(not(feature = "pprof"))]
pub(crate) fn available() -> Result<(), ProfileError> {
    blocking().map(drop)
}

/// Writes a profile into `directory`, under a name that has the time in it, and returns the file.
///
/// The name appears when the file is complete.
pub(crate) fn dump(directory: &Path) -> Result<PathBuf, ProfileError> {
    let profile = blocking()?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let file = directory.join(format!("heap-{}.pb.gz", now.as_millis()));
    let partial = file.with_extension("part");
    fs::write(&partial, profile)
        .and_then(|()| fs::rename(&partial, &file))
        .map_err(|error| {
            ProfileError::new(format!("{} cannot be written: {error}", file.display()))
        })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The unit tests allocate by the system's allocator.
    #[tokio::test]
    async fn without_jemalloc_the_error_says_what_to_build() {
        let error = heap_profile().await.unwrap_err().to_string();
        assert!(
            error.contains("tikv_jemallocator") || error.contains("tikv-jemallocator"),
            "{error}"
        );
        if cfg!(not(feature = "pprof")) {
            assert!(error.contains("feature `pprof`"), "{error}");
        }
        assert_eq!(available().unwrap_err().to_string(), error);
        assert_eq!(dump(Path::new(".")).unwrap_err().to_string(), error);
    }
}
