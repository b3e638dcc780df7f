//! Which requests are given up first when memory gets short: pure.

use std::ops::Range;

/// What it matters to answer a request; see [`MemGuardLayer::priority`](crate::MemGuardLayer::priority).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// May be refused early so that others need not be: prefetches, batch jobs, crawlers.
    Low,
    /// Refused if it does not fit, or at [`Level::Hard`](crate::Level::Hard).
    #[default]
    Normal,
}

/// Whether a request is shed with `used` bytes in use: one of low priority with a chance that rises from none at the
/// start of `span` to certainty at its end. `random` is spread over all of `u64`.
pub(crate) fn is_shed(priority: Priority, used: u64, span: &Range<u64>, random: u64) -> bool {
    let within = u128::from(used.saturating_sub(span.start)) << 64;
    let width = span.end.saturating_sub(span.start).max(1);
    priority == Priority::Low && within / u128::from(width) > u128::from(random)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPAN: Range<u64> = 850..950;

    #[test]
    fn the_chance_rises_in_proportion() {
        for (used, share) in [
            (0, 0),
            (850, 0),
            (851, 1),
            (875, 25),
            (900, 50),
            (949, 99),
            (950, 100),
            (u64::MAX, 100),
        ] {
            let draws = (0..1000).map(|draw| draw * (u64::MAX / 1000) + u64::MAX / 2000);
            let shed = draws.filter(|random| is_shed(Priority::Low, used, &SPAN, *random));
            assert_eq!(shed.count(), share * 10, "of 1000 at {used}");
        }
    }

    proptest! {
        #[test]
        fn nothing_goes_below_the_span_all_goes_above_and_more_is_never_kinder(
            start: u64, width: u64, used: u64, more: u64, random: u64,
        ) {
            let span = start..start.saturating_add(width);
            let shed = |used| is_shed(Priority::Low, used, &span, random);
            prop_assert!(!shed(used.min(start)));
            prop_assert!(shed(span.end.max(used)) || span.end == span.start && used <= span.start);
            prop_assert!(shed(used.saturating_add(more)) || !shed(used));
            prop_assert!(!is_shed(Priority::Normal, used, &span, random));
        }
    }
}
