//! How short of memory the process is.

mod controller;
mod gauge;

pub use controller::Level;
pub(crate) use gauge::Gauge;
