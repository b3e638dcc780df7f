//! Groups of answers that are invalidated together (RFC 9875).
//!
//! Strings compare octet for octet; groups of different origins have nothing in common, and the
//! order of members means nothing. A field that is not a List of Strings says nothing at all
//! (RFC 9651 section 4.2).

use super::structured::strings;
use http::{HeaderMap, HeaderName};

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// Section 2 asks for 32.
pub(crate) const MAX_GROUPS: usize = 128;
/// In characters; section 2 asks for 32.
const MAX_LENGTH: usize = 256;

/// More groups than we keep, or a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The groups that an answer belongs to, each once.
///
/// Beyond the bounds there is no answer to store: one that is in a group of which we do not know
/// would outlive the invalidation that its origin counts on.
pub(crate) fn groups(response: &HeaderMap) -> Result<Vec<String>, TooMany> {
    let mut groups = strings(response, &CACHE_GROUPS).unwrap_or_default();
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > MAX_GROUPS || groups.iter().any(|group| group.len() > MAX_LENGTH) {
        return Err(TooMany);
    }
    Ok(groups)
}

/// The groups that an answer invalidates, if its request was unsafe: which is the caller's to see
/// to, for on safe methods the field must be ignored (section 3).
///
/// However many there are, for each one left out would leave stale answers; but none that is too
/// long, for nothing stored is in such a group.
pub(crate) fn invalidated_groups(response: &HeaderMap) -> Vec<String> {
    let mut groups = strings(response, &CACHE_GROUP_INVALIDATION).unwrap_or_default();
    groups.retain(|group| group.len() <= MAX_LENGTH);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            map.append(name, line.parse().unwrap());
        }
        map
    }

    fn of(lines: &[&str]) -> Result<Vec<String>, TooMany> {
        let invalidated = invalidated_groups(&map(&CACHE_GROUP_INVALIDATION, lines));
        let groups = groups(&map(&CACHE_GROUPS, lines));
        if let Ok(groups) = &groups {
            assert!(invalidated.iter().all(|group| groups.contains(group)));
            assert!(groups.iter().all(|group| invalidated.contains(group)));
        }
        groups
    }

    #[test]
    fn lists_of_strings() {
        for (lines, expected) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&[r#""scripts""#], &["scripts"]),
            (&[r#""b";x=1, "a""#, r#""a", "A""#], &["A", "a", "b"]),
            (&[r#""""#], &[""]),
            (&[r#""a", b"#], &[]),
            (&["scripts"], &[]),
            (&[r#""a", ("b")"#], &[]),
            (&[r#""a","#], &[]),
        ] {
            assert_eq!(of(lines).unwrap(), expected, "{lines:?}");
        }
    }

    #[test]
    fn beyond_the_bounds_nothing_is_stored_and_all_is_invalidated() {
        let list = |count: usize, length: usize| {
            let group = |number| format!("\"{number:0length$}\"");
            (0..count).map(group).collect::<Vec<_>>().join(", ")
        };
        for (count, length, expected) in [
            (32, 32, Ok(32)),
            (MAX_GROUPS, MAX_LENGTH, Ok(MAX_GROUPS)),
            (MAX_GROUPS + 1, 4, Err(TooMany)),
            (1, MAX_LENGTH + 1, Err(TooMany)),
        ] {
            let groups = of(&[&list(count, length)]).map(|groups| groups.len());
            assert_eq!(groups, expected, "{count} of {length}");
        }
        let twice = list(MAX_GROUPS, 4);
        assert!(of(&[&twice, &twice]).is_ok(), "each counts once");
        let invalidated =
            |list: &str| invalidated_groups(&map(&CACHE_GROUP_INVALIDATION, &[list])).len();
        assert_eq!(invalidated(&list(1000, 4)), 1000);
        assert_eq!(invalidated(&list(3, MAX_LENGTH + 1)), 0);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_all_that_is_kept_was_said(line in "[\"a-c, ;()\\\\]{0,40}") {
            for group in of(&[&line]).unwrap() {
                prop_assert!(line.replace('\\', "").contains(&group.replace('\\', "")));
            }
        }
    }
}
