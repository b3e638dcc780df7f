//! How long an answer is fresh and how old it is (RFC 9111 section 4.2).

use super::dates::http_date_at;
pub(crate) use super::dates::{date, http_date};
use super::directives::{DELTA_MAX, delta_seconds, elements};
use super::stated::Stated;
use http::{HeaderMap, header};
use std::time::{Duration, SystemTime};

/// The lifetime that the origin states for a shared cache, if it states one (section 4.2.1): 68
/// years at most, however far away an `Expires` is.
pub(crate) fn explicit_lifetime(
    stated: &Stated,
    headers: &HeaderMap,
    received: SystemTime,
) -> Option<Duration> {
    let directives = &stated.directives;
    if let Some(stated) = directives.s_maxage.or(directives.max_age) {
        return Some(stated);
    }
    if stated.overrides_expires {
        return None;
    }
    let mut expires = headers.get_all(header::EXPIRES).iter();
    let first = expires.next()?;
    // An unreadable or repeated Expires, "0" above all, is in the past (section 5.3).
    if expires.next().is_some() {
        return Some(Duration::ZERO);
    }
    let from = date(headers).unwrap_or(received);
    Some(
        http_date_at(first, received)
            .and_then(|until| until.duration_since(from).ok())
            .unwrap_or(Duration::ZERO)
            .min(Duration::from_secs(DELTA_MAX)),
    )
}

/// Section 4.2.2: a tenth of the time since it was last modified, a day at most.
pub(crate) fn heuristic_lifetime(headers: &HeaderMap, received: SystemTime) -> Option<Duration> {
    let modified = headers.get(header::LAST_MODIFIED).and_then(http_date)?;
    let unchanged = date(headers)
        .unwrap_or(received)
        .duration_since(modified)
        .ok()?;
    Some((unchanged / 10).min(Duration::from_secs(24 * 60 * 60)))
}

/// `corrected_initial_age` of section 4.2.3: the age at the moment the head was received.
pub(crate) fn initial_age(headers: &HeaderMap, received: SystemTime, delay: Duration) -> Duration {
    // In whole seconds, as a Date is: what was made in this second has no age yet.
    let apparent = date(headers).map_or(0, |date| whole_seconds(received) - whole_seconds(date));
    let apparent = Duration::from_secs(u64::try_from(apparent).unwrap_or_default());
    apparent.max(age_field(headers) + delay)
}

fn whole_seconds(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    // No date before 1970 can be parsed; should a clock say so, the age is only overestimated.
    since_epoch.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// The first member of `Age`; what cannot be read is ignored (section 5.1).
fn age_field(headers: &HeaderMap) -> Duration {
    headers
        .get(header::AGE)
        .and_then(|value| elements(value.as_bytes()).next())
        .and_then(delta_seconds)
        .unwrap_or_default()
}

/// Takes up to `share` of a lifetime of our own making away, so that entries which were stored in
/// one second do not expire in one second. `draw` is uniform in `0.0..1.0`.
pub(crate) fn jittered(lifetime: Duration, share: f64, draw: f64) -> Duration {
    lifetime.mul_f64(1.0 - share * draw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
            .collect()
    }

    fn lifetime(fields: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers(fields);
        let received = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        explicit_lifetime(&Stated::of(&headers, &[]), &headers, received)
            .map(|lifetime| lifetime.as_secs())
    }

    #[test]
    fn s_maxage_beats_max_age_beats_expires() {
        let expires = ("expires", "Sun, 06 Nov 1994 08:50:37 GMT");
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(lifetime(&[expires, date]), Some(60));
        assert_eq!(
            lifetime(&[expires, date, ("cache-control", "max-age=5")]),
            Some(5)
        );
        assert_eq!(
            lifetime(&[expires, ("cache-control", "max-age=5, s-maxage=9")]),
            Some(9)
        );
        assert_eq!(
            lifetime(&[expires]),
            Some(60),
            "no Date: from the time of receipt"
        );
        assert_eq!(lifetime(&[date]), None);
        let far = ("expires", "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(lifetime(&[far, date]), Some(DELTA_MAX));
    }

    #[test]
    fn all_three_date_formats_and_nothing_else() {
        for (expires, expected) in [
            ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
            ("Sun Nov  6 08:50:37 1994", 60),
            ("0", 0),
            ("-1", 0),
            ("", 0),
            ("Sun, 06 Nov 1994 08:50:37 PST", 0),
            ("Sun, 06 Nov 1994 08:50:37 +0100", 0),
        ] {
            assert_eq!(
                lifetime(&[("expires", expires)]),
                Some(expected),
                "{expires}"
            );
        }
    }

    #[test]
    fn a_tenth_of_the_time_since_it_changed_and_a_day_at_most() {
        let received = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let heuristic = |fields: &[(&'static str, &str)]| {
            heuristic_lifetime(&headers(fields), received).map(|lifetime| lifetime.as_secs())
        };
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let hour_ago = ("last-modified", "Sun, 06 Nov 1994 07:49:37 GMT");
        assert_eq!(heuristic(&[date, hour_ago]), Some(360));
        assert_eq!(heuristic(&[hour_ago]), Some(360));
        let long_ago = ("last-modified", "Tue, 06 Nov 1984 07:49:37 GMT");
        assert_eq!(heuristic(&[date, long_ago]), Some(86_400));
        let later = ("last-modified", "Mon, 06 Nov 1995 07:49:37 GMT");
        assert_eq!(heuristic(&[date, later]), None);
        assert_eq!(heuristic(&[date]), None);
        assert_eq!(heuristic(&[date, ("last-modified", "once")]), None);
    }

    #[test]
    fn age_is_the_greater_of_apparent_and_stated_with_delay() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 + 30);
        let age = |fields: &[(&'static str, &str)], delay| {
            initial_age(&headers(fields), at, Duration::from_secs(delay)).as_secs()
        };
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(age(&[date], 2), 30);
        assert_eq!(age(&[date, ("age", "40")], 2), 42);
        let late = at + Duration::from_millis(999);
        assert_eq!(
            initial_age(&headers(&[date]), late, Duration::ZERO).as_secs_f64(),
            30.0
        );
        assert_eq!(
            initial_age(
                &headers(&[date]),
                at - Duration::from_secs(90),
                Duration::ZERO
            ),
            Duration::ZERO
        );
        assert_eq!(age(&[("age", "7, 900")], 0), 7);
        assert_eq!(age(&[("age", "nonsense")], 1), 1);
        assert_eq!(age(&[("age", "-5")], 0), 0);
    }

    proptest! {
        #[test]
        fn age_never_runs_backwards(
            date in proptest::option::of(784_000_000u64..785_000_000), age in "[0-9]{0,12}",
            received in 784_000_000u64..785_000_000, later in 0u64..1 << 32, delay in 0u64..100,
        ) {
            let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let mut fields = headers(&[("age", &age)]);
            if let Some(date) = date {
                fields.insert(header::DATE, httpdate::fmt_http_date(at(date)).parse().unwrap());
            }
            let of = |received, delay| initial_age(&fields, at(received), Duration::from_secs(delay));
            let first = of(received, delay);
            prop_assert!(of(received + later, delay) >= first, "by a later receipt");
            prop_assert!(of(received, delay + later) >= first, "by a longer delay");
            prop_assert!(first >= Duration::from_secs(delay));
        }

        #[test]
        fn jitter_only_shortens_and_stays_in_bounds(
            seconds in 0u64..1 << 31, share in 0.0..=1.0f64, draw in 0.0..1.0f64,
        ) {
            let whole = Duration::from_secs(seconds);
            let short = jittered(whole, share, draw);
            prop_assert!(short <= whole);
            prop_assert!(short.as_secs_f64() >= whole.as_secs_f64() * (1.0 - share) - 1e-6);
        }
    }
}
