//! How often: [`RateLimitLayer`] and its service.

mod handle;
mod layer;
mod service;

pub use handle::{RateLimitHandle, RateLimitStats};
pub use layer::RateLimitLayer;
pub use service::{RateLimit, RateLimited};
