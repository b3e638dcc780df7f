//! When a refused client may come back.

use std::time::Duration;

/// `delay` and up to `jitter` more, so that clients refused together do not come back together. `random` is spread over all
/// of `u64`.
pub(crate) fn jittered(delay: Duration, jitter: Duration, random: u64) -> Duration {
    let longest = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX);
    let more = (u128::from(longest) * u128::from(random)) >> 64;
    delay.saturating_add(Duration::from_nanos(more as u64))
}

/// At least one, rounded up.
pub(super) fn whole_seconds(delay: Duration) -> u64 {
    delay
        .as_secs()
        .saturating_add(u64::from(delay.subsec_nanos() > 0))
        .max(1)
}

/// Rounded up. More than a signed 32-bit integer holds means to gRPC clients that they must never come back.
pub(super) fn pushback_millis(delay: Duration) -> u32 {
    const MOST: u32 = i32::MAX.unsigned_abs();
    let millis = delay.as_nanos().div_ceil(1_000_000);
    u32::try_from(millis).map_or(MOST, |millis| millis.min(MOST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_delay_is_spread_from_nothing_to_the_jitter() {
        let (delay, jitter) = (Duration::from_secs(3), Duration::from_secs(2));
        assert_eq!(jittered(delay, jitter, 0), delay);
        assert_eq!(
            jittered(delay, jitter, u64::MAX / 2 + 1),
            delay + jitter / 2
        );
        let longest = jittered(delay, jitter, u64::MAX);
        assert_eq!(longest, delay + jitter - Duration::from_nanos(1));
        assert_eq!(jittered(delay, Duration::ZERO, u64::MAX), delay);
    }

    #[test]
    fn delays_are_told_in_whole_units_rounded_up() {
        for (nanos, seconds, millis) in [
            (0, 1, 0),
            (1, 1, 1),
            (1_000_000_000, 1, 1000),
            (1_000_000_001, 2, 1001),
            (u64::MAX, 18_446_744_074, i32::MAX.unsigned_abs()),
        ] {
            let delay = Duration::from_nanos(nanos);
            assert_eq!(
                (whole_seconds(delay), pushback_millis(delay)),
                (seconds, millis),
                "{delay:?}"
            );
        }
        assert_eq!(pushback_millis(Duration::MAX), i32::MAX.unsigned_abs());
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn nobody_is_told_to_come_early(delay: Duration, jitter: Duration, random: u64) {
            prop_assert!(jittered(delay, jitter, random) >= delay);
        }
    }
}
