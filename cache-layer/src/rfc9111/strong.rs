//! Which validators say that two answers are the same, octet for octet (RFC 9110 section 8.8).

use super::dates::{date, http_date};
use super::range::only;
use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// What parts must have in common to be put together (RFC 9111 section 3.4): a strong entity tag,
/// or, where there is no tag at all, a strong `Last-Modified`. Tags and dates never compare equal.
pub(crate) fn strong_validator(headers: &HeaderMap) -> Option<&HeaderValue> {
    // A weak tag says that the octets may differ, whatever the date says.
    if headers.contains_key(header::ETAG) {
        strong_tag(headers)
    } else {
        strong_modified(headers)
    }
}

/// Whether a request for a part may be answered with one (RFC 9110 section 13.1.5); if not, with
/// the whole.
pub(crate) fn if_range_holds(request: &HeaderMap, stored: &HeaderMap) -> bool {
    if !request.contains_key(header::IF_RANGE) {
        return true;
    }
    let Some(condition) = only(request, &header::IF_RANGE) else {
        return false;
    };
    let validator = if is_strong_tag(condition) {
        strong_tag(stored)
    } else {
        // Also for what is neither tag nor date: it equals no date.
        strong_modified(stored)
    };
    validator.is_some_and(|validator| validator == condition)
}

fn strong_tag(headers: &HeaderMap) -> Option<&HeaderValue> {
    only(headers, &header::ETAG).filter(|tag| is_strong_tag(tag))?;
    headers.get(header::ETAG)
}

/// `W/` before the quotes is what makes a tag weak (section 8.8.3).
fn is_strong_tag(text: &str) -> bool {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .is_some_and(|opaque| !opaque.contains(['"', ' ']))
}

/// Section 8.8.2.2: it could have changed again within the second that its answer was made in.
fn strong_modified(headers: &HeaderMap) -> Option<&HeaderValue> {
    only(headers, &header::LAST_MODIFIED)?;
    let value = headers.get(header::LAST_MODIFIED)?;
    let strong_from = http_date(value)?.checked_add(Duration::from_secs(1))?;
    (date(headers)? >= strong_from).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SECOND_LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn strong_validators() {
        let (modified, date) = (("last-modified", MODIFIED), ("date", SECOND_LATER));
        for (fields, expected) in [
            (&[("etag", "\"a\"")][..], Some("\"a\"")),
            (&[("etag", "\"\"")], Some("\"\"")),
            (&[("etag", "\"a\""), modified, date], Some("\"a\"")),
            (&[("etag", "W/\"a\""), modified, date], None),
            (&[("etag", "a"), modified, date], None),
            (&[("etag", "\"a\""), ("etag", "\"a\"")], None),
            (&[("etag", "\"")], None),
            (&[("etag", "\"a\", \"b\"")], None),
            (&[modified, date], Some(MODIFIED)),
            (&[modified, ("date", MODIFIED)], None),
            (&[modified], None),
            (&[("last-modified", "once"), date], None),
            (&[modified, modified, date], None),
            (&[date], None),
        ] {
            let validator = map(fields);
            let validator = strong_validator(&validator).map(|value| value.to_str().unwrap());
            assert_eq!(validator, expected, "{fields:?}");
        }
    }

    #[test]
    fn parts_only_of_what_the_client_holds() {
        let stored = [
            ("etag", "\"a\""),
            ("last-modified", MODIFIED),
            ("date", SECOND_LATER),
        ];
        let weak = [
            ("etag", "W/\"a\""),
            ("last-modified", MODIFIED),
            ("date", MODIFIED),
        ];
        for (condition, by_strong, by_weak) in [
            ("\"a\"", true, false),
            ("W/\"a\"", false, false),
            ("\"b\"", false, false),
            ("a", false, false),
            ("", false, false),
            (MODIFIED, true, false),
            (SECOND_LATER, false, false),
            ("Sunday, 06-Nov-94 08:49:37 GMT", false, false),
            ("\"a\", \"b\"", false, false),
        ] {
            let request = map(&[("if-range", condition)]);
            assert_eq!(
                if_range_holds(&request, &map(&stored)),
                by_strong,
                "{condition}"
            );
            assert_eq!(
                if_range_holds(&request, &map(&weak)),
                by_weak,
                "{condition}"
            );
        }
        assert!(if_range_holds(&map(&[]), &map(&stored)));
        let twice = map(&[("if-range", "\"a\""), ("if-range", "\"a\"")]);
        assert!(!if_range_holds(&twice, &map(&stored)));
    }

    proptest! {
        #[test]
        fn a_strong_validator_holds_for_itself_and_nothing_else(
            tag in "(W/)?\"?[!-~]{0,6}\"?", other in "(W/)?\"?[!-~]{0,6}\"?",
        ) {
            let stored = map(&[("etag", &tag)]);
            let holds = |condition: &str| if_range_holds(&map(&[("if-range", condition)]), &stored);
            prop_assert_eq!(holds(&tag), strong_validator(&stored).is_some());
            prop_assert!(tag == other || !holds(&other));
        }
    }
}
