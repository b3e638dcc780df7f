//! A host as a key part: lower case, no default port, no trailing dot (RFC 9110 section 4.2.3).

use super::{Unkeyable, parts::Parts};

/// The longest host that DNS knows.
const MAX_HOST: usize = 255;

/// Reads `host [":" port]` and appends it; what is not one is refused, not mended.
pub(super) fn push(parts: &mut Parts, text: &[u8], default_port: u16) -> Result<(), Unkeyable> {
    let (name, port) = split(text).ok_or(Unkeyable::Host)?;
    let name = match name {
        // A dot at the end names the same host; a dot alone names none.
        [name @ .., b'.'] => name,
        name => name,
    };
    if name.is_empty() || name.len() > MAX_HOST {
        return Err(Unkeyable::Host);
    }
    let mut lower = [0; MAX_HOST];
    for (place, byte) in lower.iter_mut().zip(name) {
        *place = NAME[usize::from(*byte)];
        if *place == 0 {
            return Err(Unkeyable::Host);
        }
    }
    parts.push(&lower[..name.len()]);
    if !port.is_empty() {
        let port = parse_port(port).ok_or(Unkeyable::Host)?;
        if port != default_port {
            let [high, low] = port.to_be_bytes();
            // A colon outside of brackets is in no name, so no name can end like a port.
            parts.push(&[b':', high, low]);
        }
    }
    Ok(())
}

/// Whether two spellings name one host.
pub(super) fn same(one: &[u8], other: &[u8], default_port: u16) -> Result<bool, Unkeyable> {
    let (mut left, mut right) = (Parts::new(), Parts::new());
    push(&mut left, one, default_port)?;
    push(&mut right, other, default_port)?;
    Ok(left == right)
}

/// Name and port digits; the colons of an IPv6 literal stay in its brackets.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let after_name = if let [b'[', ..] = text {
        let end = text.iter().position(|byte| *byte == b']')?;
        let literal = &text[1..end];
        let is_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        if literal.is_empty() || !literal.iter().all(is_address) {
            return None;
        }
        end + 1
    } else {
        let end = text
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(text.len());
        if text[..end].contains(&b'[') || text[..end].contains(&b']') {
            return None;
        }
        end
    };
    match text.split_at(after_name) {
        (name, []) => Some((name, &[])),
        (name, [b':', port @ ..]) => Some((name, port)),
        _ => None,
    }
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0u16, |port, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        port.checked_mul(10)?.checked_add(u16::from(digit))
    })
}

/// What each octet of a name becomes; 0 for those that no name holds. It is RFC 3986's `reg-name`,
/// less the comma, which is how two joined Host lines look, and with the brackets and colons that
/// `split` has left only in IP literals.
static NAME: [u8; 256] = {
    let mut table = [0; 256];
    let allowed =
        b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+;=[]:";
    let mut at = 0;
    while at < allowed.len() {
        table[allowed[at] as usize] = allowed[at].to_ascii_lowercase();
        at += 1;
    }
    table
};
