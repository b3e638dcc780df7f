//! The gateway over real sockets: bytes in, bytes out, on both of its sides.

mod answers;
mod caching;
mod http2;
mod interim;
mod keys;
mod layers;
mod process;
mod requests;
mod support;
mod time;
