//! What a request's body will cost, by its head alone.

use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body::Body;

/// What a body of unknown length starts with: room for what a connection reads ahead.
pub(crate) const READ_AHEAD: u64 = 64 * 1024;

/// What a request needs to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It has no body.
    Nothing,
    /// Its body has a length: this many bytes for all of it.
    Whole(u64),
    /// Its body may be of any length: this many bytes to start with.
    Start(u64),
}

impl Need {
    pub(crate) fn of<B: Body>(headers: &HeaderMap, body: &B, factor: u32) -> Self {
        if body.is_end_stream() {
            return Self::Nothing;
        }
        let hint = body.size_hint();
        match declared(headers).into_iter().chain(hint.exact()).max() {
            Some(length) => Self::Whole(length.max(hint.lower()).saturating_mul(factor.into())),
            None => Self::Start(READ_AHEAD),
        }
    }

    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Whole(bytes) | Self::Start(bytes) => bytes,
        }
    }
}

/// The Content-Length, if all its lines and list members agree on one (RFC 9110 section 8.6); none is as good as a wrong
/// one, since a body of unknown length is metered by frame. A number too large for 64 bits is the largest.
fn declared(headers: &HeaderMap) -> Option<u64> {
    let mut length = None;
    for line in headers.get_all(CONTENT_LENGTH) {
        for member in line.to_str().ok()?.split(',') {
            let digits = member.trim_matches([' ', '\t']);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let value = digits.parse().unwrap_or(u64::MAX);
            if length.is_some_and(|length| length != value) {
                return None;
            }
            length = Some(value);
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use bytes::Bytes;
    use http_body::{Frame, SizeHint};
    use http_body_util::{Empty, Full};
    use proptest::prelude::*;

    use super::*;

    /// A body that never comes, of this length if it says one.
    struct Hinted(Option<u64>);

    impl Body for Hinted {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            self.0.map_or_else(SizeHint::new, SizeHint::with_exact)
        }
    }

    fn need(lines: &[&str], hint: Option<u64>) -> Need {
        let headers = lines
            .iter()
            .map(|line| (CONTENT_LENGTH, line.parse().unwrap()))
            .collect();
        Need::of(&headers, &Hinted(hint), 2)
    }

    #[test]
    fn a_length_counts_by_the_factor() {
        assert_eq!(need(&["1000"], None), Need::Whole(2000));
        assert_eq!(need(&[], Some(1000)), Need::Whole(2000));
        assert_eq!(
            need(&["1000"], Some(1500)),
            Need::Whole(3000),
            "the larger of the two"
        );
        assert_eq!(need(&["7", "7", "7, 7"], None), Need::Whole(14));
    }

    #[test]
    fn no_body_needs_nothing_whatever_its_head_says() {
        let headers = [(CONTENT_LENGTH, "5000".parse().unwrap())]
            .into_iter()
            .collect();
        assert_eq!(Need::of(&headers, &Empty::<Bytes>::new(), 2), Need::Nothing);
        assert_eq!(
            Need::of(&HeaderMap::new(), &Full::new(Bytes::new()), 2),
            Need::Nothing
        );
    }

    #[test]
    fn absurd_lengths_are_the_largest_number() {
        for line in [
            "18446744073709551615",
            "9223372036854775808",
            "99999999999999999999999999",
        ] {
            assert_eq!(need(&[line], None), Need::Whole(u64::MAX), "{line}");
        }
    }

    #[test]
    fn unusable_lengths_are_unknown() {
        for lines in [
            &["+5"][..],
            &["-1"],
            &[""],
            &["5,"],
            &["0x10"],
            &["5 5"],
            &["5", "6"],
            &["5, 6"],
            &["1e9"],
        ] {
            assert_eq!(need(lines, None), Need::Start(READ_AHEAD), "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn no_content_length_panics(line in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = http::HeaderValue::from_bytes(&line) {
                let digits = std::str::from_utf8(&line).ok().and_then(|line| line.parse::<u64>().ok());
                let headers = [(CONTENT_LENGTH, value)].into_iter().collect();
                let need = Need::of(&headers, &Hinted(None), 3);
                if let Need::Whole(bytes) = need && let Some(digits) = digits {
                    prop_assert_eq!(bytes, digits.saturating_mul(3));
                }
            }
        }
    }
}
