//! How much a reclaimer is asked for at a time, so that no call takes long: pure.

use std::time::Duration;

/// What a call may take: half of 500 µs, so that one that takes twice as long as the one before is still within that.
const AIM: Duration = Duration::from_micros(250);

/// The bounds of a slice, and what the first call of a reclaimer is asked for.
const SMALLEST: u64 = 16 << 10;
const FIRST: u64 = 256 << 10;
const LARGEST: u64 = 64 << 20;

/// Bytes to ask for in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice(pub(super) u64);

impl Slice {
    pub(super) const FIRST: Self = Self(FIRST);

    /// The next slice after a call for this one `took` so long: as much as fits the aim by that, twice as much at most.
    pub(super) fn after(self, took: Duration) -> Self {
        let scaled = u128::from(self.0) * AIM.as_nanos() / took.as_nanos().max(1);
        let most = self.0.saturating_mul(2).min(LARGEST);
        Self(
            u64::try_from(scaled)
                .unwrap_or(u64::MAX)
                .clamp(SMALLEST, most),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a byte costs, calls soon take what they may, unless even the smallest slice takes longer.
        #[test]
        fn calls_come_to_take_what_they_may(picos_per_byte in 1..1_000_000_u64) {
            let took = |slice: Slice| Duration::from_nanos(slice.0 * picos_per_byte / 1000);
            let mut slice = Slice::FIRST;
            for _ in 0..12 {
                slice = slice.after(took(slice));
            }
            prop_assert!(took(slice) <= AIM || slice.0 == SMALLEST);
            prop_assert!(took(slice) >= AIM / 3 || slice.0 == LARGEST, "{slice:?} takes {:?}", took(slice));
        }

        #[test]
        fn slices_keep_within_bounds_and_grow_twofold_at_most(times in prop::collection::vec(any::<u64>(), 1..100)) {
            let mut slice = Slice::FIRST;
            for nanos in times {
                let next = slice.after(Duration::from_nanos(nanos));
                prop_assert!((SMALLEST..=LARGEST).contains(&next.0));
                prop_assert!(next.0 <= slice.0 * 2);
                slice = next;
            }
        }
    }
}
