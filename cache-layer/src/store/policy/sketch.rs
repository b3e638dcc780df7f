//! How often keys were asked for lately, in fixed memory for each entry: a count-min sketch of 4-bit
//! counters (Cormode and Muthukrishnan 2005) that halves them all from time to time (Einziger,
//! Friedman and Manes 2017, section 3.3).

/// The most that a counter counts to.
pub(super) const MOST: u32 = 15;
/// A line of the processor's cache: the four counters of a key lie in one.
const WORDS: usize = 8;
/// Counters for fewer entries than this are not worth saving.
const LEAST: usize = 1 << 7;
/// So many counts for each entry, and all counters are halved. The paper has ten; with fewer, what
/// was popular once gives way sooner, and Zipf's law costs half a point.
const PERIOD: usize = 8;

pub(super) struct Sketch {
    /// Sixteen counters in each word; as many words as entries, to a power of two.
    words: Box<[u64]>,
    counted: usize,
    entries: usize,
    /// When the latest use was that is counted, and when all were halved, the last time first.
    latest: u64,
    halvings: [u64; 4],
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            words: vec![0; LEAST].into(),
            counted: 0,
            entries: LEAST,
            latest: 0,
            halvings: [0; 4],
        }
    }
}

impl Sketch {
    /// Takes note of how many entries there are. Twice as many words than before repeat what was
    /// counted: each key finds its counters in either half.
    pub(super) fn fit(&mut self, entries: usize) {
        self.entries = entries.max(LEAST);
        while self.words.len() < self.entries {
            self.words = self.words.repeat(2).into();
        }
    }

    pub(super) fn estimate(&self, digest: u128) -> u32 {
        let counts = self.counters(digest).map(|(word, shift)| {
            let word = self.words[word];
            (word >> shift) as u32 & MOST
        });
        counts.into_iter().min().unwrap_or_default()
    }

    /// Counts uses of a key, the last of which was `at`: those that come to be known late count as if
    /// they had been halved in time. What is over the most is not counted at all.
    pub(super) fn count(&mut self, digest: u128, times: u32, at: u64) {
        self.latest = self.latest.max(at);
        let missed = self.halvings.iter().filter(|halved| **halved > at);
        let times = times.min(MOST) >> missed.count();
        let goal = (self.estimate(digest) + times).min(MOST);
        let mut counted = false;
        for (word, shift) in self.counters(digest) {
            let word = &mut self.words[word];
            let now = (*word >> shift) as u32 & MOST;
            // Only the ones that hold it back: the others count for keys besides.
            if now < goal {
                *word += u64::from(goal - now) << shift;
                counted = true;
            }
        }
        self.counted += usize::from(counted) * times as usize;
        if self.counted >= self.entries * PERIOD {
            self.halve();
        }
    }

    /// Takes one count back.
    pub(super) fn uncount(&mut self, digest: u128) {
        for (word, shift) in self.counters(digest) {
            let word = &mut self.words[word];
            if (*word >> shift) as u32 & MOST > 0 {
                *word -= 1 << shift;
            }
        }
    }

    fn halve(&mut self) {
        const LOW_BITS: u64 = 0x7777_7777_7777_7777;
        for word in &mut self.words {
            *word = (*word >> 1) & LOW_BITS;
        }
        self.counted /= 2;
        self.halvings.rotate_right(1);
        self.halvings[0] = self.latest;
    }

    /// Word and place in it of each of a key's four counters, in pairs of words of one line.
    fn counters(&self, digest: u128) -> [(usize, u32); 4] {
        let line = (digest as usize).wrapping_mul(WORDS) & (self.words.len() - 1);
        let mut choice = (digest >> 64) as u32;
        std::array::from_fn(|n| {
            let word = line + 2 * n + (choice & 1) as usize;
            let shift = ((choice >> 1) & 15) * 4;
            choice >>= 8;
            (word, shift)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u64) -> u128 {
        let mix = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31) ^ n;
        u128::from(mix(n)) << 64 | u128::from(mix(n ^ 0xABCD))
    }

    #[test]
    fn it_counts_to_fifteen_and_forgets_by_halves() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.estimate(digest(1)), 0);
        for n in 1..=20 {
            sketch.count(digest(1), 1, n.into());
            assert_eq!(sketch.estimate(digest(1)), n.min(MOST));
        }
        sketch.count(digest(2), 1000, 30);
        sketch.uncount(digest(3));
        assert_eq!(sketch.estimate(digest(2)), MOST);
        sketch.halve();
        assert_eq!(sketch.estimate(digest(1)), MOST / 2);
        assert_eq!(sketch.estimate(digest(3)), 0);
        sketch.count(digest(4), 13, 29);
        assert_eq!(
            sketch.estimate(digest(4)),
            6,
            "as if it had been counted in time"
        );
        (0..3).for_each(|_| sketch.halve());
        sketch.count(digest(5), 1000, 29);
        assert_eq!(sketch.estimate(digest(5)), 0);
    }

    #[test]
    fn growing_loses_nothing() {
        let mut sketch = Sketch::default();
        (0..100).for_each(|n| sketch.count(digest(n), n as u32 % 5, n));
        let before: Vec<u32> = (0..100).map(|n| sketch.estimate(digest(n))).collect();
        sketch.fit(5000);
        let after: Vec<u32> = (0..100).map(|n| sketch.estimate(digest(n))).collect();
        assert_eq!(before, after);
        assert!(sketch.words.len() == 8192);
    }

    #[test]
    fn the_rare_stay_rare_beside_many_others() {
        let mut sketch = Sketch::default();
        sketch.fit(10_000);
        (0..10_000).for_each(|n| sketch.count(digest(n), 1, n));
        let over = (0..10_000).filter(|n| sketch.estimate(digest(*n)) > 1);
        assert!(over.count() < 500);
        let unseen = (20_000..30_000).filter(|n| sketch.estimate(digest(*n)) > 0);
        assert!(unseen.count() < 1500);
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_forgotten() {
        let mut sketch = Sketch::default();
        sketch.count(digest(0), 15, 0);
        (1..10_000).for_each(|n| sketch.count(digest(n), 1, n));
        assert!(sketch.estimate(digest(0)) < 8);
    }
}
