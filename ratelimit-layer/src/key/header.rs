//! A request header as the client key.

use super::{ClientKey, Kind};
use crate::head::Head;
use http::HeaderName;
use http::header::{GetAll, HeaderValue};
use std::hash::{Hash, Hasher};

/// The value of one request header as the key: an API key, a tenant, a user id.
///
/// All lines of the field count. A request without it has no key. The client chooses this key:
/// unless something before the limiter has checked it, a client that makes up a new value for each
/// request is a new client each time.
///
/// # Examples
///
/// ```
/// use http::HeaderName;
/// use ratelimit_layer::{ClientHeader, Quota, RateLimitLayer};
///
/// let per_api_key = RateLimitLayer::new(Quota::per_minute(600))
///     .with_key(ClientHeader::new(HeaderName::from_static("x-api-key")));
/// ```
#[derive(Debug, Clone)]
pub struct ClientHeader {
    name: HeaderName,
}

impl ClientHeader {
    /// Clients are told apart by the value of this header.
    #[must_use]
    pub fn new(name: HeaderName) -> Self {
        Self { name }
    }
}

impl ClientKey for ClientHeader {
    type Key<'a> = HeaderKey<'a>;

    fn key<'a>(&'a self, head: &Head<'a>) -> Option<HeaderKey<'a>> {
        head.headers
            .contains_key(&self.name)
            .then(|| HeaderKey(head.headers.get_all(&self.name)))
    }
}

/// The lines of one header field.
#[derive(Debug)]
pub struct HeaderKey<'a>(GetAll<'a, HeaderValue>);

impl Hash for HeaderKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Kind::Header.hash(state);
        for line in &self.0 {
            // A slice hashes its length first, so two lines never look like one.
            line.as_bytes().hash(state);
        }
    }
}
