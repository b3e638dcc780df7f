//! What an answer says of its own caching, wherever it says it.

use super::directives::{DELTA_MAX, ResponseDirectives, Scope};
use super::structured::Member;
use super::targeted::targeted;
use crate::policy::CachePolicy;
use http::{HeaderMap, HeaderName};
use std::time::Duration;

/// The directives that count for this cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    pub(crate) directives: ResponseDirectives,
    /// A word meant for us has been found: `Expires` does not count (RFC 9213 section 2.2).
    pub(crate) overrides_expires: bool,
}

impl Stated {
    /// The first of the targeted fields that says anything, else `Cache-Control`.
    pub(crate) fn of(headers: &HeaderMap, targets: &[HeaderName]) -> Self {
        match targeted(headers, targets) {
            Some(members) => Self {
                directives: directives(&members),
                overrides_expires: true,
            },
            None => Self {
                directives: ResponseDirectives::parse(headers),
                overrides_expires: false,
            },
        }
    }

    /// What the handler says on top, of its own answer: it is nearer than any field.
    pub(crate) fn heed(mut self, policy: &CachePolicy) -> Self {
        if let Some(ttl) = policy.ttl {
            self = Self {
                directives: ResponseDirectives {
                    max_age: Some(ttl),
                    ..ResponseDirectives::default()
                },
                overrides_expires: true,
            };
        }
        let directives = &mut self.directives;
        directives.no_store |= policy.no_store;
        // What lifts a no-store of the fields does not lift the handler's own.
        directives.must_understand &= !policy.no_store;
        directives.public |= policy.public;
        for (stated, told) in [
            (
                &mut directives.stale_while_revalidate,
                policy.stale_while_revalidate,
            ),
            (&mut directives.stale_if_error, policy.stale_if_error),
        ] {
            *stated = told.or(*stated);
        }
        self
    }
}

/// The members of a targeted field as directives; unknown ones are without effect (RFC 9213 section
/// 2.2).
fn directives(members: &[(String, Member)]) -> ResponseDirectives {
    let mut all = ResponseDirectives::default();
    for (name, member) in members {
        let seconds = || {
            let seconds = member.seconds().unwrap_or_default();
            Some(Duration::from_secs(seconds.min(DELTA_MAX)))
        };
        let scope = || {
            if member.forbids() {
                Scope::Whole
            } else {
                Scope::Nothing
            }
        };
        match name.as_str() {
            "no-store" => all.no_store = member.forbids(),
            "no-cache" => all.no_cache = scope(),
            "private" => all.private = scope(),
            "public" => all.public = member.allows(),
            "must-revalidate" => all.must_revalidate = member.forbids(),
            "proxy-revalidate" => all.proxy_revalidate = member.forbids(),
            "must-understand" => all.must_understand = member.allows(),
            "immutable" => all.immutable = member.allows(),
            "max-age" => all.max_age = seconds(),
            "s-maxage" => all.s_maxage = seconds(),
            "stale-while-revalidate" => all.stale_while_revalidate = seconds(),
            "stale-if-error" => all.stale_if_error = seconds(),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");

    fn stated(fields: &[(HeaderName, &'static str)]) -> Stated {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        Stated::of(&headers, &[CDN])
    }

    #[test]
    fn a_targeted_field_replaces_cache_control_and_expires() {
        let all = stated(&[
            (
                CDN,
                "max-age=60, private=?0, must-revalidate, x, max-age;y=60",
            ),
            (header::CACHE_CONTROL, "no-store"),
        ]);
        assert!(all.overrides_expires && !all.directives.no_store);
        assert!(all.directives.must_revalidate && !all.directives.private.is_whole());
        // A bare key is `true`, which is no number of seconds.
        assert_eq!(all.directives.max_age, Some(Duration::ZERO));
        let all = stated(&[(CDN, "max-age=99999999999, no-cache, stale-if-error=5")]);
        assert_eq!(all.directives.max_age, Some(Duration::from_secs(DELTA_MAX)));
        assert!(all.directives.no_cache.is_whole());
        assert_eq!(all.directives.stale_if_error, Some(Duration::from_secs(5)));
        let all = stated(&[(CDN, "max-age=60, &"), (header::CACHE_CONTROL, "no-store")]);
        assert!(!all.overrides_expires && all.directives.no_store);
    }

    #[test]
    fn a_handler_is_nearer_than_any_field() {
        let fields = [(
            header::CACHE_CONTROL,
            "private, max-age=5, stale-if-error=7",
        )];
        let minute = Duration::from_secs(60);
        let told = |policy: CachePolicy| stated(&fields).heed(&policy);
        let all = told(
            CachePolicy::new()
                .ttl(minute)
                .stale_while_revalidate(minute),
        );
        assert!(all.overrides_expires && !all.directives.private.is_whole());
        assert_eq!(all.directives.max_age, Some(minute));
        assert_eq!(all.directives.stale_while_revalidate, Some(minute));
        assert_eq!(all.directives.stale_if_error, None);
        let all = told(CachePolicy::new().tag("x").public());
        assert!(!all.overrides_expires && all.directives.private.is_whole());
        assert_eq!(all.directives.stale_if_error, Some(Duration::from_secs(7)));
        assert!(all.directives.public);
        for policy in [CachePolicy::new().ttl(minute), CachePolicy::new()] {
            let fields = [(header::CACHE_CONTROL, "must-understand, max-age=5")];
            let directives = stated(&fields).heed(&policy.no_store()).directives;
            assert!(directives.no_store && !directives.must_understand);
        }
    }
}
