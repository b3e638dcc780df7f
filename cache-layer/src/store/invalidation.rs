//! Invalidation without an index (RFC 9111 section 4.4, RFC 9875).
//!
//! Every invalidation gets the next number. A fill notes the last number at its start, and what it
//! stores is valid only while no later number stands against its target or one of its groups. So an
//! invalidation reaches all variants of a target, fills in flight included, by one write; memory is
//! fixed; and a fill that began before a purge never brings the old answer back.
//!
//! There are two such books: what the first one strikes is gone, what the second one strikes is
//! stale, and may be asked about.
//!
//! # Sets
//!
//! A digest names one set, a cache line of seven ways and a *floor*. A way holds a tag (24 other
//! bits of the digest) and the last number that struck it. When all ways are taken, a newcomer gets
//! the one with the smallest number, and that number becomes the floor: claims below it are struck
//! as well. So nothing is missed, and an answer goes together with others only once more than seven
//! of its set were struck after its fill began, or with one that has the same tag (2⁻²⁴). With 20
//! KiB of books (caches up to 4 MiB) a set first runs over after some 340 different targets, with
//! 1.25 MiB (from 256 MiB on) after some 11,000.
//!
//! # Order
//!
//! Nothing locks. The number of a way and the floor only ever rise, so whoever comes after a strike
//! reads what it wrote or what came later: most orderings are relaxed. The others have these reasons:
//!
//! - A way that was taken over no longer says what it said. Its taker raises the floor *before* its
//!   exchange (release), and readers read the floor *after* the ways (acquire): who misses the old
//!   tenant finds the floor above it. Later exchanges continue the release sequence of the first, so
//!   this holds whichever tenant the reader finds.
//! - A strike draws its number with release and a fill notes it with acquire: a fill numbered after
//!   the strike asks after everything that came before the strike, the write's answer among it.
//!
//! Two strikes that bring in the same tag do not take two ways: each would need to have seen the
//! other's way as the larger. A strike whose number is below all ways, because its thread slept,
//! raises the floor to that number, and takes none.
//!
//! `loom.rs` compiles the same source against loom and explores its interleavings.

mod book;

pub(crate) use book::{Claim, GroupPlaces, Invalidations, Place, Purge};

/// What the books are built on; the model swaps this module for loom's.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};

    pub(super) const WAYS: usize = 7;
}

#[cfg(test)]
mod loom;
#[cfg(test)]
mod tests;
