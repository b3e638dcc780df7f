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
    /// What a body that has not ended costs, `factor` times its length; with a factor of 0 whoever takes it holds a frame
    /// at a time, so that its length says nothing.
    pub(super) fn of_body<B: Body>(headers: &HeaderMap, body: &B, factor: u32) -> Self {
        let hint = body.size_hint();
        let length = declared(headers).into_iter().chain(hint.exact()).max();
        match length.map(|length| length.max(hint.lower())) {
            Some(length) if factor > 0 => Self::Whole(length.saturating_mul(factor.into())),
            Some(length) => Self::Start(length.min(READ_AHEAD)),
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
    use http_body_util::Full;
    use proptest::prelude::*;

    use super::{super::Rules, *};
    use crate::Head;

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
        Need::of_body(&headers, &Hinted(hint), 2)
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
        let need = |length: Option<&str>, body: Full<Bytes>| {
            let mut request = http::Request::new(());
            if let Some(length) = length {
                request
                    .headers_mut()
                    .insert(CONTENT_LENGTH, length.parse().unwrap());
            }
            let demand = Rules::default()
                .demand(&Head::from(&request), &body)
                .unwrap();
            demand.need
        };
        assert_eq!(need(Some("5000"), Full::default()), Need::Nothing);
        assert_eq!(need(None, Full::default()), Need::Nothing);
        assert_eq!(need(None, Full::from("four")), Need::Whole(8));
    }

    #[test]
    fn what_is_handed_on_frame_by_frame_needs_a_frame_or_two() {
        for (length, bytes) in [
            (Some(1 << 40), READ_AHEAD),
            (Some(1000), 1000),
            (None, READ_AHEAD),
        ] {
            let need = Need::of_body(&HeaderMap::new(), &Hinted(length), 0);
            assert_eq!(need, Need::Start(bytes), "{length:?}");
        }
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
                let need = Need::of_body(&headers, &Hinted(None), 3);
                if let Need::Whole(bytes) = need && let Some(digits) = digits {
                    prop_assert_eq!(bytes, digits.saturating_mul(3));
                }
            }
        }
    }
}
