//! What hits leave in an entry, and where the books have it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Counts uses, so that of any two it is known which came later: times can be alike.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct UseClock(AtomicU64);

impl UseClock {
    pub(crate) fn tick(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) + 1
    }
}

/// How an entry has been used; written by hits, at once and without a lock.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Uses {
    last: AtomicU64,
    /// When it was last asked for, in the store's milliseconds; only where idle entries are to leave.
    seen: AtomicU64,
    hits: AtomicU32,
    /// Whether somebody fetches it anew before it expires.
    renewing: AtomicBool,
}

impl Uses {
    /// Of an entry that is put in.
    pub(crate) fn new(last: u64, now: u64) -> Self {
        Self {
            last: AtomicU64::new(last),
            hits: AtomicU32::new(0),
            seen: AtomicU64::new(now),
            renewing: AtomicBool::new(false),
        }
    }

    /// True once: for whoever is to fetch it anew.
    pub(crate) fn renew(&self) -> bool {
        !self.renewing.load(Relaxed) && !self.renewing.swap(true, Relaxed)
    }

    /// Takes note of a hit, and says how many there were with it. At the end of counting it stays.
    pub(crate) fn hit(&self, clock: &UseClock) -> u32 {
        // Whoever was the last one is it still: a key that all ask for costs the others nothing.
        if self.last.load(Relaxed) != clock.0.load(Relaxed) {
            self.last.store(clock.tick(), Relaxed);
        }
        let hits = self.hits.fetch_add(1, Relaxed);
        if hits == u32::MAX {
            self.hits.store(u32::MAX, Relaxed);
        }
        hits.saturating_add(1)
    }

    pub(crate) fn see(&self, now: u64) {
        if self.seen.load(Relaxed) < now {
            self.seen.store(now, Relaxed);
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.last.load(Relaxed)
    }

    pub(crate) fn hits(&self) -> u32 {
        self.hits.load(Relaxed)
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Relaxed)
    }
}

/// Where the books have an entry. Atomic, as the entry is shared, but read and written by the books
/// alone, which stand under a lock.
#[derive(Debug)]
pub(crate) struct Place {
    /// Nobody else's: the use that it was put in by.
    pub(super) serial: u64,
    rank: AtomicU64,
    end: AtomicU64,
    segment: AtomicU8,
    expired: AtomicBool,
    watched: AtomicBool,
    noted: AtomicU32,
    /// Up to which use they are counted.
    since: AtomicU64,
    /// The bits of a number.
    worth: AtomicU64,
}

impl Place {
    /// Of an entry that has not been used but for being put in.
    pub(crate) fn new(uses: &Uses) -> Self {
        Self {
            serial: uses.last(),
            rank: AtomicU64::new(0),
            end: AtomicU64::new(0),
            segment: AtomicU8::new(0),
            expired: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            noted: AtomicU32::new(0),
            since: AtomicU64::new(uses.last()),
            worth: AtomicU64::new(0),
        }
    }

    /// What it stands by in its order.
    pub(super) fn rank(&self) -> u64 {
        self.rank.load(Relaxed)
    }

    pub(super) fn set_rank(&self, rank: u64) {
        self.rank.store(rank, Relaxed);
    }

    /// By which end it stands among the times.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Relaxed)
    }

    pub(super) fn set_end(&self, end: u64) {
        self.end.store(end, Relaxed);
    }

    pub(super) fn segment(&self) -> u8 {
        self.segment.load(Relaxed)
    }

    pub(super) fn set_segment(&self, segment: u8) {
        self.segment.store(segment, Relaxed);
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    pub(super) fn set_expired(&self, expired: bool) {
        self.expired.store(expired, Relaxed);
    }

    /// Whether somebody waits to see when it is asked for.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Relaxed)
    }

    pub(super) fn set_watched(&self) {
        self.watched.store(true, Relaxed);
    }

    /// How many of its hits the books have counted.
    pub(super) fn noted(&self) -> u32 {
        self.noted.load(Relaxed)
    }

    pub(super) fn set_noted(&self, hits: u32) {
        self.noted.store(hits, Relaxed);
    }

    /// The use that the last of them was.
    pub(super) fn since(&self) -> u64 {
        self.since.load(Relaxed)
    }

    pub(super) fn set_since(&self, last: u64) {
        self.since.store(last, Relaxed);
    }

    /// What its uses as far as they are counted make it worth.
    pub(super) fn worth(&self) -> f64 {
        f64::from_bits(self.worth.load(Relaxed))
    }

    pub(super) fn set_worth(&self, worth: f64) {
        self.worth.store(worth.to_bits(), Relaxed);
    }
}
