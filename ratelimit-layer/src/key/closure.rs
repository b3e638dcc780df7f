//! A closure as the client key.

use super::{ClientKey, Kind};
use crate::head::Head;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// A closure as a [`ClientKey`], for [`and`](ClientKey::and) and [`or`](ClientKey::or). Where it is
/// the whole key, [`key_by`](crate::RateLimitLayer::key_by) is shorter.
///
/// # Examples
///
/// ```
/// use ratelimit_layer::{ClientIp, ClientKey, KeyFn, Quota, RateLimitLayer};
///
/// let is_write = KeyFn::new(|head| Some(!head.method.is_safe()));
/// let reads_apart_from_writes =
///     RateLimitLayer::new(Quota::per_minute(600)).with_key(ClientIp::peer().and(is_write));
/// ```
pub struct KeyFn<F, K> {
    key: F,
    kind: PhantomData<fn() -> K>,
}

impl<F, K> KeyFn<F, K> {
    /// Clients are told apart by what the closure makes of a request; `None`: it has no key.
    pub fn new(key: F) -> Self
    where
        F: Fn(&Head<'_>) -> Option<K>,
        K: Hash,
    {
        Self {
            key,
            kind: PhantomData,
        }
    }
}

impl<F, K> fmt::Debug for KeyFn<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFn").finish_non_exhaustive()
    }
}

impl<F: Clone, K> Clone for KeyFn<F, K> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            kind: PhantomData,
        }
    }
}

/// What a closure made of a request.
#[derive(Debug)]
pub struct ClosureKey<K>(K);

impl<K: Hash> Hash for ClosureKey<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(Kind::Closure as u8);
        self.0.hash(state);
    }
}

impl<F, K> ClientKey for KeyFn<F, K>
where
    F: Fn(&Head<'_>) -> Option<K>,
    K: Hash,
{
    type Key<'a>
        = ClosureKey<K>
    where
        Self: 'a;

    fn key<'a>(&'a self, head: &Head<'a>) -> Option<ClosureKey<K>> {
        (self.key)(head).map(ClosureKey)
    }
}
