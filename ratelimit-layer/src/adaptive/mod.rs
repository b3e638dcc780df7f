//! A limit for all clients together that follows the service: [`Adaptive`].
//!
//! Each algorithm is a function from a limit and what a window of requests came to, to the next limit;
//! `algorithm` adds what they have in common, `control` decides what the next window is for, `windows`
//! gathers what has ended on all threads, and `meter` alone knows of clocks and permits.

mod aimd;
mod algorithm;
mod control;
mod gradient2;
mod judge;
mod meter;
mod settings;
mod unloaded;
mod vegas;
mod windows;

#[cfg(test)]
mod loom;
#[cfg(test)]
mod tests;

pub use aimd::Aimd;
pub use gradient2::Gradient2;
pub use judge::{Outcome, Verdict};
pub(crate) use meter::{Flight, Meter};
pub use settings::Adaptive;
pub use vegas::Vegas;

/// What windows are built on; the model swaps this module for loom's.
mod sync {
    pub(super) use crate::counters::Counters;
    pub(super) use std::sync::Mutex;
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The value of a setting.
///
/// # Panics
///
/// When it is not allowed.
#[track_caller]
fn checked<T: PartialOrd + fmt::Debug>(what: &str, value: T, allowed: RangeInclusive<T>) -> T {
    assert!(
        allowed.contains(&value),
        "the {what} is {value:?}, but must be {:?} to {:?}",
        allowed.start(),
        allowed.end()
    );
    value
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
