//! Override fields: no `Vary` names them, yet answers depend on them, because a service believes them
//! about its own scheme, host or path, or about which of its answers is wanted.
//!
//! Cache poisoning lives on them. The usual ones are those that are known to be believed somewhere: by
//! "Practical Web Cache Poisoning" (2018) and the list that Param Miner tries; by what mod_wsgi, Rack,
//! Spring, Symfony, ASP.NET and Envoy read; by CVE-2024-46982, CVE-2023-46298 and CVE-2026-44572
//! (Next.js), CVE-2025-43864 and CVE-2025-43865 (React Router), CVE-2025-61780 (Rack).

use super::push_with_length;
use crate::rfc9111::directives::{elements, split_unquoted};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;
use std::borrow::Cow;

/// What becomes of fields by which a service may be told another scheme, host or path than the
/// request's own, such as `X-Forwarded-Host` and `X-Original-URL`: no `Vary` names them, yet answers
/// depend on them.
///
/// [`override_fields`](crate::CacheLayer::override_fields) says which ones these are,
/// [`trusted_peers`](crate::CacheLayer::trusted_peers) who is believed in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overrides {
    /// They are part of the key: what a load balancer says of every request costs nothing, and a forged
    /// one reaches only its forger.
    #[default]
    Key,
    /// They are taken out of every request, before the service sees it.
    Strip,
    /// Every request that has one is refused: 400.
    Refuse,
    /// They are neither part of the key nor taken out. Only for services that are known to heed none of
    /// them: elsewhere any client decides what all others get.
    Ignore,
}

/// The names of override fields.
#[derive(Debug, Clone, Default)]
pub(crate) enum OverrideFields {
    #[default]
    Usual,
    These(Box<[HeaderName]>),
}

impl OverrideFields {
    /// Most fields of a request are told apart by their first byte.
    #[inline]
    pub(crate) fn may_contain(&self, name: &str) -> bool {
        let first = name.as_bytes().first();
        matches!(first, Some(b'x' | b'c' | b'f' | b'p' | b'r' | b's'))
            || matches!(self, Self::These(_))
    }

    /// Whether a line of a request overrides anything.
    pub(crate) fn contain(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        self.name(name) && (*name != header::FORWARDED || of_target(value).next().is_some())
    }

    fn name(&self, name: &HeaderName) -> bool {
        match self {
            Self::Usual => is_usual(name.as_str()),
            Self::These(names) => {
                let name = dashed(name.as_str());
                names.iter().any(|one| dashed(one.as_str()) == name)
            }
        }
    }

    /// Appends what a request has of them, the names in alphabetical order: proxies on the way may have
    /// changed theirs.
    pub(super) fn push(&self, parts: &mut Vec<u8>, headers: &HeaderMap) {
        let present = headers.keys().filter(|name| self.name(name));
        let mut present: SmallVec<[&HeaderName; 8]> = present.collect();
        present.sort_unstable_by_key(|name| name.as_str());
        for name in present {
            // Each with its name: a pair may look like another field's.
            let mut push = |value: &[u8]| {
                push_with_length(parts, name.as_str().as_bytes());
                push_with_length(parts, value);
            };
            for value in headers.get_all(name) {
                if *name == header::FORWARDED {
                    of_target(value).for_each(&mut push);
                } else {
                    push(value.as_bytes());
                }
            }
        }
    }

    /// Takes them out of a request; what `Forwarded` says of the client stays.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        let names = headers.keys().filter(|name| self.name(name));
        for name in names.cloned().collect::<Vec<_>>() {
            let mut kept = Vec::new();
            if name == header::FORWARDED {
                let lines = headers.get_all(&name).iter();
                kept.extend(lines.filter_map(|line| forwarded(line, is_of_client)));
            }
            headers.remove(&name);
            for line in kept {
                headers.append(&name, line);
            }
        }
    }

    /// A line as a request has it that is sent for all who share the key; none if it is not for them.
    pub(crate) fn for_all(&self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        match *name {
            _ if !self.name(name) => None,
            header::FORWARDED => forwarded(value, |pair| !is_of_client(pair)),
            _ => Some(value.clone()),
        }
    }
}

/// A name with dashes for underscores: services that see fields as variables, as by CGI or WSGI, cannot
/// tell them apart.
pub(crate) fn dashed(name: &str) -> Cow<'_, str> {
    if name.contains('_') {
        name.replace('_', "-").into()
    } else {
        name.into()
    }
}

/// All of `X-Forwarded-*` but what names the client or the way, which differs for each; and the list.
fn is_usual(name: &str) -> bool {
    let name = &*dashed(name);
    match name.strip_prefix("x-forwarded-") {
        Some(what) => !matches!(what, "for" | "by"),
        None => USUAL.contains(&name),
    }
}

/// Their first letters are those of `may_contain`.
const USUAL: [&str; 42] = [
    // Several of these.
    "forwarded",
    // The scheme.
    "cf-visitor",
    "cloudfront-forwarded-proto",
    "front-end-https",
    "x-arr-ssl",
    "x-forward-proto",
    "x-https",
    "x-original-proto",
    "x-scheme",
    "x-url-scheme",
    // The host or the port.
    "proxy-host",
    "x-client-host",
    "x-envoy-original-host",
    "x-host",
    "x-http-host-override",
    "x-original-host",
    "x-real-host",
    "x-server-name",
    "x-server-port",
    // The path.
    "request-uri",
    "x-accel-mapping",
    "x-envoy-original-path",
    "x-http-destinationurl",
    "x-http-path-override",
    "x-original-prefix",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-proxy-url",
    "x-request-uri",
    "x-rewrite-url",
    "x-script-name",
    // Which answer is wanted.
    "rsc",
    "surrogate-capability",
    "x-matched-path",
    "x-middleware-prefetch",
    "x-middleware-subrequest",
    "x-nextjs-data",
    "x-now-route-matches",
    "x-react-router-prerender-data",
    "x-react-router-spa-mode",
    "x-sendfile-type",
];

/// The pairs of a `Forwarded` line (RFC 7239 section 4) that may say something of the target.
fn of_target(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let pairs = elements(line.as_bytes()).flat_map(|element| split_unquoted(element, b';'));
    pairs.filter(|pair| !is_of_client(pair))
}

/// Whether a pair names the client, or the proxy that it came to, and nothing that another reading of
/// its quotes and separators could take for a pair more: all else counts as being of the target.
fn is_of_client(pair: &[u8]) -> bool {
    let named = |name: &[u8]| {
        let (start, value) = pair.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(value)
    };
    let is_node = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]\"".contains(byte);
    let value = named(b"for=").or_else(|| named(b"by="));
    value.is_some_and(|value| value.iter().all(is_node))
}

/// The line with some of its pairs only.
fn forwarded(line: &HeaderValue, keep: fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let mut kept = Vec::new();
    for element in elements(line.as_bytes()) {
        let mut separator = &b", "[..];
        for pair in split_unquoted(element, b';').filter(|pair| keep(pair)) {
            if !kept.is_empty() {
                kept.extend_from_slice(separator);
            }
            kept.extend_from_slice(pair);
            separator = b";";
        }
    }
    let value = (!kept.is_empty()).then(|| HeaderValue::from_bytes(&kept))?;
    value.ok()
}

#[cfg(test)]
mod tests;
