//! May a stored answer serve this request without asking the origin? (RFC 9111 section 4)

use super::directives::{MaxStale, RequestDirectives};
use std::time::Duration;

/// Why a request is not answered from the store, in the words of RFC 9211 section 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Nothing is stored under this URI.
    UriMiss,
    /// Something is stored, but for other request fields.
    VaryMiss,
    /// What is stored is not fresh any more, or must be asked about each time.
    Stale,
    /// What is stored lacks some of the octets that are asked for.
    Partial,
    /// The client asked for more than what is stored can give.
    Request,
    /// The method is not one a cache answers.
    Method,
    /// The cache was not asked: the request is outside of what it handles.
    Bypass,
}

/// How an answer may be reused, as its head said when it was stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) lifetime: Duration,
    /// `no-cache`: the origin is asked before each use (section 5.2.2.4).
    pub(crate) validate: bool,
    /// RFC 8246: while it is fresh, nobody needs to ask.
    pub(crate) immutable: bool,
    pub(crate) stale: Staleness,
}

/// How an answer may be used past its lifetime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Staleness {
    /// Nothing forbids it (section 4.2.4).
    pub(crate) allowed: bool,
    /// RFC 5861 section 3.
    pub(crate) while_revalidate: Duration,
    /// RFC 5861 section 4.
    pub(crate) if_error: Duration,
}

impl Rules {
    /// Whether it may still be used without the origin's word at that age, by anybody.
    pub(crate) fn outlives(&self, age: Duration) -> bool {
        self.stale.allowed && self.lifetime.saturating_add(self.stale_for()) > age
    }

    /// For how long past its lifetime that may be, where it is allowed.
    pub(crate) fn stale_for(&self) -> Duration {
        self.stale.while_revalidate.max(self.stale.if_error)
    }
}

/// How an answer is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// It is fresh, or the client has said that this is fresh enough.
    AsItIs,
    /// It is used although stale, and fetched anew in the background.
    WhileRevalidating,
}

/// Decides on an answer that matches the request and is `age` old.
pub(crate) fn reusable(
    wants: &RequestDirectives,
    age: Duration,
    rules: &Rules,
) -> Result<Reuse, Forward> {
    if rules.validate {
        return Err(Forward::Stale);
    }
    // Section 4.2: fresh means lifetime > age.
    if rules.lifetime > age {
        let left = rules.lifetime - age;
        // Section 5.2.1: what the client demands beyond that.
        let older = wants.max_age.is_some_and(|most| age > most) && !rules.immutable;
        if wants.no_cache || older || wants.min_fresh.is_some_and(|least| left < least) {
            return Err(Forward::Request);
        }
        return Ok(Reuse::AsItIs);
    }
    let over = age - rules.lifetime;
    let demanding =
        wants.no_cache || wants.min_fresh.is_some() || wants.max_age.is_some_and(|most| age > most);
    if !rules.stale.allowed || demanding {
        return Err(Forward::Stale);
    }
    // RFC 5861 section 3: it comes first, as it also renews what is stored.
    if over < rules.stale.while_revalidate {
        return Ok(Reuse::WhileRevalidating);
    }
    match wants.max_stale {
        Some(MaxStale::Any) => Ok(Reuse::AsItIs),
        Some(MaxStale::Within(most)) if over <= most => Ok(Reuse::AsItIs),
        _ => Err(Forward::Stale),
    }
}

/// Whether an error of the origin may be covered by an answer of this age (RFC 5861 section 4).
pub(crate) fn covers_error(wants: &RequestDirectives, age: Duration, rules: &Rules) -> bool {
    let most = rules
        .stale
        .if_error
        .max(wants.stale_if_error.unwrap_or_default());
    // No error is covered unless somebody has said so, not even by what is still fresh.
    rules.stale.allowed && !most.is_zero() && age.saturating_sub(rules.lifetime) < most
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn for_ten() -> Rules {
        Rules {
            lifetime: s(10),
            stale: Staleness {
                allowed: true,
                ..Staleness::default()
            },
            ..Rules::default()
        }
    }

    fn with(change: impl FnOnce(&mut RequestDirectives)) -> RequestDirectives {
        let mut wants = RequestDirectives::default();
        change(&mut wants);
        wants
    }

    #[test]
    fn the_clients_demands() {
        let rules = for_ten();
        let plain = RequestDirectives::default();
        assert_eq!(reusable(&plain, s(9), &rules), Ok(Reuse::AsItIs));
        assert_eq!(reusable(&plain, s(10), &rules), Err(Forward::Stale));
        for wants in [
            with(|wants| wants.max_age = Some(s(5))),
            with(|wants| wants.min_fresh = Some(s(5))),
        ] {
            assert_eq!(reusable(&wants, s(5), &rules), Ok(Reuse::AsItIs));
            assert_eq!(reusable(&wants, s(6), &rules), Err(Forward::Request));
        }
        let wants = with(|wants| wants.no_cache = true);
        assert_eq!(reusable(&wants, s(0), &rules), Err(Forward::Request));
    }

    #[test]
    fn what_never_changes_is_not_asked_about_but_by_no_cache() {
        let mut rules = for_ten();
        rules.immutable = true;
        let reload = with(|wants| wants.max_age = Some(s(0)));
        assert_eq!(reusable(&reload, s(5), &rules), Ok(Reuse::AsItIs));
        assert_eq!(reusable(&reload, s(10), &rules), Err(Forward::Stale));
        let wants = with(|wants| wants.no_cache = true);
        assert_eq!(reusable(&wants, s(5), &rules), Err(Forward::Request));
    }

    #[test]
    fn stale_by_the_clients_leave() {
        let rules = for_ten();
        let within = with(|wants| wants.max_stale = Some(MaxStale::Within(s(5))));
        assert_eq!(reusable(&within, s(15), &rules), Ok(Reuse::AsItIs));
        assert_eq!(reusable(&within, s(16), &rules), Err(Forward::Stale));
        let any = with(|wants| wants.max_stale = Some(MaxStale::Any));
        assert_eq!(reusable(&any, s(1 << 30), &rules), Ok(Reuse::AsItIs));
        let mut strict = rules;
        strict.stale.allowed = false;
        assert_eq!(reusable(&any, s(11), &strict), Err(Forward::Stale));
        let mut asks = rules;
        asks.validate = true;
        assert_eq!(reusable(&any, s(0), &asks), Err(Forward::Stale));
    }

    #[test]
    fn stale_by_the_origins_leave() {
        let mut rules = for_ten();
        rules.stale.while_revalidate = s(5);
        let plain = RequestDirectives::default();
        assert_eq!(reusable(&plain, s(9), &rules), Ok(Reuse::AsItIs));
        assert_eq!(
            reusable(&plain, s(14), &rules),
            Ok(Reuse::WhileRevalidating)
        );
        assert_eq!(reusable(&plain, s(15), &rules), Err(Forward::Stale));
        let wants = with(|wants| wants.no_cache = true);
        assert_eq!(reusable(&wants, s(11), &rules), Err(Forward::Stale));

        assert!(!covers_error(&plain, s(5), &rules));
        rules.stale.if_error = s(20);
        assert!(covers_error(&plain, s(29), &rules));
        assert!(!covers_error(&plain, s(30), &rules));
        let patient = with(|wants| wants.stale_if_error = Some(s(30)));
        assert!(covers_error(&patient, s(39), &rules));
        rules.stale.allowed = false;
        assert!(!covers_error(&patient, s(11), &rules));
    }

    fn seconds() -> impl Strategy<Value = Duration> {
        (0u64..1 << 33).prop_map(s)
    }

    proptest! {
        #[test]
        fn never_beyond_lifetime_and_permitted_staleness(
            age in seconds(), lifetime in seconds(), allowed: bool, validate: bool, immutable: bool,
            while_revalidate in seconds(), if_error in seconds(),
            max_age in proptest::option::of(seconds()), min_fresh in proptest::option::of(seconds()),
            within in proptest::option::of(seconds()), asks_if_error in proptest::option::of(seconds()),
        ) {
            let stale = Staleness { allowed, while_revalidate, if_error };
            let rules = Rules { lifetime, validate, immutable, stale };
            let wants = RequestDirectives {
                max_age, min_fresh, max_stale: within.map(MaxStale::Within),
                stale_if_error: asks_if_error, ..Default::default()
            };
            if reusable(&wants, age, &rules).is_ok() {
                let over = if allowed { while_revalidate.max(within.unwrap_or_default()) } else { s(0) };
                prop_assert!(!validate && age <= lifetime + over);
                prop_assert!(immutable || max_age.is_none_or(|most| age <= most));
                prop_assert!(min_fresh.is_none_or(|least| age + least <= lifetime));
            }
            if covers_error(&wants, age, &rules) {
                let over = if_error.max(asks_if_error.unwrap_or_default());
                prop_assert!(allowed && age < lifetime + over);
            }
        }
    }
}
