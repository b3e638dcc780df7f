//! Queries that differ in nothing that matters (draft-ietf-httpbis-no-vary-search-10).

use super::structured::{Member, dictionary};
use http::{HeaderMap, HeaderName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

const NO_VARY_SEARCH: HeaderName = HeaderName::from_static("no-vary-search");

/// More names than this, or a longer one, and the field has no effect: that costs hits only.
const MAX_NAMES: usize = 64;
/// In octets, decoded.
const MAX_LENGTH: usize = 256;

/// What is written as an escape: all that could be taken for a separator or for another escape.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a response says of the queries it would be the same for (section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Whether parameters of different names may change places.
    any_order: bool,
    /// Whether the names are those of the parameters that matter, or of those that do not.
    only_named: bool,
    /// In order, each once.
    names: Box<[String]>,
}

impl Rule {
    /// None for what has no effect: no field, an invalid one, or one that says the usual.
    ///
    /// By the letter of section 5.1 (July 2026) `key-order` alone has none; by the draft's examples
    /// it has, and so it has here.
    pub(crate) fn parse(response: &HeaderMap) -> Option<Self> {
        let mut any_order = false;
        let mut named = None;
        for (key, member) in dictionary(response, &NO_VARY_SEARCH)? {
            match (key.as_str(), member) {
                ("key-order", Member::Flag(flag)) => any_order = flag,
                ("params" | "except", Member::Strings(names)) if named.is_none() => {
                    named = Some((key == "except", names));
                }
                ("key-order" | "params" | "except", _) => return None,
                // Section 3: for those who will know what it means.
                _ => {}
            }
        }
        let (only_named, names) = named.unwrap_or_default();
        let mut names: Vec<_> = names.iter().map(|name| key(name)).collect::<Option<_>>()?;
        names.sort_unstable();
        names.dedup();
        let usual = !any_order && !only_named && names.is_empty();
        (!usual && names.len() <= MAX_NAMES).then_some(Self {
            any_order,
            only_named,
            names: names.into(),
        })
    }

    /// The one spelling of all queries that are equivalent under this rule (section 6).
    pub(crate) fn canonical(&self, query: Option<&str>) -> String {
        let mut parameters: Vec<_> = query
            .unwrap_or_default()
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .map(|(name, value)| (decoded(name), value))
            .filter(|(name, _)| self.matters(name))
            .collect();
        if self.any_order {
            // By name only, and stable: the order of one name's values may mean something.
            parameters.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let mut canonical = String::new();
        for (name, value) in parameters {
            if !canonical.is_empty() {
                canonical.push('&');
            }
            canonical.extend(utf8_percent_encode(&name, ESCAPED));
            canonical.push('=');
            canonical.extend(utf8_percent_encode(&decoded(value), ESCAPED));
        }
        canonical
    }

    fn matters(&self, name: &str) -> bool {
        let is_named = self.names.binary_search_by(|one| one.as_str().cmp(name));
        is_named.is_ok() == self.only_named
    }
}

/// As the URL standard reads `application/x-www-form-urlencoded`: what is no UTF-8 becomes U+FFFD.
fn decoded(text: &str) -> String {
    let text = plus_to_space(text);
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// A name in the field (section 5.3). What is no UTF-8 names nothing that we could be sure of.
fn key(text: &str) -> Option<String> {
    let text = plus_to_space(text);
    let name = percent_decode_str(&text).decode_utf8().ok()?;
    (name.len() <= MAX_LENGTH).then(|| name.into_owned())
}

fn plus_to_space(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests;
