//! How often keys were asked for, of late: each use counts half as much after a half-life, and half of
//! that after another (LRFU: Lee et al. 2001). How long a half-life is, is learnt.
//!
//! All counts fade alike, so nobody has to be told: the newer use counts for more instead. Counts are
//! kept as their logarithms, in half-lives since the beginning, and compare as they are, whatever the
//! half-life was in the meantime.

/// A logarithm to base 2 of a count of faded uses, or of one for the root of each byte.
pub(super) type Log = f64;

/// Half-lives are from half as many uses as there are entries, where what is new is what is asked for,
/// to as many as it takes to tell the keys apart that are popular for good; as powers of two.
const SHORTEST: f64 = -1.0;
const LONGEST: f64 = 6.0;
const FIRST: f64 = 4.0;
/// How far one surprise goes.
const STEP: f64 = 0.125;
/// So few entries say nothing about time.
const LEAST: usize = 64;

pub(super) struct Fading {
    /// Half-lives since the beginning, which is not zero: no logarithm is to be negative.
    age: f64,
    /// When that was, counted in uses.
    at: u64,
    /// Half-lives in one use.
    pace: f64,
    /// Of how many uses of each entry a half-life is, as a power of two.
    half_life: f64,
}

impl Default for Fading {
    fn default() -> Self {
        Self {
            age: 64.0,
            at: 0,
            pace: 0.0,
            half_life: FIRST,
        }
    }
}

impl Fading {
    /// It is the `at`th use now, and there are so many entries.
    pub(super) fn advance(&mut self, at: u64, entries: usize) {
        self.pace = (-self.half_life).exp2() / entries.max(LEAST) as f64;
        self.age += self.pace * at.saturating_sub(self.at) as f64;
        self.at = self.at.max(at);
    }

    /// Half-lives until now.
    pub(super) fn now(&self) -> f64 {
        self.age
    }

    /// What so many uses count, one after the other since the use `from`, the last one of them `to`.
    pub(super) fn uses(&self, times: u32, from: u64, to: u64) -> Log {
        let ago = |at| self.pace * self.at.saturating_sub(at) as f64;
        let span = (ago(from) - ago(to)).max(0.0);
        // The mean of 2^-x for x from 0 to the span.
        let mean = if span > 1e-3 {
            (1.0 - (-span).exp2()) / (span * std::f64::consts::LN_2)
        } else {
            1.0
        };
        let others = f64::from(times.saturating_sub(1));
        self.age - ago(to) + (1.0 + others * mean).log2()
    }

    /// Of two that were to be asked for again, the one whose last use was the later was the first:
    /// that is 1, else 0, less how likely that was by what was counted. If it happens more often than
    /// that, old uses count for too much.
    pub(super) fn learn(&mut self, surprise: f64) {
        self.half_life = (self.half_life - STEP * surprise).clamp(SHORTEST, LONGEST);
    }
}

/// The count of both.
pub(super) fn sum(one: Log, other: Log) -> Log {
    one.max(other) + (1.0 + (-(one - other).abs()).exp2()).log2()
}

/// How likely the one is to be asked for before the other, if the past is any guide (Bradley and
/// Terry 1952).
pub(super) fn first_likely(one: Log, other: Log) -> f64 {
    1.0 / (1.0 + (other - one).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) {
        assert!((one - other).abs() < 0.02, "{one} {other}");
    }

    /// A thousand entries, so many uses later.
    fn later(uses: u64) -> Fading {
        let mut fading = Fading::default();
        fading.advance(0, 1000);
        fading.advance(uses, 1000);
        fading
    }

    #[test]
    fn after_a_half_life_a_use_counts_half() {
        let half_life = 1000 << FIRST as u64;
        let fading = later(half_life);
        near(fading.uses(1, 0, half_life) - fading.now(), 0.0);
        near(fading.uses(1, 0, 0) - fading.now(), -1.0);
        near(
            sum(fading.uses(1, 0, 0), fading.uses(1, 0, half_life)),
            fading.now() + 1.5f64.log2(),
        );
    }

    #[test]
    fn many_uses_count_as_one_after_the_other() {
        let last = 100_000;
        let fading = later(last);
        for (times, from) in [(1, 0), (7, 0), (1000, 0), (1000, 60_000), (5, last)] {
            let step = (last - from) as f64 / f64::from(times);
            let each = (0..times).map(|n| last - (f64::from(n) * step) as u64);
            let one_by_one = each.map(|at| fading.uses(1, at, at)).reduce(sum);
            let error = fading.uses(times, from, last) - one_by_one.unwrap();
            assert!(error.abs() < 0.3, "{times} from {from}: {error}");
        }
    }

    #[test]
    fn the_half_life_goes_where_surprises_end() {
        let mut fading = later(0);
        let pace = |fading: &mut Fading| {
            fading.advance(0, 1000);
            fading.pace
        };
        let first = pace(&mut fading);
        (0..8).for_each(|_| fading.learn(0.5));
        assert!(pace(&mut fading) > first);
        (0..1000).for_each(|_| fading.learn(1.0));
        near(pace(&mut fading) * 1000.0, 2.0);
        (0..1000).for_each(|_| fading.learn(-1.0));
        near(pace(&mut fading) * 64_000.0, 1.0);
        (0..100).for_each(|_| fading.learn(0.0));
        near(pace(&mut fading) * 64_000.0, 1.0);
    }

    #[test]
    fn who_is_asked_for_three_times_as_often_is_first_three_times_of_four() {
        near(first_likely(3f64.log2(), 0.0), 0.75);
        near(first_likely(0.0, 3f64.log2()), 0.25);
        near(first_likely(-4000.0, 4000.0), 0.0);
    }
}
