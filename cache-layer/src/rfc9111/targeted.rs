//! Cache directives for some caches only (RFC 9213).

use super::structured::{Member, dictionary};
use http::{HeaderMap, HeaderName};

/// The directives that decide in place of `Cache-Control` and `Expires`: those of the first listed
/// field that is valid and not empty (section 2.2). None if there is none.
///
/// A member of a type that its directive does not have is not left out, for its field still
/// decides: who wrote `max-age="60"` has said how long, and we cannot tell it. The caller is to
/// read it as [`Member`] says, so that an error never makes an answer live longer.
pub(crate) fn targeted(
    headers: &HeaderMap,
    targets: &[HeaderName],
) -> Option<Vec<(String, Member)>> {
    targets
        .iter()
        .filter(|name| headers.contains_key(*name))
        .filter_map(|name| dictionary(headers, name))
        .find(|members| !members.is_empty())
}

impl Member {
    /// As a directive that forbids something; `private` and `no-cache` may name fields, which we
    /// read as the plain form. Only a clear "no" unsays it.
    pub(crate) fn forbids(&self) -> bool {
        *self != Self::Flag(false)
    }

    /// As a directive that allows something: only by a clear "yes".
    pub(crate) fn allows(&self) -> bool {
        *self == Self::Flag(true)
    }

    /// As a number of seconds. None for what is none: stale at once (RFC 9111 section 4.2.1).
    /// Section 2.1 of RFC 9213 wants no type taken for another.
    pub(crate) fn seconds(&self) -> Option<u64> {
        match self {
            Self::Integer(seconds) => u64::try_from(*seconds).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: HeaderName = HeaderName::from_static("own-cache-control");
    const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");

    fn map(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn the_first_valid_field_of_the_list_decides() {
        for (fields, expected) in [
            (&[(CDN, "max-age=60"), (OWN, "max-age=5")][..], Some(5)),
            (&[(CDN, "max-age=60")], Some(60)),
            (&[(CDN, "max-age=60"), (OWN, "")], Some(60)),
            (&[(CDN, "max-age=60"), (OWN, "max-age=5, &")], Some(60)),
            (&[(CDN, "max-age=60"), (OWN, "Max-Age=5")], Some(60)),
            (&[(CDN, "max-age=60"), (CDN, "max-age=7")], Some(7)),
            (&[(CDN, "max-age=10000, &&&&&")], None),
            (&[(CDN, "max-age =100")], None),
            (&[(CDN, "")], None),
            (&[], None),
        ] {
            let members = targeted(&map(fields), &[OWN, CDN]);
            let max_age = members.map(|members| members[0].1.seconds().unwrap());
            assert_eq!(max_age, expected, "{fields:?}");
        }
        assert_eq!(targeted(&map(&[(CDN, "max-age=60")]), &[OWN]), None);
        let none = targeted(&map(&[(CDN, "none")]), &[CDN]);
        assert_eq!(none, Some(vec![("none".into(), Member::Flag(true))]));
    }

    #[test]
    fn a_wrong_type_never_makes_an_answer_live_longer() {
        for (value, forbids, allows, seconds) in [
            ("k", true, true, None),
            ("k=?0", false, false, None),
            ("k=\"x\"", true, false, None),
            ("k=x", true, false, None),
            ("k=1", true, false, Some(1)),
            ("k=99999999999", true, false, Some(99_999_999_999)),
            ("k=-1", true, false, None),
            ("k=1.0", true, false, None),
            ("k=\"10000\"", true, false, None),
            ("k=(\"a\")", true, false, None),
        ] {
            let members = targeted(&map(&[(CDN, value)]), &[CDN]).unwrap();
            let member = &members[0].1;
            let is = (member.forbids(), member.allows(), member.seconds());
            assert_eq!(is, (forbids, allows, seconds), "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_invalid_changes_nothing(value in "[ -~]{0,30}") {
            let fields = [(OWN, &value[..]), (CDN, "max-age=60")];
            let with = targeted(&map(&fields), &[OWN, CDN]);
            let without = targeted(&map(&fields[1..]), &[OWN, CDN]);
            let own = targeted(&map(&[(OWN, &value)]), &[OWN]);
            prop_assert_eq!(with, own.or(without));
        }
    }
}
