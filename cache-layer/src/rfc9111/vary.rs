//! Secondary keys: the request fields that `Vary` names (RFC 9111 section 4.1).

use super::accept;
use super::directives::elements;
use http::{HeaderMap, HeaderName, header};
use smallvec::SmallVec;

/// Too many values to ever be asked for twice, or somebody's secret: not stored unless that is asked for.
pub(crate) const REFUSED: [HeaderName; 3] =
    [header::COOKIE, header::AUTHORIZATION, header::USER_AGENT];

/// Why an answer's `Vary` keeps it out of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unmatchable;

/// The names of `Vary`, in order of appearance, each once; at most so many, as each multiplies the
/// variants.
pub(crate) fn nominated(
    headers: &HeaderMap,
    most: usize,
    refused: impl Fn(&HeaderName) -> bool,
) -> Result<SmallVec<[HeaderName; 2]>, Unmatchable> {
    let mut names = SmallVec::new();
    for line in headers.get_all(header::VARY) {
        for element in elements(line.as_bytes()) {
            // `*` is no field name that a request could carry; nor is nonsense: both never match.
            let name = HeaderName::from_bytes(element).map_err(|_| Unmatchable)?;
            if name.as_str() == "*" || refused(&name) {
                return Err(Unmatchable);
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.len() > most {
        Err(Unmatchable)
    } else {
        Ok(names)
    }
}

/// The nominated fields with the values that the original request had.
///
/// Equal are selections that the same requests match exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection(Box<[Field]>);

#[derive(Debug, Clone)]
struct Field {
    name: HeaderName,
    /// Absent differs from empty (RFC 9110 section 5.2).
    value: Option<Value>,
    /// What the answer turned out to be in, as [`accept::prefers`] wants to know it.
    served: Option<Box<[u8]>>,
}

#[derive(Debug, Clone)]
struct Value {
    /// All lines as one, for the usual case: the same client software, the same octets.
    joined: Octets,
    /// What all values with the same meaning have in common.
    normal: Octets,
}

type Octets = SmallVec<[u8; 32]>;

impl Selection {
    pub(crate) fn of(names: &[HeaderName], request: &HeaderMap) -> Self {
        let field = |name: &HeaderName| Field {
            name: name.clone(),
            value: joined(request, name).map(|joined| Value {
                normal: normal(name, &joined),
                joined,
            }),
            served: None,
        };
        Self(names.iter().map(field).collect())
    }

    /// Notes what came for that request: a match by preference needs to know.
    #[must_use]
    pub(crate) fn answered_by(mut self, response: &HeaderMap) -> Self {
        for field in &mut self.0 {
            field.served = accept::served(&field.name, response);
        }
        self
    }

    /// Whether no field was nominated.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this request may be answered alike.
    pub(crate) fn matches(&self, request: &HeaderMap) -> bool {
        self.matches_exactly(request) || self.matches_by_preference(request)
    }

    /// Whether it asks for the same: this request's fields differ in nothing but white space, lines
    /// and, where their meaning is known, spelling. Allocates only where the octets differ.
    pub(crate) fn matches_exactly(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|field| field.is_same(request))
    }

    /// Whether what came is certainly what this request wants most; to be asked when no variant
    /// matches exactly. Section 4.1 lets weights choose among stored answers.
    pub(crate) fn matches_by_preference(&self, request: &HeaderMap) -> bool {
        self.0
            .iter()
            .all(|field| field.is_same(request) || field.is_preferred(request))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|field| &field.name)
    }

    /// Heap bytes behind this value.
    pub(crate) fn bytes(&self) -> usize {
        let spilled = |octets: &Octets| {
            if octets.spilled() {
                octets.capacity()
            } else {
                0
            }
        };
        let value = |value: &Value| spilled(&value.joined) + spilled(&value.normal);
        let field = |field: &Field| {
            field.name.as_str().len()
                + field.value.as_ref().map_or(0, value)
                + field.served.as_ref().map_or(0, |served| served.len())
        };
        size_of_val(&*self.0) + self.0.iter().map(field).sum::<usize>()
    }
}

impl Field {
    fn is_same(&self, request: &HeaderMap) -> bool {
        match &self.value {
            None => !request.contains_key(&self.name),
            Some(value) => {
                is_joined(&value.joined, request, &self.name)
                    || joined(request, &self.name)
                        .is_some_and(|joined| value.normal == normal(&self.name, &joined))
            }
        }
    }

    fn is_preferred(&self, request: &HeaderMap) -> bool {
        self.served.as_ref().is_some_and(|served| {
            joined(request, &self.name)
                .is_some_and(|joined| accept::prefers(&self.name, &joined, served))
        })
    }

    fn normal(&self) -> Option<&Octets> {
        self.value.as_ref().map(|value| &value.normal)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.normal() == other.normal()
    }
}

impl Eq for Field {}

fn lines<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = request.get_all(name).iter();
    lines.map(|line| line.as_bytes().trim_ascii())
}

/// All lines of a field as one (RFC 9110 section 5.2).
fn joined(request: &HeaderMap, name: &HeaderName) -> Option<Octets> {
    let mut lines = lines(request, name);
    let mut joined = Octets::from_slice(lines.next()?);
    for line in lines {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line);
    }
    Some(joined)
}

/// Whether [`joined`] would say this.
fn is_joined(mut expected: &[u8], request: &HeaderMap, name: &HeaderName) -> bool {
    let mut separator = &b""[..];
    for line in lines(request, name) {
        let rest = expected.strip_prefix(separator);
        let Some(rest) = rest.and_then(|rest| rest.strip_prefix(line)) else {
            return false;
        };
        (expected, separator) = (rest, b", ");
    }
    // No line, no separator: absent is not empty.
    expected.is_empty() && !separator.is_empty()
}

/// The members and their weights, where the field is known; else the value without the white space
/// around commas. Order and case may mean something to whoever made the field up.
fn normal(name: &HeaderName, joined: &[u8]) -> Octets {
    accept::normal(name, joined).map_or_else(|| squeezed(joined), Octets::from_vec)
}

/// A trimmed value without the white space around its commas; quoted strings stay as they are.
fn squeezed(value: &[u8]) -> Octets {
    let (mut quoted, mut escaped, mut after_comma) = (false, false, false);
    let mut squeezed = Octets::new();
    for &byte in value {
        if quoted {
            (quoted, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
        } else if byte == b',' {
            while matches!(squeezed.last(), Some(b' ' | b'\t')) {
                squeezed.pop();
            }
        } else if after_comma && matches!(byte, b' ' | b'\t') {
            continue;
        } else {
            quoted = byte == b'"';
        }
        after_comma = !quoted && byte == b',';
        squeezed.push(byte);
    }
    squeezed
}

#[cfg(test)]
mod tests;
