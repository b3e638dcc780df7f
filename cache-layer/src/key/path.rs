//! A path as it is spelled in its normal form (RFC 3986 sections 6.2.2.1 and 6.2.2.2).

use std::borrow::Cow;

/// Decodes the escapes of unreserved characters, but for the dot, and writes the other ones in upper
/// case. What is reserved means something else decoded, and a decoded dot could make a dot segment. A
/// path with a `%` that begins no escape stays as it is: decoding could make one of it.
pub(super) fn normal(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return path.into();
    }
    let mut pieces = path.split('%');
    let mut normal = String::with_capacity(path.len());
    normal.extend(pieces.next());
    for piece in pieces {
        let Some((octet, rest)) = octet(piece) else {
            return path.into();
        };
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                normal.push(char::from(octet));
            }
            _ => normal.push_str(&format!("%{octet:02X}")),
        }
        normal.push_str(rest);
    }
    normal.into()
}

/// What two hexadecimal digits at the beginning stand for, and what follows them.
fn octet(piece: &str) -> Option<(u8, &str)> {
    let (digits, rest) = piece.split_at_checked(2)?;
    let digit = |at: usize| char::from(digits.as_bytes()[at]).to_digit(16);
    Some(((digit(0)? << 4 | digit(1)?) as u8, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_unreserved_is_decoded() {
        for (path, expected) in [
            ("/a/b-_~.c", "/a/b-_~.c"),
            ("/%61%41%7a%30%2d%5F%7e", "/aAz0-_~"),
            ("/%2fa%2Fb", "/%2Fa%2Fb"),
            ("/%3f%23%25%3b%3D%26%2b", "/%3F%23%25%3B%3D%26%2B"),
            ("/%c3%a4/%00%20%7f", "/%C3%A4/%00%20%7F"),
            ("/%2e%2E/..%2e", "/%2E%2E/..%2E"),
            ("/%2561", "/%2561"),
            ("/a/./b/../c//d", "/a/./b/../c//d"),
            ("*", "*"),
        ] {
            assert_eq!(normal(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_escape_leaves_the_path_alone() {
        for path in [
            "/%", "/%6", "/%61%6", "/%zz%61", "/%%361", "/%%61", "/%\u{e4}", "/%+1%61",
        ] {
            assert_eq!(normal(path), path);
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_of_the_normal_form_is_itself(path in "/([a~.]|%|%2|6|[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}){0,12}") {
            let once = normal(&path).into_owned();
            prop_assert!(once.len() <= path.len());
            prop_assert_eq!(normal(&once), &*once);
        }
    }
}
