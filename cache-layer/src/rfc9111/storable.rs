//! May an answer be stored? (RFC 9111 section 3)

use super::directives::ResponseDirectives;
use super::lifetime::{Configured, lifetime};
use super::reuse::{Rules, Staleness};
use super::stated::Stated;
use super::status::{is_error, never_stored, understood};
use super::validation::has_validator;
use super::vary;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use smallvec::SmallVec;
use std::time::{Duration, SystemTime};

/// What the request says that decides over storing its answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// `Cache-Control: no-store` in the request (section 5.2.1.5).
    pub(crate) no_store: bool,
    /// Whether it carries `Authorization` (section 3.5), or a field that counts as that.
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

/// What becomes of requests with `Cookie`.
///
/// RFC 9111 leaves it to the origin to say that an answer depends on a cookie; many forget to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Cookies {
    /// Answers that say `public` or `s-maxage` are shared with them, others are not.
    #[default]
    Mind,
    /// They are served and stored as if they had none: for origins whose cookies never change an
    /// answer that may be stored.
    Ignore,
    /// They are passed on; the cache has no part in them.
    Bypass,
}

/// What becomes of requests with `Authorization`, or with a field that counts as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// Answers that say `public`, `s-maxage` or `must-revalidate` are shared with them, others are not
    /// (RFC 9111 section 3.5).
    #[default]
    Mind,
    /// They are passed on; the cache has no part in them.
    Bypass,
}

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy<'a> {
    pub(crate) max_body_bytes: u64,
    pub(crate) max_header_bytes: u64,
    pub(crate) max_vary_names: usize,
    /// Fields that count as `Authorization`.
    pub(crate) credentials: &'a [HeaderName],
    /// Fields on which an answer may vary although most caches are better off without.
    pub(crate) vary_on: &'a [HeaderName],
    pub(crate) lifetimes: Configured<'a>,
    pub(crate) set_cookie: SetCookie,
    /// Used where the answer says nothing else.
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
}

/// The head of an answer, as it bears on storing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) stated: &'a Stated,
    /// Octets of the body, if they are known otherwise than by the fields.
    pub(crate) body_length: Option<u64>,
    /// `corrected_initial_age`.
    pub(crate) age: Duration,
    pub(crate) received: SystemTime,
    /// A 206 to a `Range` of one part, which may be stored as that part (section 3.3).
    pub(crate) is_part: bool,
}

/// What an answer that may be stored is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Storable {
    pub(crate) rules: Rules,
    pub(crate) shared_with: Sharing,
    pub(crate) vary: SmallVec<[HeaderName; 2]>,
    /// Fields that `private` or `no-cache` keeps out of the store.
    pub(crate) left_out: SmallVec<[HeaderName; 1]>,
    /// It can be reused without asking, so those who wait for it may have it.
    pub(crate) fresh: bool,
}

/// Which requests with credentials an answer may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sharing {
    authorization: bool,
    cookie: bool,
}

impl Sharing {
    fn of(directives: &ResponseDirectives, varies_on_cookie: bool) -> Self {
        let explicit = directives.public || directives.s_maxage.is_some();
        Self {
            // Section 3.5 names exactly these three.
            authorization: explicit || directives.must_revalidate,
            // No rule of the RFC: an answer to a cookie is personal until its origin says otherwise,
            // or says, and is heard, that it is for this cookie.
            cookie: explicit || varies_on_cookie,
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
    /// A status that is interim, partial, forbidden to store, or not understood.
    Status,
    /// Credentials in the request, and no word that the answer is for everyone.
    Credentials,
    /// `Set-Cookie` in the response.
    SetCookie,
    /// A `Vary` that cannot be matched.
    Vary,
    /// No lifetime, or none left, and nothing by which the origin could confirm it.
    NotFresh,
    /// A body or a header block over the limit.
    TooLarge,
    /// A server error, where something better is there and may still be used.
    Worse,
    /// Something was invalidated meanwhile, this perhaps.
    Invalidated,
    /// More groups or tags than can be kept.
    Groups,
    /// A `Content-Length` that is not one number, or an end that cannot be told from a break.
    Length,
}

/// Decides at the head of an answer, before anyone else may see a byte of it.
pub(crate) fn storable(
    asked: Asked,
    answered: &Answered<'_>,
    policy: Policy<'_>,
) -> Result<Storable, Refusal> {
    let &Answered {
        status, headers, ..
    } = answered;
    let directives = &answered.stated.directives;
    // Section 5.2.2.3: must-understand lifts no-store, but only for a status whose rules we know.
    let understood = understood(status);
    if asked.no_store || (directives.no_store && !(directives.must_understand && understood)) {
        return Err(Refusal::NoStore);
    }
    if directives.private.is_whole() {
        return Err(Refusal::Private);
    }
    if never_stored(status, answered.is_part) || (directives.must_understand && !understood) {
        return Err(Refusal::Status);
    }
    let refused = |name: &HeaderName| {
        (vary::REFUSED.contains(name) || policy.credentials.contains(name))
            && !policy.vary_on.contains(name)
    };
    let vary = vary::nominated(headers, policy.max_vary_names, refused);
    let varies_on_cookie = vary
        .as_ref()
        .is_ok_and(|vary| vary.contains(&header::COOKIE));
    let shared_with = Sharing::of(directives, varies_on_cookie);
    if !shared_with.allows(asked) {
        return Err(Refusal::Credentials);
    }
    let mut left_out: SmallVec<[HeaderName; 1]> = SmallVec::new();
    for scope in [&directives.private, &directives.no_cache] {
        left_out.extend(scope.fields().iter().cloned());
    }
    let sets_cookie = headers.contains_key(header::SET_COOKIE);
    if policy.set_cookie == SetCookie::Refuse
        && sets_cookie
        && !left_out.contains(&header::SET_COOKIE)
    {
        return Err(Refusal::SetCookie);
    }
    if policy.set_cookie == SetCookie::Strip && sets_cookie {
        left_out.push(header::SET_COOKIE);
    }
    let vary = vary.map_err(|_| Refusal::Vary)?;
    let lifetime = lifetime(answered, &policy.lifetimes).ok_or(Refusal::NotFresh)?;
    if content_length(headers)?
        .or(answered.body_length)
        .is_some_and(|length| length > policy.max_body_bytes)
        || header_bytes(headers) > policy.max_header_bytes
    {
        return Err(Refusal::TooLarge);
    }
    let rules = Rules {
        lifetime,
        validate: directives.no_cache.is_whole(),
        immutable: directives.immutable,
        stale: staleness(status, directives, policy),
    };
    let fresh = !rules.validate && lifetime > answered.age;
    if !fresh && !has_validator(headers) && !rules.outlives(answered.age) {
        return Err(Refusal::NotFresh);
    }
    Ok(Storable {
        rules,
        shared_with,
        vary,
        left_out,
        fresh,
    })
}

/// Section 4.2.4: what forbids stale use, and RFC 5861: what allows it.
fn staleness(status: StatusCode, directives: &ResponseDirectives, policy: Policy<'_>) -> Staleness {
    // An error is used past its lifetime only where it says so itself.
    let unless_error = |time| {
        if is_error(status) {
            Duration::ZERO
        } else {
            time
        }
    };
    Staleness {
        allowed: !directives.forbids_stale(),
        while_revalidate: directives
            .stale_while_revalidate
            .unwrap_or(unless_error(policy.stale_while_revalidate)),
        if_error: directives
            .stale_if_error
            .unwrap_or(unless_error(policy.stale_if_error)),
    }
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

/// As HTTP/1.1 writes it.
pub(crate) fn field_bytes(name: &HeaderName, value: &HeaderValue) -> u64 {
    (name.as_str().len() + value.len() + ": \r\n".len()) as u64
}

pub(crate) fn header_bytes(headers: &HeaderMap) -> u64 {
    let fields = headers.iter();
    fields.map(|(name, value)| field_bytes(name, value)).sum()
}

#[cfg(test)]
mod tests;
