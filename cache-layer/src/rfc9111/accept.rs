//! Request fields that weigh what the client would like (RFC 9110 section 12.4.2).
//!
//! Two values mean the same when they have the same members with the same weights: names in any
//! case, white space and order say nothing (sections 12.5.2 to 12.5.4). `Accept` is not among them:
//! services let its order decide between equal weights.

use http::{HeaderMap, HeaderName, header};
use smallvec::SmallVec;

/// Longer values are compared as they are: nobody has so many preferences, and reading them costs.
const MAX_LENGTH: usize = 512;

const IDENTITY: &[u8] = b"identity";
const ANY: &[u8] = b"*";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Member<'a> {
    name: &'a [u8],
    /// In thousandths.
    weight: u16,
}

type Lower = SmallVec<[u8; 64]>;
type Members<'a> = SmallVec<[Member<'a>; 8]>;

/// The one spelling of all values that mean the same; None if it is no such field or cannot be
/// read. A member of no weight stays: it refuses what might be sent without it.
pub(super) fn normal(name: &HeaderName, value: &[u8]) -> Option<Vec<u8>> {
    let lower = weighed(name, value)?;
    let mut members = members(&lower)?;
    members.sort_unstable();
    members.dedup();
    let mut normal = Vec::with_capacity(value.len());
    for Member { name, weight } in members {
        if !normal.is_empty() {
            normal.push(b',');
        }
        normal.extend_from_slice(name);
        match weight {
            1000 => {}
            0 => normal.extend_from_slice(b";q=0"),
            _ => {
                let digits = format!("{weight:03}");
                normal.extend_from_slice(b";q=0.");
                normal.extend_from_slice(digits.trim_end_matches('0').as_bytes());
            }
        }
    }
    Some(normal)
}

/// The one language, or the one coding, that an answer turned out to be in.
pub(super) fn served(name: &HeaderName, answer: &HeaderMap) -> Option<Box<[u8]>> {
    let (field, absent) = match *name {
        header::ACCEPT_LANGUAGE => (header::CONTENT_LANGUAGE, None),
        header::ACCEPT_ENCODING => (header::CONTENT_ENCODING, Some(IDENTITY)),
        _ => return None,
    };
    let mut lines = answer.get_all(field).iter();
    let Some(line) = lines.next() else {
        return absent.map(Into::into);
    };
    let lower = line.as_bytes().trim_ascii().to_ascii_lowercase();
    (lines.next().is_none() && is_token(&lower)).then(|| coding(&lower).into())
}

/// Whether this is what the client wants above all else.
///
/// That is certain where one member alone has the highest weight and names exactly what was
/// `served`: the origin has that representation, for it has sent it, and by the client's own word
/// there is none it would rather have. Ranges that only include it (`de` for `de-at`, `*`) and
/// equal weights leave a choice, and the choice is the origin's. An answer without coding goes to
/// those who accept no other: most clients never say how they weigh it.
pub(super) fn prefers(name: &HeaderName, value: &[u8], served: &[u8]) -> bool {
    let Some(lower) = weighed(name, value) else {
        return false;
    };
    let Some(members) = members(&lower) else {
        return false;
    };
    if *name == header::ACCEPT_ENCODING && served == IDENTITY {
        return only_identity(&members);
    }
    let Some(best) = members.iter().max_by_key(|member| member.weight) else {
        return false;
    };
    best.weight > 0
        && best.name != ANY
        && coding(best.name) == served
        && members.iter().all(|member| {
            (member.weight == best.weight) == (coding(member.name) == coding(best.name))
        })
}

/// Section 12.5.3: no coding at all is acceptable unless it is refused, by name or with all others.
fn only_identity(members: &[Member<'_>]) -> bool {
    let is_named = |name: &[u8]| members.iter().any(|member| member.name == name);
    let nothing_else = |member: &Member<'_>| (member.name == IDENTITY) == (member.weight > 0);
    members.iter().all(nothing_else) && (is_named(IDENTITY) || !is_named(ANY))
}

/// Section 8.4.1: two codings have a second name. No language has one of these.
fn coding(name: &[u8]) -> &[u8] {
    match name {
        b"x-gzip" => b"gzip",
        b"x-compress" => b"compress",
        name => name,
    }
}

fn weighed(name: &HeaderName, value: &[u8]) -> Option<Lower> {
    let is_weighed = matches!(
        *name,
        header::ACCEPT_LANGUAGE | header::ACCEPT_ENCODING | header::ACCEPT_CHARSET
    );
    (is_weighed && value.len() <= MAX_LENGTH).then(|| {
        let mut lower = Lower::from_slice(value);
        lower.make_ascii_lowercase();
        lower
    })
}

fn members(lower: &[u8]) -> Option<Members<'_>> {
    lower
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|text| !text.is_empty())
        .map(member)
        .collect()
}

fn member(text: &[u8]) -> Option<Member<'_>> {
    let mut parts = text.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next()?;
    let weight = match parts.next() {
        Some(parameter) => weight(parameter.strip_prefix(b"q=")?)?,
        None => 1000,
    };
    (is_token(name) && parts.next().is_none()).then_some(Member { name, weight })
}

/// Section 12.4.2: 0 to 1, with at most three digits behind the point.
fn weight(text: &[u8]) -> Option<u16> {
    let (whole, digits) = match text {
        [whole, b'.', digits @ ..] if digits.len() <= 3 => (*whole, digits),
        [whole] => (*whole, &[][..]),
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = digits.get(place).unwrap_or(&b'0');
        thousandths = thousandths * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    match (whole, thousandths) {
        (b'0', _) => Some(thousandths),
        (b'1', 0) => Some(1000),
        _ => None,
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token)
}

#[cfg(test)]
mod tests;
