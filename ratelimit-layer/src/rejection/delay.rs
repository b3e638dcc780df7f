//! When a refused client may come back.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// `wait` and up to `jitter` more, so that clients refused together do not come back together.
pub(crate) fn delayed(wait: Duration, jitter: Duration) -> Duration {
    if jitter.is_zero() {
        return wait;
    }
    // Every `RandomState` has other keys, so the hash of nothing is another number each time.
    jittered(wait, jitter, RandomState::new().hash_one(()))
}

/// `random` is spread over all of `u64`.
fn jittered(wait: Duration, jitter: Duration, random: u64) -> Duration {
    let longest = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX);
    let more = (u128::from(longest) * u128::from(random)) >> 64;
    wait.saturating_add(Duration::from_nanos(more as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_delay_is_spread_from_nothing_to_the_jitter() {
        let (wait, jitter) = (Duration::from_secs(3), Duration::from_secs(2));
        assert_eq!(jittered(wait, jitter, 0), wait);
        assert_eq!(jittered(wait, jitter, u64::MAX / 2 + 1), wait + jitter / 2);
        let longest = jittered(wait, jitter, u64::MAX);
        assert_eq!(longest, wait + jitter - Duration::from_nanos(1));
        assert_eq!(delayed(wait, Duration::ZERO), wait);
        let mut some: Vec<_> = (0..100).map(|_| delayed(wait, jitter)).collect();
        assert!(
            some.iter()
                .all(|delay| (wait..wait + jitter).contains(delay))
        );
        some.sort_unstable();
        some.dedup();
        assert!(some.len() > 90, "{some:?}");
    }

    proptest! {
        #[test]
        fn nobody_is_told_to_come_early(wait: Duration, jitter: Duration, random: u64) {
            prop_assert!(jittered(wait, jitter, random) >= wait);
        }
    }
}
