//! What a request's header section says to a cache, read in one walk.
//!
//! A hit looks at a dozen fields of which most requests carry none: one walk over the few that are
//! there costs less than a dozen look-ups.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields that matter, as found.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts<'a> {
    /// The first `Host` line.
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) several_hosts: bool,
    /// `Authorization`, or a field that counts as that.
    pub(crate) authorization: bool,
    pub(crate) cookie: bool,
    /// `Cache-Control` or `Pragma`.
    pub(crate) directives: bool,
    /// `If-None-Match` or `If-Modified-Since`, which a cache may answer.
    pub(crate) conditions: bool,
    /// `Range`, which a cache may answer from what it has.
    pub(crate) range: bool,
    /// The content, should there be any, comes in chunks.
    pub(crate) chunked: bool,
    /// Upgrades, and conditions that only the origin may judge (RFC 9111 section 4.3.2): passed on.
    pub(crate) not_ours: bool,
    /// A field that changes the answer although no `Vary` names it.
    pub(crate) target_override: bool,
    /// A field that asks for another method than the request line's.
    pub(crate) method_override: bool,
}

impl<'a> Facts<'a> {
    pub(crate) fn read(headers: &'a HeaderMap, credentials: &Names) -> Self {
        let mut facts = Self::default();
        for (name, value) in headers {
            facts.authorization |= credentials.contains(name);
            match name.as_str() {
                "host" if facts.host.is_some() => facts.several_hosts = true,
                "host" => facts.host = Some(value),
                "authorization" => facts.authorization = true,
                "cookie" => facts.cookie = true,
                "cache-control" | "pragma" => facts.directives = true,
                "if-none-match" | "if-modified-since" => facts.conditions = true,
                "range" => facts.range = true,
                "transfer-encoding" => facts.chunked = true,
                "upgrade" | "if-match" | "if-unmodified-since" => facts.not_ours = true,
                "x-http-method" | "x-http-method-override" | "x-method-override" => {
                    facts.method_override = true;
                }
                name => facts.target_override |= is_target_override(name),
            }
        }
        facts
    }
}

/// Fields that carry credentials besides `Authorization`, by wide custom.
pub(crate) const CREDENTIALS: [HeaderName; 4] = [
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-access-token"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
];

/// Names that every field of every request is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    all: Box<[HeaderName]>,
    /// A bit for each of their lengths, modulo 64: most fields are told apart by that.
    lengths: u64,
}

impl Names {
    pub(crate) fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        let all: Box<[HeaderName]> = names.into_iter().collect();
        let lengths = all.iter().fold(0, |bits, name| bits | length_bit(name));
        Self { all, lengths }
    }

    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.lengths & length_bit(name) != 0 && self.all.contains(name)
    }

    pub(crate) fn all(&self) -> &[HeaderName] {
        &self.all
    }
}

fn length_bit(name: &HeaderName) -> u64 {
    1 << (name.as_str().len() % 64)
}

/// Fields by which a service may be told another scheme, host, port or path than the target's.
///
/// A load balancer sends the same value with every request. `X-Forwarded-For` and its kin are
/// missing on purpose: they differ for every client.
pub(crate) fn is_target_override(name: &str) -> bool {
    // Most fields of a request are told apart by their first byte.
    matches!(name.as_bytes().first(), Some(b'x' | b'f'))
        && matches!(
            name,
            "forwarded"
                | "x-forwarded-host"
                | "x-forwarded-path"
                | "x-forwarded-port"
                | "x-forwarded-prefix"
                | "x-forwarded-proto"
                | "x-forwarded-protocol"
                | "x-forwarded-scheme"
                | "x-forwarded-server"
                | "x-forwarded-ssl"
                | "x-forwarded-uri"
                | "x-host"
                | "x-http-host-override"
                | "x-original-host"
                | "x-original-uri"
                | "x-original-url"
                | "x-rewrite-url"
                | "x-url-scheme"
        )
}
