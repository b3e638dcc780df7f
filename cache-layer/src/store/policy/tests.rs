mod duels;
mod properties;
mod tiny_lfu;

use super::*;
use std::collections::BTreeMap;

/// An entry that is nothing but what the books see.
struct One {
    key: u64,
    weight: u64,
    uses: Uses,
    place: Place,
    ends: Ends,
}

impl Entry for One {
    fn digest(&self) -> u128 {
        let mix = |n: u64| {
            (n ^ n >> 31)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(29)
        };
        u128::from(mix(self.key)) << 64 | u128::from(mix(self.key ^ 0xABCD))
    }

    fn weight(&self) -> u64 {
        self.weight
    }

    fn uses(&self) -> &Uses {
        &self.uses
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn ends(&self) -> Ends {
        let idle = self.uses.seen().saturating_add(self.ends.idle);
        Ends { idle, ..self.ends }
    }
}

const NEVER: u64 = u64::MAX;
const FOREVER: Ends = Ends {
    fresh: NEVER,
    useful: NEVER,
    idle: NEVER,
};

/// A cache of nothing, with a map beside its books as the store has its index.
struct Cache {
    policy: Policy<One>,
    there: BTreeMap<u64, Arc<One>>,
    clock: UseClock,
    now: u64,
}

impl Cache {
    fn new(max_bytes: u64, eviction: Eviction) -> Self {
        Self {
            policy: Policy::new(max_bytes, eviction),
            there: BTreeMap::new(),
            clock: UseClock::default(),
            now: 0,
        }
    }

    fn put_until(&mut self, key: u64, weight: u64, ends: Ends) -> Vec<(u64, Cause)> {
        let uses = Uses::new(self.clock.tick(), self.now);
        let entry = Arc::new(One {
            key,
            weight,
            place: Place::new(&uses),
            uses,
            ends,
        });
        let older = self.there.remove(&key);
        let gone = self.policy.admit(&entry, older.as_ref(), self.now);
        self.there.insert(key, entry);
        gone.iter()
            .map(|(one, cause)| {
                let left = self
                    .there
                    .remove(&one.key)
                    .map(|left| Arc::ptr_eq(&left, one));
                assert_eq!(left, Some(true), "who leaves was there, and leaves once");
                assert_eq!(Arc::strong_count(one), 1, "nobody holds on to it");
                (one.key, *cause)
            })
            .collect()
    }

    fn put(&mut self, key: u64, weight: u64) -> Vec<u64> {
        let gone = self.put_until(key, weight, FOREVER);
        gone.into_iter().map(|(key, _)| key).collect()
    }

    fn ask(&mut self, key: u64) -> bool {
        let found = self.there.get(&key);
        if let Some(found) = found {
            found.uses.hit(&self.clock);
            found.uses.see(self.now);
        }
        found.is_some()
    }

    /// A request, as a cache has it: asks, and puts what is missing.
    fn request(&mut self, key: u64) -> bool {
        let hit = self.ask(key);
        if !hit {
            self.put(key, 1);
        }
        hit
    }

    fn coldest(&mut self) -> Option<u64> {
        let one = next(|| self.policy.pop_coldest(3))?;
        self.there.remove(&one.key);
        assert_eq!(Arc::strong_count(&one), 1, "nobody holds on to it");
        Some(one.key)
    }

    fn useless(&mut self, now: u64) -> Option<Arc<One>> {
        next(|| self.policy.pop_useless(now, 3))
    }

    fn expired(&mut self, now: u64) -> Option<Arc<One>> {
        next(|| self.policy.pop_expired(now, 3))
    }

    fn check(&self) {
        let bytes = self.there.values().map(|one| one.weight).sum::<u64>();
        assert_eq!(self.policy.bytes(), bytes);
        assert_eq!(self.policy.len(), self.there.len());
        assert!(bytes <= self.policy.max_bytes);
    }
}

/// Looks until there is one, or nobody.
fn next(mut look: impl FnMut() -> Next<One>) -> Option<Arc<One>> {
    loop {
        match look() {
            Next::One(one) => return Some(one),
            Next::NotYet => {}
            Next::Nobody => return None,
        }
    }
}

const ALL: [Eviction; 3] = [Eviction::TinyLfu, Eviction::Lru, Eviction::SoonestToExpire];

#[test]
fn the_longest_unused_leaves_first() {
    let mut cache = Cache::new(3, Eviction::Lru);
    for key in [1, 2, 3] {
        assert!(cache.put(key, 1).is_empty());
    }
    for key in [3, 1, 2] {
        assert!(cache.ask(key));
    }
    assert_eq!(
        [cache.put(4, 1), cache.put(5, 1), cache.put(6, 1)],
        [[3], [1], [2]]
    );
    assert!(cache.ask(4));
    assert_eq!(cache.put(7, 2), [5, 6]);
    assert_eq!(
        (cache.coldest(), cache.coldest(), cache.coldest()),
        (Some(4), Some(7), None)
    );
}

#[test]
fn what_would_expire_first_leaves_first() {
    let mut cache = Cache::new(3, Eviction::SoonestToExpire);
    let until = |fresh| Ends {
        fresh,
        useful: fresh + 1000,
        ..FOREVER
    };
    for (key, fresh) in [(1, 50), (2, 10), (3, 90)] {
        assert!(cache.put_until(key, 1, until(fresh)).is_empty());
    }
    (0..10).for_each(|_| assert!(cache.ask(2)));
    assert_eq!(cache.put_until(4, 1, until(60)), [(2, Cause::Room)]);
    assert_eq!(
        cache.put_until(5, 1, until(20)),
        [(5, Cause::Room)],
        "it is the soonest itself"
    );
    assert_eq!(cache.coldest(), Some(1));
}

#[test]
fn the_expired_leave_before_all_others() {
    for eviction in ALL {
        let mut cache = Cache::new(4, eviction);
        let until = |fresh, useful| Ends {
            fresh,
            useful,
            ..FOREVER
        };
        cache.put_until(1, 1, until(1000, 1000));
        cache.put_until(2, 1, until(100, 500));
        cache.put_until(3, 1, until(100, 300));
        cache.put_until(4, 1, until(1000, 2000));
        (0..5).for_each(|_| assert!(cache.ask(2) && cache.ask(3)));
        cache.now = 100;
        let gone = [cache.put(5, 1), cache.put(6, 1)];
        // The less time it is still good for, the less it is worth.
        assert_eq!(gone, [[3], [2]], "{eviction:?}");
        cache.check();
    }
}

#[test]
fn the_useless_are_found_and_the_useful_are_not() {
    let mut cache = Cache::new(1000, Eviction::TinyLfu);
    for key in 0..100 {
        let fresh = 100 + key;
        cache.put_until(
            key,
            1,
            Ends {
                fresh,
                useful: fresh * 2,
                ..FOREVER
            },
        );
    }
    let mut useless = |now| {
        let found = std::iter::from_fn(|| cache.useless(now));
        found.map(|one| one.key).collect::<Vec<_>>()
    };
    assert!(useless(199).is_empty());
    assert_eq!(useless(209), [0, 1, 2, 3, 4]);
    assert_eq!(useless(10_000).len(), 95);
    assert_eq!(cache.policy.len(), 0);
}

#[test]
fn the_idle_leave_and_the_asked_for_stay() {
    let mut cache = Cache::new(1000, Eviction::TinyLfu);
    let idle = Ends {
        idle: 60,
        ..FOREVER
    };
    for key in 0..10 {
        cache.put_until(key, 1, idle);
    }
    cache.now = 50;
    assert!(cache.ask(3) && cache.ask(4));
    let mut useless = |now| std::iter::from_fn(|| cache.useless(now)).count();
    assert_eq!(
        (useless(59), useless(60), useless(109), useless(110)),
        (0, 8, 0, 2)
    );
}

#[test]
fn a_flood_of_what_nobody_asks_for_twice_replaces_nothing() {
    let mut cache = Cache::new(1000, Eviction::TinyLfu);
    for _ in 0..4 {
        (0..900).for_each(|key| {
            cache.request(key);
        });
    }
    let mut hits = 0;
    for key in 1000..101_000 {
        cache.request(key);
        hits += usize::from(cache.request(key % 900));
    }
    assert!(hits > 97_000, "{hits} of 100,000");
    cache.check();
}

#[test]
fn what_comes_to_be_asked_for_replaces_what_was() {
    let mut cache = Cache::new(1000, Eviction::TinyLfu);
    for first in [0, 10_000, 20_000] {
        for _ in 0..30 {
            (first..first + 900).for_each(|key| {
                cache.request(key);
            });
        }
        let there = (first..first + 900).filter(|key| cache.ask(*key)).count();
        assert!(there > 800, "{there} of 900 from {first} on");
    }
}

#[test]
fn reclaiming_takes_no_hot_one_before_a_cold_one() {
    for eviction in [Eviction::TinyLfu, Eviction::Lru] {
        let mut cache = Cache::new(1000, eviction);
        for key in 0..1000 {
            cache.put(key, 1);
        }
        for _ in 0..3 {
            (0..1000).step_by(2).for_each(|key| assert!(cache.ask(key)));
        }
        let cold: Vec<u64> = std::iter::from_fn(|| cache.coldest()).take(500).collect();
        assert!(cold.iter().all(|key| key % 2 == 1), "{eviction:?}");
        assert!(cache.coldest().is_some_and(|key| key % 2 == 0));
    }
}
