//! May an answer be stored? (RFC 9111 section 3)

use super::directives::ResponseDirectives;
use super::{freshness, vary};
use http::{HeaderMap, HeaderName, StatusCode, header};
use smallvec::SmallVec;
use std::time::{Duration, SystemTime};

/// Header blocks beyond this are not stored.
pub(crate) const MAX_HEADER_BYTES: usize = 32 * 1024;

/// What the request says that decides over storing its answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// `Cache-Control: no-store` in the request (section 5.2.1.5).
    pub(crate) no_store: bool,
    /// Whether it carries `Authorization` (section 3.5).
    pub(crate) authorization: bool,
    /// Whether it carries `Cookie`.
    pub(crate) cookie: bool,
}

/// What becomes of an answer with `Set-Cookie` that could be stored otherwise.
///
/// RFC 9111 section 7.3 leaves it to the origin to forbid storing; origins forget to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SetCookie {
    /// It is not stored.
    #[default]
    Refuse,
    /// It is stored without the field: only the client that caused it gets the cookie.
    Strip,
    /// It is stored as it is, and everybody gets the same cookie.
    Store,
}

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) max_body_bytes: u64,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) heuristic: bool,
    pub(crate) set_cookie: SetCookie,
}

/// What an answer that may be stored is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Storable {
    pub(crate) lifetime: Duration,
    /// The lifetime is of our own making, not the origin's word.
    pub(crate) own_lifetime: bool,
    pub(crate) shared_with: Sharing,
    pub(crate) vary: SmallVec<[HeaderName; 2]>,
}

/// Which requests with credentials an answer may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sharing {
    authorization: bool,
    cookie: bool,
}

impl Sharing {
    fn of(directives: &ResponseDirectives) -> Self {
        let explicit = directives.public || directives.s_maxage.is_some();
        Self {
            // Section 3.5 names exactly these three.
            authorization: explicit || directives.must_revalidate,
            // No rule of the RFC: an answer to a cookie is personal until its origin says otherwise.
            cookie: explicit,
        }
    }

    /// Whether a request with these credentials may have, or fill, this answer.
    pub(crate) fn allows(self, asked: Asked) -> bool {
        (self.authorization || !asked.authorization) && (self.cookie || !asked.cookie)
    }
}

/// Why an answer is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `no-store` of the request or of the response.
    NoStore,
    /// `private`.
    Private,
    /// `no-cache`: every use would need a validation.
    NoCache,
    /// A status that is interim, partial, forbidden to store, or not understood.
    Status,
    /// Credentials in the request, and no word that the answer is for everyone.
    Credentials,
    /// `Set-Cookie` in the response.
    SetCookie,
    /// A `Vary` that cannot be matched.
    Vary,
    /// No lifetime, or none left.
    NotFresh,
    /// A body or a header block over the limit.
    TooLarge,
    /// A `Content-Length` that is not one number.
    Length,
}

/// Decides at the head of an answer to a GET, before anyone else may see a byte of it.
pub(crate) fn storable(
    asked: Asked,
    status: StatusCode,
    headers: &HeaderMap,
    body_length: Option<u64>,
    age: Duration,
    received: SystemTime,
    policy: Policy,
) -> Result<Storable, Refusal> {
    let directives = ResponseDirectives::parse(headers);
    // Section 5.2.2.3: must-understand lifts no-store, but only for a status whose rules we know.
    let understood = heuristically_cacheable(status) || matches!(status.as_u16(), 302 | 303 | 307);
    if asked.no_store || (directives.no_store && !(directives.must_understand && understood)) {
        return Err(Refusal::NoStore);
    }
    if directives.private {
        return Err(Refusal::Private);
    }
    if directives.no_cache {
        return Err(Refusal::NoCache);
    }
    if never_stored(status) || (directives.must_understand && !understood) {
        return Err(Refusal::Status);
    }
    let shared_with = Sharing::of(&directives);
    if !shared_with.allows(asked) {
        return Err(Refusal::Credentials);
    }
    if policy.set_cookie == SetCookie::Refuse && headers.contains_key(header::SET_COOKIE) {
        return Err(Refusal::SetCookie);
    }
    let vary = vary::nominated(headers).map_err(|_| Refusal::Vary)?;
    let stated = freshness::explicit_lifetime(&directives, headers, received);
    let lifetime = stated.or_else(|| {
        // Section 4.2.2: only without a stated lifetime, and for these statuses or by `public`.
        let allowed = heuristically_cacheable(status) || directives.public;
        (policy.heuristic && allowed)
            .then(|| freshness::heuristic_lifetime(headers, received))
            .flatten()
    });
    let by_default = || policy.default_ttl.filter(|_| default_applies(status));
    let lifetime = lifetime.or_else(by_default).ok_or(Refusal::NotFresh)?;
    if lifetime <= age {
        return Err(Refusal::NotFresh);
    }
    if content_length(headers)?
        .or(body_length)
        .is_some_and(|length| length > policy.max_body_bytes)
        || header_bytes(headers) > MAX_HEADER_BYTES
    {
        return Err(Refusal::TooLarge);
    }
    Ok(Storable {
        lifetime,
        own_lifetime: stated.is_none(),
        shared_with,
        vary,
    })
}

/// Interim and partial answers, 304, and what RFC 6585 sections 3 to 6 forbid outright.
fn never_stored(status: StatusCode) -> bool {
    status.as_u16() < 200 || matches!(status.as_u16(), 206 | 304 | 428 | 429 | 431 | 511)
}

/// RFC 9110 section 15.1, less 206, which this cache does not combine.
fn heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// Errors live by their origin's word only, never by our default.
fn default_applies(status: StatusCode) -> bool {
    heuristically_cacheable(status) && status.as_u16() < 400
}

/// One number, however often it is said (RFC 9110 section 8.6).
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter().map(|line| {
        line.to_str()
            .ok()
            .and_then(|line| line.parse::<u64>().ok())
            .ok_or(Refusal::Length)
    });
    let Some(length) = lines.next().transpose()? else {
        return Ok(None);
    };
    if lines.all(|line| line == Ok(length)) {
        Ok(Some(length))
    } else {
        Err(Refusal::Length)
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

#[cfg(test)]
mod tests;
