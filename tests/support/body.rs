//! Bodies whose frames come when the test says so.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, channel::Channel, combinators::UnsyncBoxBody};

/// Any body of the tests. Its error is a type without a lifetime: with `dyn Error` in it, futures
/// over generic services are not `Send` for the compiler.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What feeds a body made by [`fed`]: `send_data`, then drop it to end the body or `abort` it.
pub type Feed = http_body_util::channel::Sender<Bytes, io::Error>;

/// A body that is all there.
pub fn full(data: impl Into<Bytes>) -> Body {
    Full::new(data.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body without bytes.
#[must_use]
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body of unknown length, and what feeds it.
#[must_use]
pub fn fed() -> (Feed, Body) {
    let (feed, body) = Channel::new(1);
    (feed, body.boxed_unsync())
}
