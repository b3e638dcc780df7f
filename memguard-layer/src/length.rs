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
