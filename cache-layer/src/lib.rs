//! An HTTP cache as a Tower layer: RFC 9111 for a shared cache, in bounded memory.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod cache_status;
mod error;
mod fill;
mod future;
mod handle;
mod key;
mod layer;
mod miss;
mod request;
mod rfc9111;
mod service;
mod shared;
mod stats;
mod store;

pub use body::{RequestBody, ResponseBody};
pub use cache_status::CacheStatus;
pub use error::ConfigError;
pub use future::ResponseFuture;
pub use handle::CacheHandle;
pub use layer::CacheLayer;
pub use service::Cache;
pub use stats::CacheStats;
pub use store::Eviction;
