//! How short of memory the process is.
//!
//! `controller` is pure: what was, what the heap is, what time it is. `thresholds` says where levels begin and end,
//! `gauge` holds the level for all threads and tells who watches it, `monitor` looks while nobody else does.

mod controller;
mod gauge;
mod monitor;
mod thresholds;

pub use controller::Level;
pub(crate) use controller::Strain;
pub(crate) use gauge::Gauge;
pub(crate) use monitor::Monitor;
pub use thresholds::Thresholds;

/// What the gauge is built on; the model puts loom's there instead.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) use tokio::sync::watch;
}

#[cfg(test)]
mod loom;
#[cfg(test)]
mod tests;
