//! A host as a key part: lower case, no default port, no trailing dot (RFC 9110 section 4.2.3).

use super::NoKey;
use std::borrow::Cow;

/// The longest host that DNS knows.
const MAX_HOST: usize = 255;

/// Reads `host [":" port]` into its normal form; what is not one is refused, not mended.
pub(super) fn normal(text: &[u8], default_port: u16) -> Result<Cow<'_, [u8]>, NoKey> {
    // Most requests spell it so already.
    let changes = |byte: &u8| NAME[usize::from(*byte)] != *byte;
    let end = text.iter().position(changes).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let is_normal_port = match rest {
        [] => true,
        [b':', digits @ ..] => {
            let port = parse_port(digits).filter(|port| *port != default_port);
            matches!(digits, [b'1'..=b'9', ..]) && port.is_some()
        }
        _ => false,
    };
    if is_normal_port && (1..=MAX_HOST).contains(&name.len()) && !name.ends_with(b".") {
        return Ok(Cow::Borrowed(text));
    }
    let end = match text {
        [b'[', ..] => text.iter().position(|byte| *byte == b']').map(|at| at + 1),
        _ => text.iter().position(|byte| *byte == b':'),
    };
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    // A dot at the end names the same host; a dot alone names none, nor do two in a row.
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.len() > MAX_HOST {
        return Err(NoKey::LongHost);
    }
    let host = rewritten(name, rest, default_port).ok_or(NoKey::BadHost)?;
    Ok(if *host == *text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(host)
    })
}

fn rewritten(name: &[u8], rest: &[u8], default_port: u16) -> Option<Vec<u8>> {
    let is_host = is_literal(name) || is_name(name) && !name.ends_with(b".");
    if name.is_empty() || !is_host {
        return None;
    }
    let mut host = name.to_ascii_lowercase();
    match rest {
        [] | [b':'] => {}
        [b':', digits @ ..] => {
            let port = parse_port(digits)?;
            if port != default_port {
                // A colon outside of brackets is in no name, so no name can end like a port.
                host.extend_from_slice(format!(":{port}").as_bytes());
            }
        }
        _ => return None,
    }
    Some(host)
}

/// An IP literal with its brackets.
fn is_literal(text: &[u8]) -> bool {
    let is_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    matches!(text, [b'[', address @ .., b']'] if !address.is_empty() && address.iter().all(is_address))
}

fn is_name(text: &[u8]) -> bool {
    text.iter().all(|byte| NAME[usize::from(*byte)] != NONE)
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0u16, |port, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        port.checked_mul(10)?.checked_add(u16::from(digit))
    })
}

/// What stands for no octet: nothing becomes an upper-case letter, not even itself.
const NONE: u8 = b'A';

/// What each octet of a name becomes; `NONE` for those that no name holds. It is RFC 3986's
/// `reg-name`, less the comma, which is how two joined Host lines look.
static NAME: [u8; 256] = {
    let mut table = [NONE; 256];
    let allowed = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+;=";
    let mut at = 0;
    while at < allowed.len() {
        table[allowed[at] as usize] = allowed[at].to_ascii_lowercase();
        at += 1;
    }
    table
};
