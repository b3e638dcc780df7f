//! Keys made of keys: both, one or the other, one or none.

use super::ClientKey;
use crate::head::Head;

/// Both: see [`ClientKey::and`].
impl<A: ClientKey, B: ClientKey> ClientKey for (A, B) {
    type Key<'a>
        = (A::Key<'a>, B::Key<'a>)
    where
        Self: 'a;

    fn key<'a>(&'a self, head: &Head<'a>) -> Option<Self::Key<'a>> {
        self.0.key(head).zip(self.1.key(head))
    }

    /// The names of both, or of the one that has any.
    fn label(&self, head: &Head<'_>) -> Option<String> {
        match (self.0.label(head), self.1.label(head)) {
            (Some(one), Some(other)) => Some(format!("{one} {other}")),
            (one, other) => one.or(other),
        }
    }
}

/// One or the other: see [`ClientKey::or`].
#[derive(Debug, Clone, Copy)]
pub struct Or<A, B>(A, B);

impl<A, B> Or<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self(first, second)
    }
}

/// The key of one of two kinds; its hash begins with which.
#[derive(Debug, Hash)]
pub enum OneOf<A, B> {
    /// The first had a key.
    First(A),
    /// The first had none, the second had.
    Second(B),
}

impl<A: ClientKey, B: ClientKey> ClientKey for Or<A, B> {
    type Key<'a>
        = OneOf<A::Key<'a>, B::Key<'a>>
    where
        Self: 'a;

    fn key<'a>(&'a self, head: &Head<'a>) -> Option<Self::Key<'a>> {
        match self.0.key(head) {
            Some(key) => Some(OneOf::First(key)),
            None => self.1.key(head).map(OneOf::Second),
        }
    }

    /// The name of the one that has the key, and of no other.
    fn label(&self, head: &Head<'_>) -> Option<String> {
        match self.0.key(head) {
            Some(_) => self.0.label(head),
            None => self.1.label(head),
        }
    }
}

/// A key that can be left out, by a setting for one: without it no request has a key.
///
/// `Option` has an `or` of its own, so write [`ClientKey::or`] in full:
///
/// ```
/// use http::HeaderName;
/// use ratelimit_layer::{ClientHeader, ClientIp, ClientKey};
///
/// # let key_header: Option<HeaderName> = None;
/// let client = ClientKey::or(key_header.map(ClientHeader::new), ClientIp::peer());
/// ```
impl<K: ClientKey> ClientKey for Option<K> {
    type Key<'a>
        = K::Key<'a>
    where
        Self: 'a;

    fn key<'a>(&'a self, head: &Head<'a>) -> Option<K::Key<'a>> {
        self.as_ref()?.key(head)
    }

    fn label(&self, head: &Head<'_>) -> Option<String> {
        self.as_ref()?.label(head)
    }
}
