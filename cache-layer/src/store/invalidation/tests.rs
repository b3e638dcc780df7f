use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

fn place(set: u128, tag: u128) -> Place {
    Place::of(set << 24 | tag)
}

fn claim(number: u64, target: Place, groups: &[Place]) -> Claim<'_> {
    Claim {
        number,
        target,
        groups,
    }
}

#[test]
fn an_invalidation_ends_what_began_before_it_and_nothing_later() {
    let all = Invalidations::new(0);
    let (a, b) = (place(0, 1), place(0, 2));
    let stands = |target, number| all.stands(claim(number, target, &[]));
    let before = all.now();
    all.target(a, Purge::Hard);
    assert!(!stands(a, before) && stands(b, before) && stands(a, all.now()));
    let between = all.now();
    all.everything(Purge::Hard);
    assert!(!stands(a, between) && !stands(b, between));
    assert!(stands(a, all.now()) && stands(b, all.now()));
}

#[test]
fn a_group_takes_its_members_along_and_a_soft_purge_only_softens() {
    let all = Invalidations::new(0);
    let (target, group, another) = (place(3, 7), place(3, 1), place(3, 3));
    let before = all.now();
    all.group(group, Purge::Soft);
    let both = [another, group];
    let (member, other) = (
        claim(before, target, &both),
        claim(before, target, &both[..1]),
    );
    assert!(all.is_softened(member) && all.stands(member));
    assert!(!all.is_softened(other));
    assert!(!all.is_softened(claim(all.now(), target, &both)));
    all.group(group, Purge::Hard);
    assert!(!all.stands(member) && all.stands(other));
    all.target(target, Purge::Soft);
    assert!(all.is_softened(other) && all.stands(other));
}

#[test]
fn what_is_struck_when_numbers_end_stays_struck() {
    let all = Invalidations::new(0);
    all.skip_to((1 << 40) - 3);
    let (a, b, c) = (place(0, 1), place(0, 2), place(0, 3));
    let stands = |target| all.stands(claim(all.now(), target, &[]));
    all.target(a, Purge::Hard);
    assert!(stands(a) && stands(c));
    for _ in 0..2 {
        all.target(b, Purge::Hard);
        assert!(stands(a) && !stands(b) && stands(c));
    }
    all.everything(Purge::Hard);
    assert!(!stands(a) && !stands(c));
}

#[test]
fn the_books_are_as_large_as_they_are_said_to_be() {
    for (max_bytes, bytes) in [
        (4 << 10, 20 << 10),
        (1 << 20, 20 << 10),
        (4 << 20, 20 << 10),
        (64 << 20, 320 << 10),
        (256 << 20, 1280 << 10),
        (1 << 40, 1280 << 10),
        (u64::MAX, 1280 << 10),
    ] {
        assert_eq!(Invalidations::new(max_bytes).bytes(), bytes, "{max_bytes}");
    }
}

/// What the books would say if they kept everything.
#[derive(Default)]
struct Model {
    last: u64,
    everything: u64,
    /// The last number of each target, or group, by set and tag.
    struck: HashMap<(bool, u128, u128), u64>,
}

impl Model {
    fn strike(&mut self, what: (bool, u128, u128)) {
        self.last += 1;
        self.struck.insert(what, self.last);
    }

    fn bears(&self, number: u64, what: (bool, u128, u128)) -> bool {
        let later = |(_, last): &(_, &u64)| **last > number;
        let same_set = self
            .struck
            .iter()
            .filter(|((group, set, _), _)| (*group, *set) == (what.0, what.1));
        self.struck.get(&what).is_none_or(|last| *last <= number)
            // What the floor costs: nothing, up to seven others.
            && same_set.filter(later).count() <= 7
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Target(u128, u128),
    Group(u128, u128),
    Everything,
    Begin,
}

/// Two sets, and more tags than a set has ways; tag zero among them, which is an empty way's.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = (0..2u128, 0..10u128);
    let step = prop_oneof![
        8 => one.clone().prop_map(|(set, tag)| Step::Target(set, tag)),
        4 => one.prop_map(|(set, tag)| Step::Group(set, tag)),
        1 => Just(Step::Everything),
        4 => Just(Step::Begin),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn nothing_is_missed_and_nothing_goes_along_until_a_set_runs_over(
        steps in steps(), soft in any::<bool>(),
    ) {
        let purge = if soft { Purge::Soft } else { Purge::Hard };
        let (all, mut model) = (Invalidations::with_sets(8), Model::default());
        let mut begun = vec![all.now()];
        for step in steps {
            match step {
                Step::Target(set, tag) => {
                    all.target(place(set, tag), purge);
                    model.strike((false, set, tag));
                }
                Step::Group(set, tag) => {
                    all.group(place(set, tag), purge);
                    model.strike((true, set, tag));
                }
                Step::Everything => {
                    all.everything(purge);
                    model.last += 1;
                    model.everything = model.last;
                }
                Step::Begin => begun.push(all.now()),
            }
            for (number, set, tag) in begun.iter().flat_map(|number| {
                (0..20).map(|what| (*number, what % 2, what / 2))
            }) {
                let groups = [place(1 - set, 9 - tag)];
                let claim = claim(number, place(set, tag), &groups);
                let expected = number >= model.everything
                    && model.bears(number, (false, set, tag))
                    && model.bears(number, (true, 1 - set, 9 - tag));
                let (stands, softened) = (all.stands(claim), all.is_softened(claim));
                let (struck, other) = if soft { (softened, !stands) } else { (!stands, softened) };
                prop_assert_eq!(!struck, expected, "{:?} {:?}", step, claim);
                prop_assert!(!other, "the other book is untouched");
            }
        }
    }
}

/// More targets than ways, in one set, from several threads: all that has been struck stays struck,
/// for whoever is told.
#[test]
fn many_threads_miss_nothing() {
    const TARGETS: usize = 12;
    let all = Invalidations::with_sets(1);
    // For each target, the highest number that a strike which has ended is later than.
    let struck: [AtomicU64; TARGETS] = Default::default();
    std::thread::scope(|scope| {
        for thread in 0..4usize {
            let (all, struck) = (&all, &struck);
            scope.spawn(move || {
                for round in 0..5_000usize {
                    let target = round * (thread + 5) / 3 % TARGETS;
                    let before = all.now();
                    all.target(place(0, target as u128), Purge::Hard);
                    struck[target].fetch_max(before + 1, Ordering::AcqRel);
                    for (tag, struck) in struck.iter().enumerate() {
                        let Some(number) = struck.load(Ordering::Acquire).checked_sub(1) else {
                            continue;
                        };
                        let claim = claim(number, place(0, tag as u128), &[]);
                        assert!(!all.stands(claim), "{claim:?}");
                    }
                }
            });
        }
    });
}
