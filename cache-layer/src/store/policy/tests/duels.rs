//! Who was first, as far as anybody can tell.

use super::super::duels::Duels;
use super::*;

struct Ring {
    duels: Duels<One>,
    clock: UseClock,
}

impl Ring {
    fn new() -> Self {
        let (duels, clock) = (Duels::default(), UseClock::default());
        Self { duels, clock }
    }

    fn one(&self, key: u64) -> Arc<One> {
        let uses = Uses::new(self.clock.tick(), 0);
        let (place, ends) = (Place::new(&uses), FOREVER);
        Arc::new(One {
            key,
            weight: 1,
            uses,
            place,
            ends,
        })
    }

    fn pair(&mut self, expected: f64) -> [Arc<One>; 2] {
        let pair = [self.one(1), self.one(2)];
        let [newer, older] = &pair;
        assert_eq!(self.duels.begin(newer, older, expected), 0.0);
        pair
    }

    fn hit(&self, one: &One) {
        one.uses.hit(&self.clock);
    }

    /// Looks at all there are.
    fn look(&mut self) -> f64 {
        (0..64).map(|_| self.duels.look()).sum()
    }
}

#[test]
fn a_hit_tells_who_was_first_and_tells_it_once() {
    for (first, surprise) in [(0, 0.75), (1, -0.25)] {
        let mut ring = Ring::new();
        let pair = ring.pair(0.25);
        assert_eq!(ring.look(), 0.0);
        ring.hit(&pair[first]);
        assert_eq!(ring.look(), surprise);
        assert_eq!(ring.look() + ring.duels.asked_for(pair[0].digest()), 0.0);
    }
}

#[test]
fn who_comes_back_was_first_unless_the_other_was_used_meanwhile() {
    let mut ring = Ring::new();
    let [newer, _older] = ring.pair(0.25);
    assert_eq!(ring.duels.left(&newer), 0.0);
    assert_eq!(ring.duels.asked_for(newer.digest()), 0.75);
    let [newer, older] = ring.pair(0.25);
    assert_eq!(ring.duels.left(&newer), 0.0);
    ring.hit(&older);
    assert_eq!(ring.duels.asked_for(newer.digest()), -0.25);
    assert_eq!(ring.look(), 0.0);
}

#[test]
fn of_two_that_were_used_nobody_knows() {
    let mut ring = Ring::new();
    let [newer, older] = ring.pair(0.25);
    ring.hit(&newer);
    ring.hit(&older);
    assert_eq!(ring.look(), 0.0);
    assert_eq!(ring.duels.asked_for(newer.digest()), 0.0);
}

#[test]
fn who_leaves_is_held_by_nobody() {
    let mut ring = Ring::new();
    let pair = ring.pair(0.5);
    for one in pair {
        assert!(Arc::strong_count(&one) == 2);
        ring.duels.left(&one);
        assert!(Arc::strong_count(&one) == 1);
    }
    // Both have left: the first to come back is known all the same.
    let older = ring.one(2);
    assert_eq!(ring.duels.asked_for(older.digest()), -0.5);
    let [newer, _older] = ring.pair(0.5);
    ring.hit(&newer);
    assert_eq!(ring.duels.left(&newer), 0.5);
    assert!(Arc::strong_count(&newer) == 1);
}

#[test]
fn the_oldest_make_way() {
    let mut ring = Ring::new();
    let [first, _older] = ring.pair(0.5);
    (1..64).for_each(|_| drop(ring.pair(0.5)));
    ring.hit(&first);
    let (newer, older) = (ring.one(3), ring.one(4));
    assert_eq!(ring.duels.begin(&newer, &older, 0.5), 0.5);
    assert!(Arc::strong_count(&first) == 1);
}

#[test]
fn so_many_begin_while_each_entry_is_used_once() {
    let mut duels = Duels::<One>::default();
    let begun = (0..6400).filter(|now| duels.is_due(*now, 640));
    assert_eq!(begun.count(), 640);
    assert!((6400..6500).all(|now| duels.is_due(now, 10)));
}
