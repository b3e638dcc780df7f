//! The bodies of guarded requests and of their responses.

mod request;
mod response;

pub use request::RequestBody;
pub(crate) use request::{Fate, Meter};
pub use response::ResponseBody;
