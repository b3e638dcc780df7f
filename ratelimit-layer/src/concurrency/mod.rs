//! How many at once: [`ConcurrencyLimitLayer`] and its service.

mod handle;
mod layer;
mod permits;
mod service;

pub use handle::{ConcurrencyHandle, ConcurrencyStats};
pub use layer::{ConcurrencyLimitLayer, Hold};
pub(crate) use permits::Permit;
pub use service::{ConcurrencyLimit, ConcurrencyLimited, Scope};
