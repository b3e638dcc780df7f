//! The bodies of guarded requests and of their responses.

mod account;
mod bodies;
mod meter;
mod request;
mod response;

pub(crate) use account::Account;
pub(crate) use bodies::Bodies;
pub(crate) use meter::Meter;
pub use request::RequestBody;
pub use response::ResponseBody;
