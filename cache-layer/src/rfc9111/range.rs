//! Which octets are asked for, and which were sent (RFC 9110 section 14).

use super::directives::elements;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

/// More ranges than this and the request is answered whole: section 14.2 lets a server ignore what
/// costs more than it spares.
const MAX_RANGES: usize = 16;

/// The octets `first..=last` of a representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    first: u64,
    last: u64,
}

impl Span {
    /// None for a span that runs backwards, or ends where no length could count its octets.
    pub(crate) fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last && last < u64::MAX).then_some(Self { first, last })
    }

    /// All of a representation, if there is any of it.
    pub(crate) fn whole(complete: u64) -> Option<Self> {
        Self::new(0, complete.checked_sub(1)?)
    }

    pub(crate) fn first(self) -> u64 {
        self.first
    }

    pub(crate) fn last(self) -> u64 {
        self.last
    }

    pub(crate) fn length(self) -> u64 {
        self.last - self.first + 1
    }

    /// What two spans have in common.
    pub(crate) fn common(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// The `Range` that asks for these octets; open where they reach the end, should it have moved.
    pub(crate) fn request(self, complete: Option<u64>) -> HeaderValue {
        let Self { first, last } = self;
        printed(if complete == Some(last + 1) {
            format!("bytes={first}-")
        } else {
            format!("bytes={first}-{last}")
        })
    }
}

/// One member of a `Range` (section 14.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spec {
    /// From this octet to that one, or to the end.
    From(u64, Option<u64>),
    /// So many octets at the end.
    Suffix(u64),
}

impl Spec {
    /// Digits that overflow count as the greatest number, which is beyond any end.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('-')? {
            ("", length) => Some(Self::Suffix(number(length)?)),
            (first, "") => Some(Self::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// What of it there is (section 14.1.2): clamped at the end, None if there is nothing.
    fn within(self, whole: Span) -> Option<Span> {
        match self {
            Self::From(first, last) => Span::new(first, last.unwrap_or(whole.last).min(whole.last)),
            Self::Suffix(0) => None,
            Self::Suffix(length) => Span::new((whole.last + 1).saturating_sub(length), whole.last),
        }
    }
}

/// The members of one `Range` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requested(SmallVec<[Spec; 1]>);

/// The parts that a request asks for. None if it asks for none, or in a way that is to be ignored
/// (section 14.2): another unit, something malformed, several lines, too many members.
pub(crate) fn requested(headers: &HeaderMap) -> Option<Requested> {
    let (unit, set) = only(headers, &header::RANGE)?.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = SmallVec::new();
    for element in elements(set.as_bytes()) {
        if specs.len() == MAX_RANGES {
            return None;
        }
        specs.push(Spec::parse(str::from_utf8(element).ok()?)?);
    }
    (!specs.is_empty()).then_some(Requested(specs))
}

/// What a request for parts comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// One stretch: a 206 with one `Content-Range`.
    One(Span),
    /// Nothing that there is: a 416.
    Unsatisfiable,
    /// What no single `Content-Range` can say. The whole goes out, as section 14.2 allows: several
    /// stretches in one answer would need multipart, and they rarely spare anything.
    Many,
}

impl Requested {
    /// The one member, where it is one.
    pub(crate) fn single(&self) -> Option<Spec> {
        match *self.0 {
            [spec] => Some(spec),
            _ => None,
        }
    }

    /// Against a representation of that length; members that overlap or touch are one.
    pub(crate) fn resolve(&self, complete_length: u64) -> Resolved {
        let Some(whole) = Span::whole(complete_length) else {
            // Section 14.1.2: a suffix of nothing is there, but has no positions to be named by.
            let suffix = |spec| matches!(spec, &Spec::Suffix(1..));
            return if self.0.iter().any(suffix) {
                Resolved::Many
            } else {
                Resolved::Unsatisfiable
            };
        };
        let there = self.0.iter().filter_map(|spec| spec.within(whole));
        let mut spans: SmallVec<[Span; 1]> = there.collect();
        spans.sort_unstable_by_key(|span| span.first);
        let Some((&first, rest)) = spans.split_first() else {
            return Resolved::Unsatisfiable;
        };
        let joined = rest.iter().try_fold(first, |joined, span| {
            (span.first <= joined.last + 1).then(|| Span {
                last: joined.last.max(span.last),
                ..joined
            })
        });
        joined.map_or(Resolved::Many, Resolved::One)
    }
}

/// What a 206 says that it carries (section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) span: Span,
    /// The length of the whole, if its sender knew it.
    pub(crate) complete: Option<u64>,
}

impl ContentRange {
    /// None for anything but one line that names octets which can be.
    pub(crate) fn parse(headers: &HeaderMap) -> Option<Self> {
        let (unit, range) = only(headers, &header::CONTENT_RANGE)?.split_once(' ')?;
        let (span, complete) = range.split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let span = Span::new(number(first)?, number(last)?)?;
        let complete = match complete {
            "*" => None,
            digits => {
                Some(number(digits).filter(|length| (span.last + 1..u64::MAX).contains(length))?)
            }
        };
        unit.eq_ignore_ascii_case("bytes")
            .then_some(Self { span, complete })
    }

    pub(crate) fn value(self) -> HeaderValue {
        let Span { first, last } = self.span;
        printed(match self.complete {
            Some(complete) => format!("bytes {first}-{last}/{complete}"),
            None => format!("bytes {first}-{last}/*"),
        })
    }

    /// What a 416 says (section 15.5.17).
    pub(crate) fn unsatisfied(complete: u64) -> HeaderValue {
        printed(format!("bytes */{complete}"))
    }
}

/// The value of a field that has exactly one line, of visible ASCII.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?.to_str().ok()?;
    lines.next().is_none().then_some(line)
}

fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn printed(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("digits and punctuation are a valid field value")
}

#[cfg(test)]
mod tests;
