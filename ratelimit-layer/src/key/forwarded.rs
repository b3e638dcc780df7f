//! Reading `X-Forwarded-For` and `Forwarded` lines from the right, without allocation.
//!
//! An entry is read from what its own writer wrote and nothing left of it: whoever wrote further
//! left, with quotes or rubbish, cannot change how it reads. `None` is an entry that is no address.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The entries of one `X-Forwarded-For` line: addresses by comma.
pub(crate) fn x_forwarded_for(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    line.rsplit(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        // Empty list members mean nothing (RFC 9110, section 5.6.1).
        .filter(|entry| !entry.is_empty())
        .map(|entry| std::str::from_utf8(entry).ok().and_then(node))
}

/// The `for` of each element of one `Forwarded` line (RFC 7239, section 4). It ends with the first
/// that cannot be read: where that one begins is not known either.
pub(crate) fn forwarded(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    let mut rest = line;
    iter::from_fn(move || {
        while let Some(before) = rest.trim_ascii_end().strip_suffix(b",") {
            rest = before;
        }
        if rest.trim_ascii_end().is_empty() {
            return None;
        }
        let element = last_element(rest);
        rest = element.map_or(&[], |(_, left)| left);
        Some(element.map(|(address, _)| address))
    })
}

/// The address in the last element of a line, and what stands left of the element.
fn last_element(line: &[u8]) -> Option<(IpAddr, &[u8])> {
    let mut found = None;
    let mut rest = line;
    loop {
        let pair = last_pair(rest)?;
        if pair.name.eq_ignore_ascii_case(b"for") {
            let address = forwarded_node(pair.value)?;
            // Each name once per element (RFC 7239, section 4).
            if found.replace(address).is_some() {
                return None;
            }
        }
        match pair.left.split_last() {
            Some((b';', left)) => rest = left,
            _ => return Some((found?, pair.left)),
        }
    }
}

/// A name and its value, without the quotes; both are empty where nothing stands between two
/// semicolons.
struct Pair<'a> {
    name: &'a [u8],
    value: &'a [u8],
    /// What stands left of the pair, up to and with its comma or semicolon.
    left: &'a [u8],
}

fn last_pair(text: &[u8]) -> Option<Pair<'_>> {
    let text = text.trim_ascii_end();
    let (unquoted, quoted) = match text.strip_suffix(b"\"") {
        Some(inside) => {
            let opening = opening_quote(inside)?;
            (&inside[..opening], Some(&inside[opening + 1..]))
        }
        None => (text, None),
    };
    let separator = unquoted.iter().rposition(|byte| b",;".contains(byte));
    let (left, pair) = unquoted.split_at(separator.map_or(0, |at| at + 1));
    let pair = pair.trim_ascii_start();
    if pair.is_empty() && quoted.is_none() {
        return Some(Pair {
            name: pair,
            value: pair,
            left,
        });
    }
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&pair[..equals], &pair[equals + 1..]);
    let value = match quoted {
        Some(quoted) => value.is_empty().then_some(quoted)?,
        None => value,
    };
    let is_whole = !name.is_empty() && !pair.contains(&b'"');
    is_whole.then_some(Pair { name, value, left })
}

/// Where the string begins whose closing quote has just been taken off.
fn opening_quote(inside: &[u8]) -> Option<usize> {
    let is_escaped = |at: usize| {
        let backslashes = inside[..at].iter().rev().take_while(|byte| **byte == b'\\');
        backslashes.count() % 2 == 1
    };
    if is_escaped(inside.len()) {
        return None;
    }
    (0..inside.len())
        .rev()
        .find(|at| inside[*at] == b'"' && !is_escaped(*at))
}

/// A node of RFC 7239, section 6: like [`node`], but IPv6 only in brackets, so that its last group
/// cannot be taken for a port.
fn forwarded_node(value: &[u8]) -> Option<IpAddr> {
    // No address needs an escape.
    let value = std::str::from_utf8(value).ok()?;
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
