//! How often: [`RateLimitLayer`] and its service.

mod admission;
mod charged;
mod events;
mod handle;
mod later;
mod layer;
mod limited;
mod offenders;
mod refusal;
mod service;
mod settlement;
mod texts;

pub use handle::{PolicyStats, RateLimitHandle, RateLimitStats};
pub use layer::RateLimitLayer;
pub use limited::RateLimited;
pub use offenders::Offender;
pub use service::RateLimit;
pub(crate) use settlement::Tally;
