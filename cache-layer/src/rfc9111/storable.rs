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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Policy = Policy {
        max_body_bytes: 1000,
        default_ttl: Some(Duration::from_secs(9)),
        heuristic: false,
        set_cookie: SetCookie::Refuse,
    };
    const ANYONE: Asked = Asked {
        no_store: false,
        authorization: false,
        cookie: false,
    };

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn decide(
        asked: Asked,
        status: u16,
        fields: &[(&'static str, &str)],
    ) -> Result<Storable, Refusal> {
        let status = StatusCode::from_u16(status).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        storable(
            asked,
            status,
            &map(fields),
            None,
            Duration::ZERO,
            now,
            POLICY,
        )
    }

    fn cache_control(status: u16, value: &str) -> Result<u64, Refusal> {
        decide(ANYONE, status, &[("cache-control", value)]).map(|ok| ok.lifetime.as_secs())
    }

    #[test]
    fn directives_that_forbid() {
        use Refusal::*;
        for (value, why) in [
            ("no-store, max-age=60", NoStore),
            ("private, max-age=60", Private),
            ("private=\"x\", max-age=60", Private),
            ("no-cache, max-age=60", NoCache),
            ("max-age=0", NotFresh),
            ("s-maxage=0, max-age=60", NotFresh),
            ("max-age=-1", NotFresh),
        ] {
            assert_eq!(cache_control(200, value), Err(why), "{value}");
        }
        assert_eq!(
            decide(
                Asked {
                    no_store: true,
                    ..ANYONE
                },
                200,
                &[]
            ),
            Err(NoStore)
        );
    }

    #[test]
    fn heuristics_are_for_those_who_say_nothing() {
        let policy = Policy {
            heuristic: true,
            default_ttl: None,
            ..POLICY
        };
        let lifetime = |status, fields: &[(&'static str, &str)]| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
            let status = StatusCode::from_u16(status).unwrap();
            storable(
                ANYONE,
                status,
                &map(fields),
                None,
                Duration::ZERO,
                now,
                policy,
            )
            .map(|ok| (ok.lifetime.as_secs(), ok.own_lifetime))
        };
        let modified = ("last-modified", "Sun, 06 Nov 1994 07:49:37 GMT");
        for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
            assert_eq!(lifetime(status, &[modified]), Ok((360, true)), "{status}");
        }
        for status in [201, 302, 403, 500, 503, 599] {
            assert_eq!(
                lifetime(status, &[modified]),
                Err(Refusal::NotFresh),
                "{status}"
            );
            let public = [modified, ("cache-control", "public")];
            assert_eq!(lifetime(status, &public), Ok((360, true)), "{status}");
        }
        let stated = [modified, ("cache-control", "max-age=5")];
        assert_eq!(lifetime(200, &stated), Ok((5, false)));
        let expired = [modified, ("expires", "0")];
        assert_eq!(lifetime(200, &expired), Err(Refusal::NotFresh));
        assert_eq!(lifetime(200, &[]), Err(Refusal::NotFresh));
    }

    #[test]
    fn must_understand_lifts_no_store_for_known_statuses_only() {
        assert_eq!(
            cache_control(200, "must-understand, no-store, max-age=60"),
            Ok(60)
        );
        let unknown = cache_control(299, "must-understand, no-store, max-age=60");
        assert_eq!(unknown, Err(Refusal::NoStore));
        let unknown = cache_control(299, "must-understand, max-age=60");
        assert_eq!(unknown, Err(Refusal::Status));
    }

    #[test]
    fn any_final_status_by_explicit_word_few_by_default() {
        for status in [200, 203, 302, 307, 404, 410, 418, 500, 503, 599] {
            assert_eq!(cache_control(status, "max-age=60"), Ok(60), "{status}");
        }
        for status in [206, 304, 428, 429, 431, 511] {
            assert_eq!(
                cache_control(status, "max-age=60"),
                Err(Refusal::Status),
                "{status}"
            );
        }
        for status in [200, 203, 204, 300, 301, 308] {
            assert_eq!(cache_control(status, ""), Ok(9), "{status}");
        }
        for status in [201, 302, 307, 404, 410, 500, 503] {
            assert_eq!(
                cache_control(status, ""),
                Err(Refusal::NotFresh),
                "{status}"
            );
        }
    }

    #[test]
    fn credentials_need_the_origins_word() {
        let authorized = Asked {
            authorization: true,
            ..ANYONE
        };
        let cookied = Asked {
            cookie: true,
            ..ANYONE
        };
        for (value, authorization, cookie) in [
            ("max-age=60", false, false),
            ("max-age=60, immutable", false, false),
            ("max-age=60, proxy-revalidate", false, false),
            ("max-age=60, must-revalidate", true, false),
            ("max-age=60, public", true, true),
            ("s-maxage=60", true, true),
        ] {
            let fields = &[("cache-control", value)];
            assert_eq!(
                decide(authorized, 200, fields).is_ok(),
                authorization,
                "{value}"
            );
            assert_eq!(decide(cookied, 200, fields).is_ok(), cookie, "{value}");
        }
    }

    #[test]
    fn set_cookie_vary_age_and_size_keep_out() {
        let fresh = ("cache-control", "max-age=60, public");
        assert_eq!(
            decide(ANYONE, 200, &[fresh, ("set-cookie", "a=b")]),
            Err(Refusal::SetCookie)
        );
        assert_eq!(
            decide(ANYONE, 200, &[fresh, ("vary", "*")]),
            Err(Refusal::Vary)
        );
        let big = "x".repeat(MAX_HEADER_BYTES);
        assert_eq!(
            decide(ANYONE, 200, &[fresh, ("x-big", &big)]),
            Err(Refusal::TooLarge)
        );
        let now = SystemTime::now();
        let of = |length, age| {
            let age = Duration::from_secs(age);
            storable(
                ANYONE,
                StatusCode::OK,
                &map(&[fresh]),
                length,
                age,
                now,
                POLICY,
            )
        };
        assert_eq!(of(Some(1001), 0), Err(Refusal::TooLarge));
        assert!(of(Some(1000), 59).is_ok());
        assert_eq!(of(Some(1000), 60), Err(Refusal::NotFresh));
    }

    proptest! {
        #[test]
        fn a_forbidding_directive_is_never_outvoted(
            forbid in prop::sample::select(vec!["no-store", "Private", "NO-CACHE", "private=\"a,b\""]),
            allow in prop::sample::subsequence(vec!["public", "max-age=99", "s-maxage=9", "immutable"], 0..4),
            at in 0usize..4, status in 200u16..600,
        ) {
            let mut list: Vec<&str> = allow;
            list.insert(at.min(list.len()), forbid);
            prop_assert!(cache_control(status, &list.join(", ")).is_err());
        }
    }
}
