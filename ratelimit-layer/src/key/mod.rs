//! Whom a request counts for: [`ClientKey`] and the keys that come with the crate.

mod address;
mod forwarded;
mod header;
mod network;
mod peer;
#[cfg(test)]
mod tests;

pub use address::{ClientIp, ProxyHeader, Unreadable};
pub use header::ClientHeader;

use crate::head::Head;
use std::hash::Hash;
use std::marker::PhantomData;

/// A way to tell clients apart by their requests.
///
/// [`ClientIp`] and [`ClientHeader`] implement it; a closure is one by way of
/// [`key_by`](crate::RateLimitLayer::key_by). Only the hash of a key is kept, under seeds drawn
/// anew for each limiter.
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
}

/// The kinds of keys: each hashes its own first, so that no two kinds can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    V4,
    V6,
    Header,
    Closure,
}

/// A closure as a [`ClientKey`].
pub struct KeyFn<F, K> {
    key: F,
    kind: PhantomData<fn() -> K>,
}

impl<F, K> KeyFn<F, K> {
    pub(crate) fn new(key: F) -> Self {
        Self {
            key,
            kind: PhantomData,
        }
    }
}

impl<F, K> std::fmt::Debug for KeyFn<F, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFn").finish_non_exhaustive()
    }
}

/// A key together with its kind.
#[derive(Debug, Hash)]
pub struct Kinded<K>(Kind, K);

impl<F, K> ClientKey for KeyFn<F, K>
where
    F: Fn(&Head<'_>) -> Option<K>,
    K: Hash,
{
    type Key<'a>
        = Kinded<K>
    where
        Self: 'a;

    fn key<'a>(&'a self, head: &Head<'a>) -> Option<Kinded<K>> {
        (self.key)(head).map(|key| Kinded(Kind::Closure, key))
    }
}
