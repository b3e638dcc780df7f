//! May a stored answer serve this request without asking the origin? (RFC 9111 section 4)

use super::directives::RequestDirectives;
use std::time::Duration;

/// Why a request is not answered from the store, in the words of RFC 9211 section 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Nothing is stored under this URI.
    UriMiss,
    /// Something is stored, but for other request fields.
    VaryMiss,
    /// What is stored is not fresh any more.
    Stale,
    /// The client asked for more than what is stored can give.
    Request,
    /// The method is not one a cache answers.
    Method,
    /// The cache was not asked: the request is outside of what it handles.
    Bypass,
}

/// Decides on an answer that matches the request, is `age` old and fresh for `lifetime` in all.
pub(crate) fn reusable(
    wants: &RequestDirectives,
    age: Duration,
    lifetime: Duration,
) -> Result<(), Forward> {
    // Section 4.2: fresh means lifetime > age.
    if lifetime <= age {
        return Err(Forward::Stale);
    }
    // Section 5.2.1: what the client demands beyond that.
    if wants.no_cache
        || wants.max_age.is_some_and(|most| age > most)
        || wants.min_fresh.is_some_and(|least| lifetime - age < least)
    {
        return Err(Forward::Request);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_clients_demands() {
        let plain = RequestDirectives::default();
        assert_eq!(reusable(&plain, s(9), s(10)), Ok(()));
        assert_eq!(reusable(&plain, s(10), s(10)), Err(Forward::Stale));
        let wants = RequestDirectives {
            max_age: Some(s(5)),
            ..plain.clone()
        };
        assert_eq!(reusable(&wants, s(5), s(10)), Ok(()));
        assert_eq!(reusable(&wants, s(6), s(10)), Err(Forward::Request));
        let wants = RequestDirectives {
            min_fresh: Some(s(5)),
            ..plain.clone()
        };
        assert_eq!(reusable(&wants, s(5), s(10)), Ok(()));
        assert_eq!(reusable(&wants, s(6), s(10)), Err(Forward::Request));
        let wants = RequestDirectives {
            no_cache: true,
            ..plain
        };
        assert_eq!(reusable(&wants, s(0), s(10)), Err(Forward::Request));
    }

    proptest! {
        #[test]
        fn never_beyond_the_lifetime(
            age in 0u64..1 << 33, lifetime in 0u64..1 << 33,
            max_age in proptest::option::of(0u64..1 << 32),
            min_fresh in proptest::option::of(0u64..1 << 32),
        ) {
            let wants = RequestDirectives {
                max_age: max_age.map(s), min_fresh: min_fresh.map(s), ..Default::default()
            };
            if reusable(&wants, s(age), s(lifetime)).is_ok() {
                prop_assert!(age < lifetime);
                prop_assert!(max_age.is_none_or(|most| age <= most));
            }
        }
    }
}
