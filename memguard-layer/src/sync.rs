//! The atomics of the reservation word and the level, in one place so that `tests/loom.rs` can put loom's there instead.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
