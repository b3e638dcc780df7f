//! Settings: which answers enter, and whom they serve.

use super::CacheLayer;
use crate::policy::LONGEST;
use crate::rfc9111::storable::{Cookies, SetCookie};
use std::time::Duration;

impl CacheLayer {
    /// The longest body that is stored, in bytes; default 1 MiB, never more than the whole cache.
    ///
    /// A longer one streams through and is not stored.
    pub fn max_entry_bytes(mut self, bytes: u64) -> Self {
        self.setting().max_entry_bytes = bytes;
        self
    }

    /// What becomes of answers with `Set-Cookie`; they are not stored by default.
    pub fn set_cookie(mut self, set_cookie: SetCookie) -> Self {
        self.setting().set_cookie = set_cookie;
        self
    }

    /// What becomes of requests with `Cookie`; by default they share only what says that it is for
    /// everybody.
    pub fn cookies(mut self, cookies: Cookies) -> Self {
        self.setting().cookies = cookies;
        self
    }

    /// Whether an answer to POST that states its lifetime, and in `Content-Location` that it is what a
    /// GET of the same URI would get, answers later GET requests (RFC 9110 section 9.3.3); off by
    /// default.
    pub fn store_post(mut self, on: bool) -> Self {
        self.setting().store_post = on;
        self
    }

    /// Whether answers to QUERY are stored, with the request's content as part of the key (RFC 10008
    /// section 2.7); off by default.
    pub fn query(mut self, on: bool) -> Self {
        self.setting().query = on;
        self
    }

    /// A gRPC method whose answers are stored, with the request's content as part of the key, by its
    /// path, such as `/package.Service/Method`; none by default.
    ///
    /// Only for unary methods that change nothing. Answers live as long as their `cache-control`
    /// metadata say, else for `ttl` (more than 68 years count as 68), and only with status OK. What
    /// was asked for with `authorization` metadata is not shared, unless it says `public`.
    ///
    /// # Panics
    ///
    /// If the path does not begin with a slash, or `ttl` is zero.
    #[track_caller]
    pub fn grpc_method(mut self, path: &str, ttl: Duration) -> Self {
        assert!(
            path.starts_with('/'),
            "grpc_method is {path:?}, but must be like \"/package.Service/Method\""
        );
        assert!(
            !ttl.is_zero(),
            "the ttl of grpc_method {path:?} is 0 s, but must be longer"
        );
        self.setting().grpc.push((path.into(), ttl.min(LONGEST)));
        self
    }

    /// The longest content of a QUERY or gRPC request that becomes part of a key, in bytes; 64 KiB by
    /// default. Requests with more are passed on.
    pub fn max_key_content(mut self, bytes: u64) -> Self {
        self.setting().max_key_content = bytes;
        self
    }
}
