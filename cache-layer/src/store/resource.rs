//! All answers under one key.

use super::ARC;
use super::clock::Clock;
use super::head::Head;
use super::ledger::{Charge, Ledger};
use super::policy::{Ends, Entry, Place, Uses};
use super::stored::Stored;
use crate::key::{Key, Lookup};
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;
use std::sync::Arc;
use tokio::time::Instant;

/// The octets of most keys.
const INLINE: usize = 96;

/// Nearly always one.
pub(crate) type Variants = SmallVec<[Arc<Stored>; 1]>;

/// All answers stored under one key, the one with the newest `Date` last.
///
/// In this order: what each hit reads and writes is in two lines of the processor's cache, with the
/// count of those who share it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Resource {
    uses: Uses,
    variants: Variants,
    /// In place, as far as they go.
    parts: SmallVec<[u8; INLINE]>,
    digest: u128,
    /// When the last of its answers is not fresh any more, and when it is of no use.
    fresh_until: u64,
    useful_until: u64,
    /// How long it may go without being asked for, in milliseconds.
    max_idle: u64,
    place: Place,
    charge: Charge,
}

impl Resource {
    pub(super) fn new(ledger: &Arc<Ledger>, clock: &Clock, key: &Key, variants: Variants) -> Self {
        let parts = SmallVec::from_slice(key.parts());
        let spilled = if parts.spilled() { parts.len() } else { 0 };
        let several = if variants.spilled() {
            size_of_val(&*variants)
        } else {
            0
        };
        let bytes = size_of::<Self>() + ARC + PLACE + spilled + several;
        let last = |end: fn(&Head) -> Instant| {
            let ends = variants.iter().map(|stored| end(&stored.head));
            ends.max().map_or(0, |end| clock.end(end))
        };
        let uses = clock.uses();
        Self {
            place: Place::new(&uses),
            parts,
            uses,
            digest: key.digest(),
            fresh_until: last(Head::fresh_until),
            useful_until: last(Head::useful_until),
            max_idle: clock.max_idle(),
            charge: Charge::new(ledger, bytes as u64),
            variants,
        }
    }

    pub(crate) fn is_of(&self, key: &impl Lookup) -> bool {
        key.is(&self.parts)
    }

    pub(crate) fn variants(&self) -> &[Arc<Stored>] {
        &self.variants
    }

    /// Which variant answers the request's fields (RFC 9111 section 4.1): the newest of those that a
    /// `Vary` nominates, else the newest of those without one, else one that the client prefers for
    /// certain.
    pub(crate) fn select(&self, request: &HeaderMap) -> Option<usize> {
        let mut unselected = None;
        let newest_first = || self.variants.iter().enumerate().rev();
        for (place, stored) in newest_first() {
            let selection = stored.head.selection();
            if selection.is_empty() {
                unselected = unselected.or(Some(place));
            } else if selection.matches_exactly(request) {
                return Some(place);
            }
        }
        let preferred = || {
            newest_first()
                .find(|(_, stored)| stored.head.selection().matches_by_preference(request))
                .map(|(place, _)| place)
        };
        unselected.or_else(preferred)
    }

    /// The fields that the newest answer was selected by.
    pub(crate) fn selecting_names(&self) -> Vec<HeaderName> {
        self.variants
            .last()
            .map(|stored| stored.head.selection().names().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether one of its answers is so.
    pub(crate) fn any(&self, is: impl Fn(&Head) -> bool) -> bool {
        self.variants.iter().any(|stored| is(&stored.head))
    }

    /// Whether there was room for it.
    pub(super) fn is_counted(&self) -> bool {
        let variants = &self.variants;
        self.charge.is_whole() && variants.iter().all(|stored| stored.is_counted())
    }

    /// Whether nobody renews it yet; true once.
    pub(crate) fn renew(&self) -> bool {
        self.uses.renew()
    }

    /// Of the newest answer's body.
    pub(super) fn octets(&self) -> u64 {
        self.variants.last().map_or(0, |stored| stored.octets())
    }

    /// The key as people read it.
    pub(crate) fn show(&self) -> String {
        Key::show_parts(&self.parts)
    }

    /// Whether nobody has asked for it for too long.
    pub(super) fn is_idle(&self, now: u64) -> bool {
        self.ends().idle <= now
    }
}

impl Entry for Resource {
    fn digest(&self) -> u128 {
        self.digest
    }

    fn weight(&self) -> u64 {
        let variants = self.variants.iter().map(|stored| stored.weight());
        self.charge.held() + variants.sum::<u64>()
    }

    fn uses(&self) -> &Uses {
        &self.uses
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn ends(&self) -> Ends {
        Ends {
            fresh: self.fresh_until,
            useful: self.useful_until,
            idle: self.uses.seen().saturating_add(self.max_idle),
        }
    }
}

/// What the store itself spends on an entry, in its index and in its books: `cargo bench --bench hit`
/// measures it.
const PLACE: usize = 160;
