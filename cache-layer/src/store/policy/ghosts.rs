//! What keys were worth when their entries left, in a table of fixed size for the entries that there
//! are: the TinyLFU filter's memory, which a newcomer's worth is read from.
//!
//! A set-associative table in place of a count-min sketch: what many keys of one use each leave in a
//! sketch adds up, the longer the more, and here they only turn out one another.

/// The slots of a set: they are one line of the processor's cache.
const WAYS: usize = 8;
/// Slots for fewer entries than this are not worth saving.
const LEAST: usize = 1 << 7;

/// Eight bytes; no tag, no ghost.
#[derive(Clone, Copy, Default)]
struct Slot {
    tag: u32,
    /// In fractions of a half-life, as far as 32 bits go: what is older than that is nobody's any more.
    worth: u32,
}

pub(super) struct Ghosts {
    /// From two to four for each entry.
    slots: Box<[Slot]>,
}

impl Default for Ghosts {
    fn default() -> Self {
        Self {
            slots: vec![Slot::default(); 2 * LEAST].into(),
        }
    }
}

impl Ghosts {
    /// Takes note of how many entries there are. Twice as many slots as before repeat what they hold:
    /// each key finds its own in either half.
    pub(super) fn fit(&mut self, entries: usize) {
        while self.slots.len() < 2 * entries {
            self.slots = self.slots.repeat(2).into();
        }
    }

    /// What a key was worth, if that is known; it is its entry's from now on. Logarithms are in
    /// half-lives, as is the time.
    pub(super) fn take(&mut self, digest: u128, now: f64) -> Option<f64> {
        let (tag, set) = self.set(digest);
        let slot = set.iter_mut().find(|slot| slot.tag == tag)?;
        let slot = std::mem::take(slot);
        Some(now + f64::from(slot.less(now)) / FRACTIONS)
    }

    /// Takes note of a worth, unless all others in its place are worth more.
    pub(super) fn put(&mut self, digest: u128, worth: f64, now: f64) {
        let (tag, set) = self.set(digest);
        let new = Slot {
            tag,
            worth: fractions(worth),
        };
        let rank = |slot: &Slot| match slot.tag {
            same if same == tag => (0, 0),
            0 => (1, 0),
            _ => (2, slot.less(now)),
        };
        if let Some(least) = set.iter_mut().min_by_key(|slot| rank(slot))
            && rank(least) < (2, new.less(now))
        {
            *least = new;
        }
    }

    fn set(&mut self, digest: u128) -> (u32, &mut [Slot]) {
        let place = (digest as usize).wrapping_mul(WAYS) & (self.slots.len() - 1);
        let tag = ((digest >> 96) as u32).max(1);
        (tag, &mut self.slots[place..place + WAYS])
    }
}

const FRACTIONS: f64 = 256.0;

fn fractions(half_lives: f64) -> u32 {
    (half_lives * FRACTIONS) as u64 as u32
}

impl Slot {
    /// How much more it is worth than one use now, in fractions of a half-life.
    fn less(self, now: f64) -> i32 {
        self.worth.wrapping_sub(fractions(now)).cast_signed()
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
    fn a_worth_is_known_until_it_is_taken() {
        for now in [64.0, 1e6, 3e9] {
            let mut ghosts = Ghosts::default();
            for (n, worth) in [(1, now - 30.0), (2, now - 3.3), (3, now + 9.0)] {
                assert_eq!(ghosts.take(digest(n), now), None);
                ghosts.put(digest(n), worth, now);
                ghosts.put(digest(n), worth, now);
                let taken = ghosts.take(digest(n), now + 5.0).unwrap();
                assert!((taken - worth).abs() < 0.01, "{taken} {worth}");
                assert_eq!(ghosts.take(digest(n), now), None);
            }
        }
    }

    #[test]
    fn those_worth_the_least_are_forgotten_first() {
        let mut ghosts = Ghosts::default();
        // All of one set.
        let digest = |n: u128| n << 96 | 7;
        (1..=20).for_each(|n| ghosts.put(digest(n), 64.0 + n as f64, 64.0));
        ghosts.put(digest(30), 70.0, 64.0);
        let known = (1..=30).filter(|n| ghosts.take(digest(*n), 64.0).is_some());
        assert!(known.eq(13..=20));
    }

    #[test]
    fn growing_loses_nothing() {
        let mut ghosts = Ghosts::default();
        let known = |ghosts: &mut Ghosts| -> Vec<Option<f64>> {
            let all = (0..100).map(|n| ghosts.take(digest(n), 64.0));
            let all: Vec<_> = all.collect();
            let known = (0..)
                .zip(&all)
                .filter_map(|(n, worth)| Some((n, (*worth)?)));
            known.for_each(|(n, worth)| ghosts.put(digest(n), worth, 64.0));
            all
        };
        (0..100).for_each(|n| ghosts.put(digest(n), n as f64, 64.0));
        let before = known(&mut ghosts);
        ghosts.fit(5000);
        assert_eq!(known(&mut ghosts), before);
        assert!(before.iter().flatten().count() > 95);
        assert_eq!(ghosts.slots.len(), 16_384);
    }
}
