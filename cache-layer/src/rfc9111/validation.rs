//! Asking the origin whether a stored answer still holds (RFC 9111 section 4.3).

use super::precondition::weak;
use http::{HeaderMap, HeaderValue, header};

/// Whether the origin can be asked at all.
pub(crate) fn has_validator(stored: &HeaderMap) -> bool {
    stored.contains_key(header::ETAG) || stored.contains_key(header::LAST_MODIFIED)
}

/// Makes a request conditional on what is stored (section 4.3.1).
pub(crate) fn ask(request: &mut HeaderMap, stored: &HeaderMap) {
    for (validator, condition) in [
        (header::ETAG, header::IF_NONE_MATCH),
        (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE),
    ] {
        if let Some(value) = stored.get(validator) {
            request.insert(condition, value.clone());
        }
    }
}

/// Makes a request conditional on several variants, none of which was selected: by their tags alone,
/// as variants may have a date in common.
pub(crate) fn ask_which<'a>(request: &mut HeaderMap, stored: impl Iterator<Item = &'a HeaderMap>) {
    let tags: Vec<_> = stored
        .filter_map(|stored| stored.get(header::ETAG))
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(tags) = HeaderValue::from_bytes(&tags.join(&b", "[..])) {
        request.insert(header::IF_NONE_MATCH, tags);
    }
}

/// Whether a 304 names the very tag of what is stored.
pub(crate) fn names(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
    let tag = not_modified.get(header::ETAG);
    tag.is_some() && tag == stored.get(header::ETAG)
}

/// Whether a 304 speaks of what is stored (section 4.3.4). A strong validator must be the same; a
/// weak one may be; one that is missing leaves only the answer that was asked about.
pub(crate) fn confirms(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
    let stored_tag = stored.get(header::ETAG).map(HeaderValue::as_bytes);
    match not_modified.get(header::ETAG).map(HeaderValue::as_bytes) {
        Some(tag) if tag.starts_with(b"W/") => stored_tag.is_some_and(|own| weak(own) == weak(tag)),
        Some(tag) => stored_tag == Some(tag),
        None => match (
            not_modified.get(header::LAST_MODIFIED),
            stored.get(header::LAST_MODIFIED),
        ) {
            (Some(said), Some(own)) => said == own,
            _ => true,
        },
    }
}

/// Whether the answer to a HEAD is about what is stored (section 4.3.5): what it says of validators
/// and length is the same.
pub(crate) fn is_same(head: &HeaderMap, stored: &HeaderMap, length: Option<u64>) -> bool {
    let validators = [header::ETAG, header::LAST_MODIFIED];
    let same = |name| {
        head.get(name)
            .is_none_or(|said| stored.get(name) == Some(said))
    };
    let said = head.get(header::CONTENT_LENGTH);
    validators.iter().all(same)
        && said.is_none_or(|said| {
            let said = said.to_str().ok().and_then(|said| said.parse().ok());
            said.is_some() && said == length
        })
}

/// The stored fields, updated by a 304's (section 3.2). Its `Age` comes along, to be judged with it.
pub(crate) fn update(mut stored: HeaderMap, not_modified: &HeaderMap) -> HeaderMap {
    // Without one, the 304 was made when it came, which whoever stores it writes down.
    stored.remove(header::DATE);
    for name in not_modified.keys() {
        // The length is that of the stored body, which a 304 does not carry.
        if *name != header::CONTENT_LENGTH {
            stored.remove(name);
            for value in not_modified.get_all(name) {
                stored.append(name.clone(), value.clone());
            }
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn both_validators_are_sent() {
        let mut request = map(&[("if-none-match", "\"client's\""), ("accept", "x")]);
        let stored = map(&[("etag", "W/\"e\""), ("last-modified", "then")]);
        ask(&mut request, &stored);
        let expected = [
            ("if-none-match", "W/\"e\""),
            ("if-modified-since", "then"),
            ("accept", "x"),
        ];
        assert_eq!(request, map(&expected));
        assert!(!has_validator(&map(&[("date", "then")])));
    }

    #[test]
    fn several_are_asked_about_by_tag_and_told_apart_by_tag() {
        let stored = [
            map(&[("etag", "\"a\""), ("last-modified", "then")]),
            map(&[("etag", "\"b\"")]),
        ];
        for (count, tags) in [(1, "\"a\""), (2, "\"a\", \"b\"")] {
            let mut request = HeaderMap::new();
            ask_which(&mut request, stored.iter().take(count));
            assert_eq!(request, map(&[("if-none-match", tags)]));
        }
        for (said, expected) in [
            (&[("etag", "\"a\"")][..], true),
            (&[("etag", "W/\"a\"")], false),
            (&[("etag", "\"b\"")], false),
            (&[("last-modified", "then")], false),
            (&[], false),
        ] {
            assert_eq!(names(&map(said), &stored[0]), expected, "{said:?}");
        }
    }

    #[test]
    fn a_304_confirms_only_what_it_names() {
        for (said, stored, expected) in [
            (&[][..], &[("etag", "\"e\"")][..], true),
            (&[("etag", "\"e\"")], &[("etag", "\"e\"")], true),
            (&[("etag", "\"e\"")], &[("etag", "W/\"e\"")], false),
            (&[("etag", "W/\"e\"")], &[("etag", "\"e\"")], true),
            (&[("etag", "\"f\"")], &[("etag", "\"e\"")], false),
            (&[("etag", "\"f\"")], &[("last-modified", "a")], false),
            (&[("last-modified", "a")], &[("last-modified", "a")], true),
            (&[("last-modified", "b")], &[("last-modified", "a")], false),
            (&[("last-modified", "b")], &[("etag", "\"e\"")], true),
        ] {
            assert_eq!(
                confirms(&map(said), &map(stored)),
                expected,
                "{said:?} {stored:?}"
            );
        }
    }

    #[test]
    fn a_head_is_about_the_same_if_all_it_says_is() {
        let stored = [("etag", "\"e\""), ("last-modified", "then")];
        for (said, expected) in [
            (&[][..], true),
            (&[("etag", "\"e\""), ("content-length", "5")], true),
            (&[("etag", "\"f\"")], false),
            (&[("last-modified", "now")], false),
            (&[("content-length", "6")], false),
            (&[("content-length", "x")], false),
        ] {
            let same = is_same(&map(said), &map(&stored), Some(5));
            assert_eq!(same, expected, "{said:?}");
        }
        assert!(!is_same(&map(&[("etag", "\"e\"")]), &map(&[]), None));
    }

    #[test]
    fn all_fields_but_the_length_are_updated() {
        let stored = map(&[
            ("date", "old"),
            ("content-length", "5"),
            ("x", "1"),
            ("x", "2"),
            ("kept", "1"),
        ]);
        let said = map(&[
            ("content-length", "0"),
            ("x", "3"),
            ("new", "a"),
            ("new", "b"),
        ]);
        let expected = [
            ("content-length", "5"),
            ("x", "3"),
            ("kept", "1"),
            ("new", "a"),
            ("new", "b"),
        ];
        assert_eq!(update(stored, &said), map(&expected));
    }
}
