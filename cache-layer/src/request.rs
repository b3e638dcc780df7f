//! What a request's header section says to a cache, read in one walk.
//!
//! A hit looks at a dozen fields of which most requests carry none: one walk over the few that are
//! there costs less than a dozen look-ups.

use crate::key::{OverrideFields, dashed};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

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
    /// A field that changes the answer although no `Vary` names it, among those that are set.
    pub(crate) target_override: bool,
    /// A field that asks for another method than the request line's. One in the query, as `_method`, is
    /// in the key as all of the query is, and frameworks heed it in a POST only.
    pub(crate) method_override: bool,
}

impl<'a> Facts<'a> {
    pub(crate) fn read(
        headers: &'a HeaderMap,
        credentials: &Names,
        overrides: &OverrideFields,
    ) -> Self {
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
                other if overrides.may_contain(other) => {
                    facts.method_override |= is_method_override(other);
                    facts.target_override |= overrides.contain(name, value);
                }
                _ => {}
            }
        }
        if let OverrideFields::These(_) = overrides {
            // They may be among those above too, such as a cookie.
            let is_override = |(name, value)| overrides.contain(name, value);
            facts.target_override = headers.iter().any(is_override);
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

fn is_method_override(name: &str) -> bool {
    matches!(
        &*dashed(name),
        "x-http-method" | "x-http-method-override" | "x-method-override" | "x-original-method"
    )
}

/// The URI that the client asked for.
#[cfg(feature = "axum")]
pub(crate) fn target_uri<B>(request: &Request<B>) -> &Uri {
    // A nested router strips its prefix: two nests would share keys.
    request
        .extensions()
        .get::<axum::extract::OriginalUri>()
        .map_or(request.uri(), |original| &original.0)
}

/// The URI that the client asked for.
#[cfg(not(feature = "axum"))]
pub(crate) fn target_uri<B>(request: &Request<B>) -> &Uri {
    request.uri()
}
