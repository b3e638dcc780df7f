//! Request fields that change an answer although no `Vary` names them.

use crate::rfc9111::directives::{elements, split_unquoted};
use http::HeaderName;

/// What such a field claims to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Override {
    /// Scheme, host, port or path: the field becomes part of the key. A load balancer sends the
    /// same value with every request, which costs nothing.
    Target,
    /// `Forwarded`: its `host` and `proto` become part of the key, not the client's address.
    Forwarded,
    /// The method: the request is not the GET it looks like.
    Method,
}

/// `X-Forwarded-For` and its kin are missing on purpose: they differ for every client.
pub(super) fn kind(name: &HeaderName) -> Option<Override> {
    let name = name.as_str();
    // Most fields of a request are told apart by their first byte.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'f')) {
        return None;
    }
    match name {
        "forwarded" => Some(Override::Forwarded),
        "x-forwarded-host"
        | "x-forwarded-path"
        | "x-forwarded-port"
        | "x-forwarded-prefix"
        | "x-forwarded-proto"
        | "x-forwarded-protocol"
        | "x-forwarded-scheme"
        | "x-forwarded-server"
        | "x-forwarded-ssl"
        | "x-forwarded-uri"
        | "x-host"
        | "x-http-host-override"
        | "x-original-host"
        | "x-original-url"
        | "x-original-uri"
        | "x-rewrite-url"
        | "x-url-scheme" => Some(Override::Target),
        "x-http-method" | "x-http-method-override" | "x-method-override" => Some(Override::Method),
        _ => None,
    }
}

/// The pairs of a `Forwarded` line that name host or scheme (RFC 7239 sections 5.3 and 5.4).
pub(super) fn forwarded_target(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    elements(line)
        .flat_map(|element| split_unquoted(element, b';'))
        .filter(|pair| {
            [&b"host="[..], b"proto="].iter().any(|name| {
                pair.get(..name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(name))
            })
        })
}
