//! Whom a request counts for: [`ClientKey`] and the keys that come with the crate.

mod address;
mod closure;
mod composite;
mod forwarded;
mod header;
mod network;
mod path;
mod peer;
#[cfg(test)]
mod tests;

pub use address::{ClientIp, ProxyHeader, Unreadable};
pub use closure::KeyFn;
pub use composite::Or;
pub use header::ClientHeader;
pub use path::ClientPath;

use crate::head::Head;
use std::hash::Hash;

/// A way to tell clients apart by their requests.
///
/// [`ClientIp`], [`ClientHeader`] and [`ClientPath`] implement it, [`KeyFn`] makes one of a closure,
/// and [`and`](Self::and) and [`or`](Self::or) make one of two. Only the hash of a key is kept, under
/// seeds drawn anew for each limiter.
///
/// # Examples
///
/// ```
/// use http::HeaderName;
/// use ratelimit_layer::{ClientHeader, ClientIp, ClientKey, ClientPath};
///
/// let api_key = ClientHeader::new(HeaderName::from_static("x-api-key"));
/// let key_or_address = api_key.or(ClientIp::peer());
/// let per_area = key_or_address.and(ClientPath::new().segments(1));
/// ```
pub trait ClientKey {
    /// What is hashed. Two requests count for the same client if their keys hash alike, so a key
    /// made of other kinds of keys should say in its hash which kind it is.
    type Key<'a>: Hash
    where
        Self: 'a;

    /// The key of this request, or `None` if it has none; then
    /// [`when_unkeyed`](crate::RateLimitLayer::when_unkeyed) decides.
    fn key<'a>(&'a self, head: &Head<'a>) -> Option<Self::Key<'a>>;

    /// A name of the request's client for people to read, in logs and lists of top offenders;
    /// `None`, the default, is none.
    ///
    /// It tells no secret, and nothing is decided by it. It may allocate: ask for it only where
    /// somebody reads it.
    fn label(&self, head: &Head<'_>) -> Option<String> {
        let _ = head;
        None
    }

    /// Clients that differ in this key or in the other are two. A request that has only one of the
    /// keys has no key. The tuple `(one, other)` is the same.
    fn and<K: ClientKey>(self, other: K) -> (Self, K)
    where
        Self: Sized,
    {
        (self, other)
    }

    /// The other key counts for requests that do not have this one.
    ///
    /// A client of the one kind is never one of the other, whatever the values are. Where the client
    /// chooses this key, a [`ClientHeader`] that nobody has checked, it gets around the other by
    /// making up values.
    fn or<K: ClientKey>(self, other: K) -> Or<Self, K>
    where
        Self: Sized,
    {
        Or::new(self, other)
    }
}

/// The kinds of keys: each hashes its own first, so that no two kinds can meet.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Kind {
    V4,
    V6,
    Header,
    Path,
    Closure,
}
