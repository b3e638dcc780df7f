//! What past rounds came to, and how long nobody is asked after rounds in vain: pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long nobody is asked after a round in vain; doubled with each one that follows, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Rounds in a row whose bytes did not come off the source before reclaimers are no longer believed. Others allocate
/// while a round runs, so one says nothing. With a resident set, though, none ever may.
const DOUBTS: u32 = 3;

/// What one round came to, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) asked: u64,
    /// By the account of the reclaimers.
    pub(super) freed: u64,
    /// By the source.
    pub(super) fell: u64,
}

/// The memory of an evictor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    pub(crate) rounds: u64,
    pub(crate) in_vain: u64,
    pub(crate) freed: u64,
    vain_in_a_row: u32,
    doubted_in_a_row: u32,
    paused_until: Option<Instant>,
}

impl Record {
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    pub(super) fn after(mut self, round: Outcome, now: Instant) -> Self {
        let enough = round.asked.div_ceil(10);
        self.doubted_in_a_row = match round.fell {
            fell if fell >= enough => 0,
            _ => self.doubted_in_a_row.saturating_add(1),
        };
        let in_vain = round.freed < enough || self.doubted_in_a_row >= DOUBTS;
        self.vain_in_a_row = match in_vain {
            true => self.vain_in_a_row.saturating_add(1),
            false => 0,
        };
        self.paused_until = in_vain.then(|| {
            let doubled = PAUSE * 2_u32.saturating_pow(self.vain_in_a_row - 1);
            now + doubled.min(LONGEST_PAUSE)
        });
        self.rounds += 1;
        self.in_vain += u64::from(in_vain);
        self.freed = self.freed.saturating_add(round.freed);
        self
    }

    /// Memory is not short any more: what happened when it was says nothing about the next time.
    pub(super) fn forget(&mut self) {
        self.vain_in_a_row = 0;
        self.doubted_in_a_row = 0;
        self.paused_until = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn outcome(freed: u64, fell: u64) -> Outcome {
        Outcome {
            asked: 100,
            freed,
            fell,
        }
    }

    #[test]
    fn pauses_double_up_to_eight_seconds_and_end_with_a_good_round() {
        let now = Instant::now();
        let mut record = Record::default();
        for seconds in [1, 2, 4, 8, 8] {
            record = record.after(outcome(9, 100), now);
            assert!(record.is_paused(now + seconds * SECOND - SECOND / 1000));
            assert!(!record.is_paused(now + seconds * SECOND));
        }
        record = record.after(outcome(10, 100), now);
        assert!(!record.is_paused(now));
        record = record.after(outcome(0, 0), now);
        assert!(!record.is_paused(now + SECOND), "it starts anew");
        assert_eq!((record.rounds, record.in_vain, record.freed), (7, 6, 55));
    }

    #[test]
    fn reclaimers_are_believed_until_nothing_came_off_three_times_in_a_row() {
        let now = Instant::now();
        let mut record = Record::default();
        for fell in [9, 9, 10, 0, 0] {
            record = record.after(outcome(100, fell), now);
            assert!(!record.is_paused(now));
        }
        record = record.after(outcome(100, 0), now);
        assert!(record.is_paused(now));
        record.forget();
        assert!(!record.is_paused(now));
        assert_eq!(record.rounds, 6, "what is shown stays");
    }

    proptest! {
        #[test]
        fn a_pause_follows_a_round_in_vain_and_no_other(rounds in prop::collection::vec((0..200_u64, 0..200_u64), 1..100)) {
            let start = Instant::now();
            let mut record = Record::default();
            for (freed, fell) in rounds {
                let before = record;
                record = record.after(outcome(freed, fell), start);
                prop_assert_eq!(record.is_paused(start), record.in_vain > before.in_vain);
                prop_assert!(freed >= 10 || record.is_paused(start));
                prop_assert!(freed < 10 || fell < 10 || !record.is_paused(start));
                prop_assert!(!record.is_paused(start + LONGEST_PAUSE));
            }
        }
    }
}
