//! Secondary keys: the request fields that `Vary` names (RFC 9111 section 4.1).

use super::directives::elements;
use http::{HeaderMap, HeaderName, header};
use smallvec::SmallVec;

/// More names than this and the answer is not stored: each multiplies the variants.
pub(crate) const MAX_NAMES: usize = 8;

/// Too many values to ever be asked for twice, or somebody's secret: not stored.
const REFUSED: [HeaderName; 3] = [header::COOKIE, header::AUTHORIZATION, header::USER_AGENT];

/// Why an answer's `Vary` keeps it out of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unmatchable;

/// The names of `Vary`, in order of appearance, each once.
pub(crate) fn nominated(headers: &HeaderMap) -> Result<SmallVec<[HeaderName; 2]>, Unmatchable> {
    let mut names = SmallVec::new();
    for line in headers.get_all(header::VARY) {
        for element in elements(line.as_bytes()) {
            // `*` is no field name that a request could carry; nor is nonsense: both never match.
            let name = HeaderName::from_bytes(element).map_err(|_| Unmatchable)?;
            if name.as_str() == "*" || REFUSED.contains(&name) {
                return Err(Unmatchable);
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.len() > MAX_NAMES {
        Err(Unmatchable)
    } else {
        Ok(names)
    }
}

/// The nominated fields with the values that the original request had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection(Box<[(HeaderName, Option<Joined>)]>);

type Joined = SmallVec<[u8; 32]>;

impl Selection {
    pub(crate) fn of(names: &[HeaderName], request: &HeaderMap) -> Self {
        Self(
            names
                .iter()
                .map(|name| (name.clone(), joined(request, name)))
                .collect(),
        )
    }

    /// Whether this request would have been answered alike.
    pub(crate) fn matches(&self, request: &HeaderMap) -> bool {
        self.0
            .iter()
            .all(|(name, value)| *value == joined(request, name))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Heap bytes behind this value.
    pub(crate) fn bytes(&self) -> usize {
        let spilled = |value: &Option<Joined>| {
            value
                .as_ref()
                .filter(|value| value.spilled())
                .map_or(0, SmallVec::capacity)
        };
        size_of_val(&*self.0)
            + self
                .0
                .iter()
                .map(|(name, value)| name.as_str().len() + spilled(value))
                .sum::<usize>()
    }
}

/// All lines of a field as one; absent differs from empty (RFC 9110 section 5.2).
fn joined(request: &HeaderMap, name: &HeaderName) -> Option<Joined> {
    let mut lines = request
        .get_all(name)
        .iter()
        .map(|line| line.as_bytes().trim_ascii());
    let mut joined = Joined::from_slice(lines.next()?);
    for line in lines {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line);
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn matches(
        vary: &'static str,
        original: &[(&'static str, &'static str)],
        later: &[(&'static str, &'static str)],
    ) -> bool {
        let names = nominated(&map(&[("vary", vary)])).unwrap();
        Selection::of(&names, &map(original)).matches(&map(later))
    }

    #[test]
    fn every_nominated_field_must_match() {
        let original = [("accept", "a"), ("x", "1")];
        assert!(matches("Accept, X", &original, &original));
        assert!(!matches(
            "Accept, X",
            &original,
            &[("accept", "a"), ("x", "2")]
        ));
        assert!(matches(
            "Accept",
            &original,
            &[("accept", " a "), ("x", "2")]
        ));
    }

    #[test]
    fn lines_join_and_absent_is_not_empty() {
        assert!(matches("x", &[("x", "1"), ("x", "2")], &[("x", "1, 2")]));
        assert!(!matches("x", &[("x", "1"), ("x", "2")], &[("x", "1")]));
        assert!(!matches("x", &[("x", "")], &[]));
        assert!(matches("x", &[], &[]));
    }

    #[test]
    fn star_secrets_nonsense_and_crowds_are_refused() {
        for vary in [
            "*",
            "accept, *",
            "Cookie",
            "authorization",
            "user-agent",
            "a b",
            "(x)",
        ] {
            assert_eq!(
                nominated(&map(&[("vary", vary)])),
                Err(Unmatchable),
                "{vary}"
            );
        }
        assert_eq!(
            nominated(&map(&[("vary", "a,b,c,d,e,f,g,h,i")])),
            Err(Unmatchable)
        );
        assert_eq!(
            nominated(&map(&[("vary", "a"), ("vary", "*")])),
            Err(Unmatchable)
        );
        assert_eq!(
            nominated(&map(&[("vary", "a, A"), ("vary", "b")]))
                .unwrap()
                .len(),
            2
        );
    }
}
