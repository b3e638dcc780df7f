//! `Cache-Control`, of requests and of responses (RFC 9111 section 5.2).

use http::{HeaderMap, HeaderName, header};
use smallvec::SmallVec;
use std::time::Duration;

/// What an overflowing `delta-seconds` counts as (RFC 9111 section 1.2.2).
pub(crate) const DELTA_MAX: u64 = 1 << 31;

/// How far `no-cache` and `private` reach (sections 5.2.2.4 and 5.2.2.7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    #[default]
    Nothing,
    /// The qualified form: these fields only.
    Fields(SmallVec<[HeaderName; 1]>),
    Whole,
}

impl Scope {
    /// A list that cannot be read, or names nothing, is taken for the plain form, which is stricter.
    fn widen(&mut self, argument: Option<&[u8]>) {
        let names: Option<SmallVec<[HeaderName; 1]>> = argument.and_then(|list| {
            elements(list)
                .map(|name| HeaderName::from_bytes(name).ok())
                .collect()
        });
        match (&mut *self, names) {
            (Self::Whole, _) => {}
            (Self::Fields(all), Some(names)) if !names.is_empty() => all.extend(names),
            (_, Some(names)) if !names.is_empty() => *self = Self::Fields(names),
            _ => *self = Self::Whole,
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    pub(crate) fn fields(&self) -> &[HeaderName] {
        match self {
            Self::Fields(names) => names,
            _ => &[],
        }
    }
}

/// The response directives that a shared cache acts on (section 5.2.2, RFC 5861, RFC 8246).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResponseDirectives {
    pub(crate) no_store: bool,
    pub(crate) no_cache: Scope,
    pub(crate) private: Scope,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) immutable: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) s_maxage: Option<Duration>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
}

impl ResponseDirectives {
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        for_each_directive(headers, header::CACHE_CONTROL, |name, argument| {
            match_directive(name, |name| all.add(name, argument));
        });
        all
    }

    /// Takes in one directive by its lower-cased name; unknown ones are ignored (section 5.2.3).
    pub(crate) fn add(&mut self, name: &[u8], argument: Option<&[u8]>) {
        match name {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache.widen(argument),
            b"private" => self.private.widen(argument),
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"immutable" => self.immutable = true,
            b"max-age" => strictest(&mut self.max_age, argument),
            b"s-maxage" => strictest(&mut self.s_maxage, argument),
            b"stale-while-revalidate" => strictest(&mut self.stale_while_revalidate, argument),
            b"stale-if-error" => strictest(&mut self.stale_if_error, argument),
            _ => {}
        }
    }

    /// Whether it must not be used without its origin's word once it is stale (section 4.2.4), whoever
    /// would allow it.
    pub(crate) fn forbids_stale(&self) -> bool {
        self.must_revalidate
            || self.proxy_revalidate
            // Section 5.2.2.10: it has the meaning of proxy-revalidate.
            || self.s_maxage.is_some()
            || self.no_cache.is_whole()
    }
}

/// How much staleness a client puts up with (section 5.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaxStale {
    Any,
    Within(Duration),
}

/// The request directives (section 5.2.1, RFC 5861 section 4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestDirectives {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) min_fresh: Option<Duration>,
    pub(crate) max_stale: Option<MaxStale>,
    pub(crate) stale_if_error: Option<Duration>,
}

impl RequestDirectives {
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        if !headers.contains_key(header::CACHE_CONTROL) {
            // Section 5.4: `Pragma: no-cache` counts only where there is no Cache-Control.
            for_each_directive(headers, header::PRAGMA, |name, _| {
                all.no_cache |= name.eq_ignore_ascii_case(b"no-cache");
            });
            return all;
        }
        for_each_directive(headers, header::CACHE_CONTROL, |name, argument| {
            match_directive(name, |name| match name {
                b"no-store" => all.no_store = true,
                b"no-cache" => all.no_cache = true,
                b"only-if-cached" => all.only_if_cached = true,
                b"max-age" => strictest(&mut all.max_age, argument),
                // A greater freshness demanded is the stricter one; an unreadable one is left out.
                b"min-fresh" => all.min_fresh = all.min_fresh.max(argument.and_then(delta_seconds)),
                b"max-stale" => all.add_max_stale(argument),
                b"stale-if-error" => strictest(&mut all.stale_if_error, argument),
                _ => {}
            });
        });
        all
    }

    /// The least patience counts; an unreadable one is none.
    fn add_max_stale(&mut self, argument: Option<&[u8]>) {
        let new = argument.map_or(MaxStale::Any, |argument| {
            MaxStale::Within(delta_seconds(argument).unwrap_or_default())
        });
        self.max_stale = Some(match (self.max_stale, new) {
            (Some(MaxStale::Within(old)), MaxStale::Within(new)) => MaxStale::Within(old.min(new)),
            (Some(within @ MaxStale::Within(_)), MaxStale::Any) => within,
            (_, new) => new,
        });
    }
}

/// Repeated values: the strictest counts; an unreadable one is stale at once (section 4.2.1).
fn strictest(slot: &mut Option<Duration>, argument: Option<&[u8]>) {
    let value = argument.and_then(delta_seconds).unwrap_or_default();
    *slot = Some(slot.map_or(value, |old| old.min(value)));
}

/// `delta-seconds` as token or quoted string: digits only, overflow counts as 2^31.
pub(crate) fn delta_seconds(argument: &[u8]) -> Option<Duration> {
    if argument.is_empty() || !argument.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = argument.iter().fold(0u64, |sum, digit| {
        (sum * 10 + u64::from(digit - b'0')).min(DELTA_MAX)
    });
    Some(Duration::from_secs(seconds))
}

/// Calls `act` with the lower-cased name; no directive we know is longer than the buffer.
fn match_directive(name: &[u8], act: impl FnOnce(&[u8])) {
    let mut lower = [0u8; 32];
    if let Some(lower) = lower.get_mut(..name.len()) {
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        act(lower);
    }
}

/// Walks the directives of all lines of a field, with unquoted arguments.
fn for_each_directive(
    headers: &HeaderMap,
    field: HeaderName,
    mut act: impl FnMut(&[u8], Option<&[u8]>),
) {
    for line in headers.get_all(field) {
        for element in elements(line.as_bytes()) {
            match element.iter().position(|byte| *byte == b'=') {
                None => act(element, None),
                Some(at) => act(&element[..at], Some(unquote(&element[at + 1..]))),
            }
        }
    }
}

/// The inside of a quoted string. Escapes stay: no argument we read may hold one.
fn unquote(argument: &[u8]) -> &[u8] {
    argument
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(argument)
}

/// The non-empty members of a comma-separated list; commas in quoted strings do not split.
pub(crate) fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    split_unquoted(line, b',')
}

/// The non-empty, trimmed stretches between separators that stand outside of quoted strings.
pub(crate) fn split_unquoted(mut rest: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (mut quoted, mut escaped) = (false, false);
            let end = rest.iter().position(|byte| {
                match (*byte, quoted) {
                    _ if escaped => escaped = false,
                    (b'\\', true) => escaped = true,
                    (b'"', _) => quoted = !quoted,
                    (byte, false) => return byte == separator,
                    _ => {}
                }
                false
            });
            let (stretch, after) = match end {
                Some(at) => (&rest[..at], &rest[at + 1..]),
                None => (rest, &[][..]),
            };
            rest = after;
            let stretch = stretch.trim_ascii();
            if !stretch.is_empty() {
                return Some(stretch);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests;
