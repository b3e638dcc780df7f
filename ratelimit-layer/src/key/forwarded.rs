//! Reading `X-Forwarded-For` and `Forwarded` lines, without allocation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads one line of a header; the closure says which addresses are trusted.
pub(crate) type ReadLine = fn(&[u8], &dyn Fn(IpAddr) -> bool) -> Entry;

/// What a line comes to when it is walked from the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// All entries are trusted, or there are none.
    Trusted,
    /// The rightmost entry that is not trusted is this one.
    Client(IpAddr),
    /// The rightmost entry that is not trusted cannot be read.
    Unreadable,
}

impl Entry {
    fn of(address: Option<IpAddr>, trusts: &dyn Fn(IpAddr) -> bool) -> Self {
        match address {
            None => Self::Unreadable,
            Some(address) if trusts(address) => Self::Trusted,
            Some(address) => Self::Client(address),
        }
    }
}

/// Addresses by comma.
pub(crate) fn x_forwarded_for(line: &[u8], trusts: &dyn Fn(IpAddr) -> bool) -> Entry {
    line.rsplit(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        // Empty list members mean nothing (RFC 9110, section 5.6.1).
        .filter(|entry| !entry.is_empty())
        .map(|entry| Entry::of(std::str::from_utf8(entry).ok().and_then(node), trusts))
        .find(|entry| *entry != Entry::Trusted)
        .unwrap_or(Entry::Trusted)
}

/// `Forwarded` elements (RFC 7239, section 4). Quotes can only be told from the left, so all
/// elements are read in order and the last one that is not trusted is kept.
pub(crate) fn forwarded_for(line: &[u8], trusts: &dyn Fn(IpAddr) -> bool) -> Entry {
    let mut last = Entry::Trusted;
    let mut rest = line;
    while !rest.is_empty() {
        let Some((element, after)) = split_unquoted(rest, b',') else {
            return Entry::Unreadable;
        };
        rest = after;
        if element.trim_ascii().is_empty() {
            continue;
        }
        match Entry::of(element_for(element), trusts) {
            Entry::Trusted => {}
            entry => last = entry,
        }
    }
    last
}

/// The address in the one `for` pair of an element.
fn element_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = element;
    while !rest.is_empty() {
        let (pair, after) = split_unquoted(rest, b';')?;
        rest = after;
        let equals = pair.iter().position(|byte| *byte == b'=');
        let Some(equals) = equals else {
            if pair.trim_ascii().is_empty() {
                continue;
            }
            return None;
        };
        if !pair[..equals].trim_ascii().eq_ignore_ascii_case(b"for") {
            continue;
        }
        // Each name once per element (RFC 7239, section 4).
        if found
            .replace(forwarded_node(pair[equals + 1..].trim_ascii())?)
            .is_some()
        {
            return None;
        }
    }
    found
}

/// Splits at the first separator outside quotes; `None` if a quote stays open.
fn split_unquoted(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if *byte == separator && !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    (!quoted).then_some((text, &[]))
}

/// A node of RFC 7239, section 6: like [`node`], but quoted if it wants to be, and IPv6 only in
/// brackets, so that its last group cannot be taken for a port.
fn forwarded_node(value: &[u8]) -> Option<IpAddr> {
    let value = match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    };
    let value = std::str::from_utf8(value).ok()?;
    // No address needs an escape, and none contains a quote.
    match node(value)? {
        IpAddr::V6(_) if !value.starts_with('[') => None,
        address => Some(address),
    }
}

/// An address with or without port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`. Mapped IPv4 is unmapped. Names, zone ids and numbers in other bases are
/// refused; std's parsers do that.
fn node(text: &str) -> Option<IpAddr> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, after) = bracketed.split_once(']')?;
        let port = match after {
            "" => None,
            after => Some(after.strip_prefix(':')?),
        };
        let address: Ipv6Addr = address.parse().ok()?;
        return port
            .is_none_or(is_port)
            .then(|| IpAddr::V6(address).to_canonical());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = text.split_once(':')?;
    let address: Ipv4Addr = address.parse().ok()?;
    is_port(port).then_some(IpAddr::V4(address))
}

/// A port number, or an obfuscated one (RFC 7239, section 6.3).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
        None => {
            text.len() <= 5
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse::<u16>().is_ok()
        }
    }
}
