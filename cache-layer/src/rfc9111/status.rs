//! Which statuses are stored, and on whose word (RFC 9110 section 15, RFC 9111 section 3).

use http::StatusCode;

/// Statuses whose caching rules are implemented (RFC 9111 section 5.2.2.3).
pub(crate) fn understood(status: StatusCode) -> bool {
    heuristically_cacheable(status) || matches!(status.as_u16(), 206 | 302 | 303 | 307)
}

/// Interim answers, partial ones that are not one part, 304 and 416, which speak to one request's
/// conditions or range, what RFC 6585 sections 3 to 6 forbid outright, and numbers that are no status.
pub(crate) fn never_stored(status: StatusCode, is_part: bool) -> bool {
    !(200..600).contains(&status.as_u16())
        || (status == StatusCode::PARTIAL_CONTENT && !is_part)
        || matches!(status.as_u16(), 304 | 416 | 428 | 429 | 431 | 511)
}

/// RFC 9110 section 15.1.
pub(crate) fn heuristically_cacheable(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// Errors live by their origin's word, or by a lifetime that is set for them alone.
pub(crate) fn is_error(status: StatusCode) -> bool {
    status.as_u16() >= 400
}

/// What a lifetime for everything reaches.
pub(crate) fn default_applies(status: StatusCode) -> bool {
    heuristically_cacheable(status) && !is_error(status)
}

/// Errors that speak of the target, or of the server, and would say the same to anybody: a lifetime can
/// be set for them. The others speak of who asks, how, or how often.
pub(crate) fn is_for_all(status: u16) -> bool {
    matches!(status, 403 | 404 | 405 | 410 | 414 | 451)
        || ((500..600).contains(&status) && status != 505 && status != 511)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses from 100 to 999 of which this is true.
    fn all(is: impl Fn(StatusCode) -> bool) -> Vec<u16> {
        let numbers = 100..1000;
        numbers
            .filter(|number| is(StatusCode::from_u16(*number).unwrap()))
            .collect()
    }

    #[test]
    fn every_status_has_its_place() {
        let cacheable = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];
        assert_eq!(all(heuristically_cacheable), cacheable);
        assert_eq!(all(default_applies), [200, 203, 204, 206, 300, 301, 308]);
        let mut known = cacheable.to_vec();
        known.extend([302, 303, 307]);
        known.sort_unstable();
        assert_eq!(all(understood), known);

        let final_ones: Vec<u16> = (200..600).collect();
        let stored = |is_part| all(|status| !never_stored(status, is_part));
        let refused = |is_part| {
            let mut refused = final_ones.clone();
            refused.retain(|status| !stored(is_part).contains(status));
            refused
        };
        assert!(
            stored(true)
                .iter()
                .all(|status| final_ones.contains(status))
        );
        assert_eq!(refused(false), [206, 304, 416, 428, 429, 431, 511]);
        assert_eq!(refused(true), [304, 416, 428, 429, 431, 511]);

        let for_all = all(|status| is_for_all(status.as_u16()));
        let mut expected = vec![403, 404, 405, 410, 414, 451];
        expected.extend((500..600).filter(|status| ![505, 511].contains(status)));
        assert_eq!(for_all, expected);
        assert!(for_all.iter().all(|status| stored(false).contains(status)));
    }
}
