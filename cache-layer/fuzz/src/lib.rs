//! How the targets read their inputs, and what their models have in common.
//!
//! An input is text, so that seeds can be read and dictionaries help: field lines as on the wire, in
//! sections that an empty line parts. A model says the same as the crate in the plainest way that
//! there is, without a thought for speed.

pub mod keys;
pub mod spelling;

use http::{HeaderMap, HeaderName, HeaderValue};

/// What an overflowing `delta-seconds` counts as, and no lifetime exceeds.
pub const MOST_SECONDS: u64 = 1 << 31;

/// The sections of an input.
pub fn sections(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.windows(2).position(|pair| pair == b"\n\n");
        rest = end.map(|end| &text[end + 2..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// The `name: value` lines of a section; what is none is left out.
#[must_use]
pub fn fields(section: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in section.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            fields.append(name, value);
        }
    }
    fields
}

/// The lines of a field.
pub fn lines<'a>(fields: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields.get_all(name).into_iter().map(HeaderValue::as_bytes)
}

/// A field that tells the target something, as a number.
#[must_use]
pub fn number(fields: &HeaderMap, name: &str) -> Option<u64> {
    fields.get(name)?.to_str().ok()?.parse().ok()
}

/// The same fields, with other values.
#[must_use]
pub fn with_values(
    fields: &HeaderMap,
    change: impl Fn(&HeaderName, &[u8]) -> Vec<u8>,
) -> HeaderMap {
    let mut changed = HeaderMap::new();
    for (name, value) in fields {
        let value = HeaderValue::from_bytes(&change(name, value.as_bytes()));
        changed.append(name, value.expect("a change makes a valid value"));
    }
    changed
}

/// What stands between the separators outside of quoted strings, trimmed, where it is anything.
#[must_use]
pub fn split(line: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let mut all = stretches(line, separator);
    all.retain(|one| !one.is_empty());
    all
}

/// The same with those that are nothing.
#[must_use]
pub fn stretches(line: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    let mut in_string = false;
    let mut octets = line.iter().copied();
    while let Some(octet) = octets.next() {
        if octet == separator && !in_string {
            all.push(Vec::new());
            continue;
        }
        let last = all.last_mut().expect("there is one from the start");
        last.push(octet);
        if octet == b'"' {
            in_string = !in_string;
        } else if octet == b'\\' && in_string {
            last.extend(octets.next());
        }
    }
    all.iter().map(|one| one.trim_ascii().to_vec()).collect()
}

/// Whether a quoted string is left open at the end of a line, so that another line would go on in it.
#[must_use]
pub fn is_open(line: &[u8]) -> bool {
    let marked = [line, b",x"].concat();
    split(&marked, b',').last().is_none_or(|last| last != b"x")
}
