//! A request header as the client key.

use super::{ClientKey, Kind};
use crate::head::Head;
use http::HeaderName;
use http::header::{GetAll, HeaderValue};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

/// The value of one request header as the key: an API key, a tenant, a user id.
///
/// All lines of the field count, without the blanks around each. A request without it, or with
/// nothing in it, has no key. The same value under two field names is two clients.
///
/// The client chooses this key: unless something before the limiter has checked it, a client that
/// makes up a new value for each request is a new client each time. That holds for a second line
/// beside a good one, too.
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
        let lines = head.headers.get_all(&self.name);
        let key = HeaderKey {
            name: &self.name,
            lines,
        };
        let says_something = key.lines().any(|line| !line.is_empty());
        says_something.then_some(key)
    }

    /// The field's name and eight hexadecimal digits, `x-api-key#5f3a91c0`: a hash of the value under
    /// a secret that each process draws anew, so that a value can be followed and not be guessed.
    fn label(&self, head: &Head<'_>) -> Option<String> {
        static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let hash = SECRET.hash_one(self.key(head)?);
        Some(format!("{}#{:08x}", self.name, hash >> 32))
    }
}

/// The lines of one header field.
#[derive(Debug)]
pub struct HeaderKey<'a> {
    name: &'a HeaderName,
    lines: GetAll<'a, HeaderValue>,
}

impl HeaderKey<'_> {
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        // HTTP/1 parsers take blanks away, HTTP/2 leaves them.
        self.lines.iter().map(|line| line.as_bytes().trim_ascii())
    }
}

impl Hash for HeaderKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(Kind::Header as u8);
        self.name.as_str().hash(state);
        state.write_usize(self.lines().count());
        // A slice hashes its length first, so two lines never look like one.
        self.lines().for_each(|line| line.hash(state));
    }
}
