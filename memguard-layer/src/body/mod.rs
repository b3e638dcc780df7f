//! The bodies of guarded requests and of their responses.

mod account;
mod request;
mod response;

pub(crate) use account::Account;
pub(crate) use request::Meter;
pub use request::RequestBody;
pub use response::ResponseBody;
