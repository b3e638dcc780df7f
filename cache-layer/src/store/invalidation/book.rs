//! Numbers, books and their sets; the module above explains them.

use super::sync::{AtomicU64, Ordering, WAYS};
use Ordering::{Acquire, Relaxed, Release};
use smallvec::SmallVec;

/// Whether what is invalidated may still be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purge {
    /// It is gone.
    Hard,
    /// It is stale from now on.
    Soft,
}

/// Where the books have a target or a group: its tag, and above it what chooses the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u64);

/// The places of the groups that an answer belongs to.
pub(crate) type GroupPlaces = SmallVec<[Place; 2]>;

const TAG_BITS: u32 = 24;
const TAG: u64 = (1 << TAG_BITS) - 1;

/// The last number there is: who strikes after 10¹² strikes gets it too, and no claim is as high,
/// so that what is struck from then on stays struck for good.
const LAST: u64 = u64::MAX >> TAG_BITS;

impl Place {
    pub(crate) fn of(digest: u128) -> Self {
        Self(digest as u64)
    }

    fn tag(self) -> u64 {
        self.0 & TAG
    }

    /// The number of sets is a power of two.
    fn set(self, sets: &[Set]) -> &Set {
        &sets[(self.0 >> TAG_BITS) as usize & (sets.len() - 1)]
    }
}

/// What an answer stands by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// The last number at the start of its fill.
    pub(crate) number: u64,
    pub(crate) target: Place,
    pub(crate) groups: &'a [Place],
}

#[derive(Debug)]
pub(crate) struct Invalidations {
    last: AtomicU64,
    hard: Book,
    soft: Book,
}

impl Invalidations {
    /// A set for every 32 KiB of cache, 128 to 8,192 of them, a quarter of that for groups, in both
    /// books: 20 KiB to 1.25 MiB.
    pub(crate) fn new(max_bytes: u64) -> Self {
        Self::with_sets((max_bytes >> 15).clamp(1 << 7, 1 << 13).next_power_of_two())
    }

    pub(super) fn with_sets(sets: u64) -> Self {
        Self {
            last: AtomicU64::new(0),
            hard: Book::new(sets),
            soft: Book::new(sets),
        }
    }

    /// The number to note at the start of a fill, before its request goes out.
    pub(crate) fn now(&self) -> u64 {
        self.last.load(Acquire).min(LAST - 1)
    }

    pub(crate) fn target(&self, place: Place, purge: Purge) {
        let book = self.book(purge);
        let number = self.next(book);
        place.set(&book.targets).strike(place, number);
    }

    pub(crate) fn group(&self, place: Place, purge: Purge) {
        let book = self.book(purge);
        let number = self.next(book);
        place.set(&book.groups).strike(place, number);
    }

    pub(crate) fn everything(&self, purge: Purge) {
        let book = self.book(purge);
        let number = self.next(book);
        book.everything.fetch_max(number, Relaxed);
    }

    /// The number of a strike that is about to go into this book.
    fn next(&self, book: &Book) -> u64 {
        let number = (self.last.fetch_add(1, Release) + 1).min(LAST);
        book.latest.fetch_max(number, Relaxed);
        number
    }

    /// Whether it has not been struck since its fill began.
    pub(crate) fn stands(&self, claim: Claim<'_>) -> bool {
        self.hard.bears(claim)
    }

    /// Whether it has been declared stale since its fill began.
    pub(crate) fn is_softened(&self, claim: Claim<'_>) -> bool {
        !self.soft.bears(claim)
    }

    fn book(&self, purge: Purge) -> &Book {
        match purge {
            Purge::Hard => &self.hard,
            Purge::Soft => &self.soft,
        }
    }
}

#[cfg(test)]
impl Invalidations {
    /// As if so many invalidations had been.
    pub(super) fn skip_to(&self, number: u64) {
        self.last.store(number, Relaxed);
    }

    pub(super) fn bytes(&self) -> usize {
        let sets = |book: &Book| book.targets.len() + book.groups.len();
        (sets(&self.hard) + sets(&self.soft)) * size_of::<Set>()
    }
}

#[derive(Debug)]
struct Book {
    /// The latest number in the whole book: most often nothing at all is later than a claim.
    latest: AtomicU64,
    everything: AtomicU64,
    targets: Box<[Set]>,
    groups: Box<[Set]>,
}

impl Book {
    fn new(sets: u64) -> Self {
        let empty = |sets| (0..sets).map(|_| Set::empty()).collect();
        Self {
            latest: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            targets: empty(sets),
            groups: empty(sets.div_ceil(4)),
        }
    }

    fn bears(&self, claim: Claim<'_>) -> bool {
        let Claim {
            number,
            target,
            groups,
        } = claim;
        let bears = |sets, place: Place| place.set(sets).bears(place, number);
        self.latest.load(Relaxed) <= number
            || (self.everything.load(Relaxed) <= number
                && bears(&self.targets, target)
                && groups.iter().all(|group| bears(&self.groups, *group)))
    }
}

/// The tag's last number, and the tag below it; zero is an empty way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Word(u64);

impl Word {
    fn new(place: Place, number: u64) -> Self {
        Self(number << TAG_BITS | place.tag())
    }

    fn is_of(self, place: Place) -> bool {
        self.0 & TAG == place.tag()
    }

    fn number(self) -> u64 {
        self.0 >> TAG_BITS
    }
}

#[derive(Debug)]
#[repr(align(64))]
struct Set {
    floor: AtomicU64,
    ways: [AtomicU64; WAYS],
}

impl Set {
    fn empty() -> Self {
        Self {
            floor: AtomicU64::new(0),
            ways: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    fn strike(&self, place: Place, number: u64) {
        loop {
            let words = self.ways.each_ref().map(|way| Word(way.load(Relaxed)));
            // The first that fits: ways are filled in order, and an empty one looks like tag zero.
            let own = words.iter().position(|word| word.is_of(place));
            let least = || (0..WAYS).min_by_key(|way| words[*way]);
            let way = own.or_else(least).expect("a set has ways");
            let old = words[way];
            if own.is_none() {
                // Before the exchange: who does not find the tenant must find the floor.
                self.floor.fetch_max(old.number().min(number), Relaxed);
            }
            if old.number() >= number {
                return;
            }
            let new = Word::new(place, number);
            if self.ways[way]
                .compare_exchange(old.0, new.0, Release, Relaxed)
                .is_ok()
            {
                return;
            }
        }
    }

    fn bears(&self, place: Place, number: u64) -> bool {
        let struck = |way: &AtomicU64| {
            let word = Word(way.load(Acquire));
            word.is_of(place) && word.number() > number
        };
        // The floor last, for what the ways no longer have.
        !self.ways.iter().any(struck) && self.floor.load(Relaxed) <= number
    }
}
