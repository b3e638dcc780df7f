//! A host as a key part: lower case, no default port, no trailing dot (RFC 9110 section 4.2.3).

use super::{Unkeyable, parts::Parts};

/// The longest host that DNS knows.
const MAX_HOST: usize = 255;

/// Reads `host [":" port]` and appends it; what is not one is refused, not mended.
pub(super) fn push(parts: &mut Parts, text: &[u8], default_port: u16) -> Result<(), Unkeyable> {
    let mut lower = [0; MAX_HOST + 1];
    let (mut name, rest) = match text {
        [b'[', ..] => literal(text, &mut lower),
        _ => registered_name(text, &mut lower),
    }
    .ok_or(Unkeyable::Host)?;
    if let [shorter @ .., b'.'] = name {
        // A dot at the end names the same host; a dot alone names none.
        name = shorter;
    }
    if name.is_empty() || name.len() > MAX_HOST {
        return Err(Unkeyable::Host);
    }
    parts.push(name);
    match rest {
        [] | [b':'] => {}
        [b':', port @ ..] => {
            let port = parse_port(port).ok_or(Unkeyable::Host)?;
            if port != default_port {
                let [high, low] = port.to_be_bytes();
                // A colon outside of brackets is in no name, so no name can end like a port.
                parts.push(&[b':', high, low]);
            }
        }
        _ => return Err(Unkeyable::Host),
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

/// A name in lower case, and what follows it: nothing, or a colon and more.
fn registered_name<'a, 'b>(
    text: &'a [u8],
    lower: &'b mut [u8; MAX_HOST + 1],
) -> Option<(&'b [u8], &'a [u8])> {
    let mut length = 0;
    for (place, byte) in lower.iter_mut().zip(text) {
        if *byte == b':' {
            break;
        }
        *place = NAME[usize::from(*byte)];
        if *place == 0 {
            return None;
        }
        length += 1;
    }
    Some((&lower[..length], &text[length..]))
}

/// An IP literal with its brackets, and what follows it.
fn literal<'a, 'b>(
    text: &'a [u8],
    lower: &'b mut [u8; MAX_HOST + 1],
) -> Option<(&'b [u8], &'a [u8])> {
    let end = text.iter().position(|byte| *byte == b']')?;
    let address = &text[1..end];
    let is_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    if address.is_empty() || !address.iter().all(is_address) {
        return None;
    }
    let lower = lower.get_mut(..=end)?;
    lower.copy_from_slice(&text[..=end]);
    lower.make_ascii_lowercase();
    Some((lower, &text[end + 1..]))
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0u16, |port, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        port.checked_mul(10)?.checked_add(u16::from(digit))
    })
}

/// What each octet of a name becomes; 0 for those that no name holds. It is RFC 3986's `reg-name`,
/// less the comma, which is how two joined Host lines look.
static NAME: [u8; 256] = {
    let mut table = [0; 256];
    let allowed = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+;=";
    let mut at = 0;
    while at < allowed.len() {
        table[allowed[at] as usize] = allowed[at].to_ascii_lowercase();
        at += 1;
    }
    table
};
