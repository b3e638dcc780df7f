//! The layer from outside: a scripted origin below, a client above, a clock that stands still.

mod cache_status;
mod content;
mod contract;
mod control;
mod errors;
mod fills;
mod groups;
mod grpc;
mod heads;
mod mixing;
mod oracle;
mod parts;
mod passing;
mod post;
mod qualified;
mod ranges;
mod reuse;
mod room;
mod search;
mod settings;
mod stale;
mod storing;
mod stress;
mod support;
mod unshared;
mod validation;
