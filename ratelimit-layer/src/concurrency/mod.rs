//! How many at once: [`ConcurrencyLimitLayer`] and its service.

mod guest;
mod handle;
mod idle;
mod in_flight;
mod layer;
mod own_limit;
mod patience;
mod permits;
mod service;

pub use handle::{ConcurrencyHandle, ConcurrencyStats};
pub(crate) use idle::Place;
pub use layer::{ConcurrencyLimitLayer, Hold};
pub use patience::{AtOnce, InLine, Patience};
pub(crate) use permits::Permits;
pub use service::{ConcurrencyLimit, ConcurrencyLimited, Scope};
