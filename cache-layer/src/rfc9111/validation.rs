//! Asking the origin whether a stored answer still holds (RFC 9111 section 4.3).

use super::precondition::weak;
use http::{HeaderMap, HeaderValue, header};

/// Whether the origin can be asked at all.
pub(crate) fn has_validator(stored: &HeaderMap) -> bool {
    stored.contains_key(header::ETAG) || stored.contains_key(header::LAST_MODIFIED)
}

/// Makes a request conditional on what is stored (section 4.3.1): on one answer by all that it is
/// known by, on several by their tags, which tell the origin's reply which one it is about.
pub(crate) fn ask<'a>(
    request: &mut HeaderMap,
    stored: impl Iterator<Item = &'a HeaderMap> + Clone,
) {
    let mut tags = Vec::new();
    for tag in stored.clone().filter_map(|stored| stored.get(header::ETAG)) {
        if !tags.is_empty() {
            tags.extend_from_slice(b", ");
        }
        tags.extend_from_slice(tag.as_bytes());
    }
    if let Ok(tags) = HeaderValue::from_bytes(&tags)
        && !tags.is_empty()
    {
        request.insert(header::IF_NONE_MATCH, tags);
    }
    let mut all = stored;
    if let (Some(one), None) = (all.next(), all.next())
        && let Some(modified) = one.get(header::LAST_MODIFIED)
    {
        request.insert(header::IF_MODIFIED_SINCE, modified.clone());
    }
}

/// Which of the answers that it was asked about a 304 speaks of (section 4.3.4): of several, the one
/// whose tag it names.
pub(crate) fn confirmed<'a, T>(
    not_modified: &HeaderMap,
    stored: &'a [T],
    fields: impl Fn(&T) -> &HeaderMap,
) -> Option<&'a T> {
    let named = stored.len() == 1 || not_modified.contains_key(header::ETAG);
    let mut confirmed = stored
        .iter()
        .filter(|stored| named && confirms(not_modified, fields(stored)));
    confirmed.next()
}

/// Whether a 304 speaks of what is stored (section 4.3.4). A strong validator must be the same; a
/// weak one may be; one that is missing leaves only the answer that was asked about.
fn confirms(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
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
        ask(&mut request, [&stored].into_iter());
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
            map(&[("etag", "W/\"b\"")]),
        ];
        let mut request = HeaderMap::new();
        ask(&mut request, stored.iter());
        assert_eq!(request, map(&[("if-none-match", "\"a\", W/\"b\"")]));
        let which = |said: &[_]| {
            let fields = confirmed(&map(said), &stored, |stored| stored)?;
            fields.get(header::ETAG).cloned()
        };
        assert_eq!(which(&[("etag", "\"a\"")]).unwrap(), "\"a\"");
        assert_eq!(which(&[("etag", "W/\"b\"")]).unwrap(), "W/\"b\"");
        assert_eq!(which(&[("etag", "\"c\"")]), None);
        assert_eq!(which(&[]), None);
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
