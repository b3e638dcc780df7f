//! A client's own conditions, evaluated against a stored answer (RFC 9111 section 4.3.2).

use super::directives::elements;
use super::freshness::{date, http_date};
use http::{HeaderMap, StatusCode, header};

/// Whether the client already holds what is stored and wants a 304 (RFC 9110 section 13.2.2).
pub(crate) fn not_modified(request: &HeaderMap, status: StatusCode, stored: &HeaderMap) -> bool {
    if status != StatusCode::OK {
        return false;
    }
    // If-None-Match beats If-Modified-Since, also where it does not match.
    if request.contains_key(header::IF_NONE_MATCH) {
        let stored = stored.get(header::ETAG).map(|tag| weak(tag.as_bytes()));
        return request.get_all(header::IF_NONE_MATCH).iter().any(|line| {
            elements(line.as_bytes()).any(|tag| tag == b"*" || Some(weak(tag)) == stored)
        });
    }
    let Some(since) = request.get(header::IF_MODIFIED_SINCE).and_then(http_date) else {
        return false;
    };
    stored
        .get(header::LAST_MODIFIED)
        .map_or_else(|| date(stored), http_date)
        .is_some_and(|modified| modified <= since)
}

/// The opaque tag: weak comparison ignores the prefix (RFC 9110 section 8.8.3.2).
pub(crate) fn weak(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Takes from a header section what a 304 does not carry (RFC 9110 section 15.4.5).
pub(crate) fn strip_representation(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_RANGE,
    ] {
        headers.remove(name);
    }
}

/// Removes the conditions that the cache answers itself, so that the origin sends the whole.
pub(crate) fn strip_conditions(request: &mut HeaderMap) {
    request.remove(header::IF_NONE_MATCH);
    request.remove(header::IF_MODIFIED_SINCE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
            .collect()
    }

    #[test]
    fn entity_tags_compare_weakly_and_beat_dates() {
        let stored = map(&[
            ("etag", "W/\"a,b\""),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]);
        for (tags, expected) in [
            ("\"a,b\"", true),
            ("\"x\", W/\"a,b\"", true),
            ("*", true),
            ("\"a\"", false),
            ("a,b", false),
            ("", false),
        ] {
            let request = HeaderMap::from_iter([
                (header::IF_NONE_MATCH, tags.parse().unwrap()),
                (
                    header::IF_MODIFIED_SINCE,
                    "Sun, 06 Nov 2094 08:49:37 GMT".parse().unwrap(),
                ),
            ]);
            assert_eq!(
                not_modified(&request, StatusCode::OK, &stored),
                expected,
                "{tags}"
            );
        }
    }

    #[test]
    fn dates_compare_by_last_modified_or_date() {
        let asks = |since: &'static str, stored: &[(&'static str, &'static str)]| {
            not_modified(
                &map(&[("if-modified-since", since)]),
                StatusCode::OK,
                &map(stored),
            )
        };
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(asks("Sun, 06 Nov 1994 08:49:37 GMT", &[modified]));
        assert!(!asks("Sun, 06 Nov 1994 08:49:36 GMT", &[modified]));
        assert!(!asks("yesterday", &[modified]));
        assert!(asks(
            "Sun, 06 Nov 1994 08:49:37 GMT",
            &[("date", "Sun, 06 Nov 1994 08:49:00 GMT")]
        ));
        assert!(!asks("Sun, 06 Nov 1994 08:49:37 GMT", &[]));
    }

    #[test]
    fn only_a_stored_200_is_conditional() {
        let tag = map(&[("if-none-match", "*")]);
        assert!(!not_modified(
            &tag,
            StatusCode::NOT_FOUND,
            &map(&[("etag", "\"a\"")])
        ));
    }
}
