//! The pure functions, as the fuzz targets of `fuzz/` reach them: what they take and give in types
//! that need not be public, and nothing more. No normal build has this.

mod keys;

pub use keys::{Key, Keying};

use crate::rfc9111::directives::{MaxStale, RequestDirectives, ResponseDirectives, Scope};
use crate::rfc9111::{
    dates, freshness, groups, no_vary_search, parts, range, stated, strong, vary,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// What stands behind the name of a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// Nothing that counts.
    None,
    /// The whole answer, or these fields of it, sorted.
    Fields(Vec<HeaderName>),
    /// A number of seconds.
    Seconds(u64),
}

/// The directives that act.
pub type Directives = BTreeMap<&'static str, Argument>;

/// `Cache-Control` of an answer.
pub fn response_directives(headers: &HeaderMap) -> Directives {
    of_response(&ResponseDirectives::parse(headers))
}

/// What counts of an answer's fields, and whether it is a targeted one that does.
pub fn stated(headers: &HeaderMap, targets: &[HeaderName]) -> (Directives, bool) {
    let stated = stated::Stated::of(headers, targets);
    (of_response(&stated.directives), stated.overrides_expires)
}

fn of_response(all: &ResponseDirectives) -> Directives {
    let scope = |scope: &Scope| match scope {
        Scope::Nothing => None,
        Scope::Whole => Some(Argument::None),
        Scope::Fields(names) => {
            let mut names = names.to_vec();
            names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
            names.dedup();
            Some(Argument::Fields(names))
        }
    };
    collect([
        ("no-store", flag(all.no_store)),
        ("no-cache", scope(&all.no_cache)),
        ("private", scope(&all.private)),
        ("public", flag(all.public)),
        ("must-revalidate", flag(all.must_revalidate)),
        ("proxy-revalidate", flag(all.proxy_revalidate)),
        ("must-understand", flag(all.must_understand)),
        ("immutable", flag(all.immutable)),
        ("max-age", seconds(all.max_age)),
        ("s-maxage", seconds(all.s_maxage)),
        (
            "stale-while-revalidate",
            seconds(all.stale_while_revalidate),
        ),
        ("stale-if-error", seconds(all.stale_if_error)),
    ])
}

/// `Cache-Control` of a request, or its `Pragma`.
pub fn request_directives(headers: &HeaderMap) -> Directives {
    let all = RequestDirectives::parse(headers);
    let max_stale = all.max_stale.map(|max_stale| match max_stale {
        MaxStale::Any => Argument::None,
        MaxStale::Within(most) => Argument::Seconds(most.as_secs()),
    });
    collect([
        ("no-store", flag(all.no_store)),
        ("no-cache", flag(all.no_cache)),
        ("only-if-cached", flag(all.only_if_cached)),
        ("max-age", seconds(all.max_age)),
        ("min-fresh", seconds(all.min_fresh)),
        ("max-stale", max_stale),
        ("stale-if-error", seconds(all.stale_if_error)),
    ])
}

fn flag(flag: bool) -> Option<Argument> {
    flag.then_some(Argument::None)
}

fn seconds(duration: Option<Duration>) -> Option<Argument> {
    duration.map(|duration| Argument::Seconds(duration.as_secs()))
}

fn collect<const N: usize>(all: [(&'static str, Option<Argument>); N]) -> Directives {
    let said = |(name, argument)| Some((name, argument?));
    all.into_iter().filter_map(said).collect()
}

/// A date field's moment, where two digits for a year count from `now`.
pub fn http_date(value: &HeaderValue, now: SystemTime) -> Option<SystemTime> {
    dates::http_date_at(value, now)
}

/// The lifetime that an answer states.
pub fn explicit_lifetime(headers: &HeaderMap, received: SystemTime) -> Option<Duration> {
    freshness::explicit_lifetime(&stated::Stated::of(headers, &[]), headers, received)
}

/// The lifetime that an answer suggests.
pub fn heuristic_lifetime(headers: &HeaderMap, received: SystemTime) -> Option<Duration> {
    freshness::heuristic_lifetime(headers, received)
}

/// How old an answer was when it came.
pub fn initial_age(headers: &HeaderMap, received: SystemTime, delay: Duration) -> Duration {
    freshness::initial_age(headers, received, delay)
}

/// The names of `Vary`, eight at most; None if they can match nothing.
pub fn nominated(headers: &HeaderMap) -> Option<Vec<HeaderName>> {
    let refused = |name: &HeaderName| vary::REFUSED.contains(name);
    let names = vary::nominated(headers, 8, refused);
    names.ok().map(|names| names.to_vec())
}

/// The nominated fields of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(vary::Selection);

impl Selection {
    /// Of the request that an answer with these fields came to.
    pub fn of(names: &[HeaderName], request: &HeaderMap, answer: &HeaderMap) -> Self {
        Self(vary::Selection::of(names, request).answered_by(answer))
    }

    /// Whether this request asks for the same.
    pub fn matches_exactly(&self, request: &HeaderMap) -> bool {
        self.0.matches_exactly(request)
    }

    /// Whether it may be answered alike.
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.0.matches(request)
    }
}

/// A `Range`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested(range::Requested);

/// What a `Range` comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// The first and the last octet of one stretch.
    One(u64, u64),
    /// Nothing that there is.
    Unsatisfiable,
    /// More than one stretch.
    Many,
}

impl Requested {
    /// None if nothing is asked for that counts.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        range::requested(headers).map(Self)
    }

    /// Against a whole of this length.
    pub fn resolve(&self, complete_length: u64) -> Resolved {
        match self.0.resolve(complete_length) {
            range::Resolved::One(span) => Resolved::One(span.first(), span.last()),
            range::Resolved::Unsatisfiable => Resolved::Unsatisfiable,
            range::Resolved::Many => Resolved::Many,
        }
    }
}

/// The `Range` that asks for these octets of a whole of that length.
pub fn range_request(first: u64, last: u64, complete: Option<u64>) -> Option<HeaderValue> {
    range::Span::new(first, last).map(|span| span.request(complete))
}

/// A `Content-Range`: the first octet, the last one, the length of the whole.
pub type ContentRange = (u64, u64, Option<u64>);

/// What a 206 says that it carries.
pub fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    range::ContentRange::parse(headers).map(of_content_range)
}

/// The same, as we write it; None if there is no such stretch.
pub fn content_range_value((first, last, complete): ContentRange) -> Option<HeaderValue> {
    let span = range::Span::new(first, last)?;
    Some(range::ContentRange { span, complete }.value())
}

fn of_content_range(range: range::ContentRange) -> ContentRange {
    (range.span.first(), range.span.last(), range.complete)
}

/// Whether `If-Range` lets a part be sent.
pub fn if_range_holds(request: &HeaderMap, stored: &HeaderMap) -> bool {
    strong::if_range_holds(request, stored)
}

/// What two parts must have in common.
pub fn strong_validator(headers: &HeaderMap) -> Option<&HeaderValue> {
    strong::strong_validator(headers)
}

/// What is held of a representation.
#[derive(Debug, Clone)]
pub struct Parts(parts::Parts);

/// What is not held of a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gaps {
    /// Nothing; these are its octets.
    No(Bytes),
    /// From this octet to that one, and what is held on both sides.
    One(Bytes, u64, u64, Bytes),
    /// More than one stretch.
    Several,
}

impl Parts {
    /// What a 206 brought, of `most` octets in the end.
    pub fn new((first, last, complete): ContentRange, body: Bytes, most: u64) -> Option<Self> {
        let span = range::Span::new(first, last)?;
        let parts = parts::Parts::new(range::ContentRange { span, complete }, body)?;
        Some(Self(parts.at_most(most)))
    }

    /// Whether another part was taken in.
    #[must_use]
    pub fn add(&mut self, other: &Self) -> bool {
        self.0.add(&other.0)
    }

    /// The length of the whole, and all of it, as far as they are known.
    pub fn whole(&self) -> (Option<u64>, Option<Bytes>) {
        (self.0.complete(), self.0.whole())
    }

    /// What is held of a stretch.
    pub fn missing(&self, first: u64, last: u64) -> Option<Gaps> {
        Some(match self.0.missing(range::Span::new(first, last)?) {
            parts::Gaps::No(octets) => Gaps::No(octets),
            parts::Gaps::One { before, gap, after } => {
                Gaps::One(before, gap.first(), gap.last(), after)
            }
            parts::Gaps::Several => Gaps::Several,
        })
    }

    /// The 206 to a request.
    pub fn answer(&self, requested: &Requested) -> Option<(ContentRange, Bytes)> {
        let (range, octets) = self.0.answer(&requested.0)?;
        Some((of_content_range(range), octets))
    }
}

/// What an answer says of the queries that it would be the same for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule(no_vary_search::Rule);

impl Rule {
    /// None for what has no effect.
    pub fn of(response: &HeaderMap) -> Option<Self> {
        no_vary_search::Rule::parse(response).map(Self)
    }

    /// The one spelling of all queries that ask for the same.
    pub fn canonical(&self, query: Option<&str>) -> String {
        self.0.canonical(query)
    }
}

/// The groups of an answer; None if they are too many.
pub fn groups_of(response: &HeaderMap) -> Option<Vec<String>> {
    groups::groups(response).ok()
}

/// The groups that an answer invalidates.
pub fn invalidated_groups(response: &HeaderMap) -> Vec<String> {
    groups::invalidated_groups(response)
}
