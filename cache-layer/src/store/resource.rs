//! All answers under one key.

use super::ARC;
use super::head::Head;
use super::ledger::{Charge, Ledger};
use super::stored::Stored;
use crate::key::{Key, Lookup};
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;
use std::sync::Arc;

/// The octets of most keys.
const INLINE: usize = 96;

/// Nearly always one.
pub(crate) type Variants = SmallVec<[Arc<Stored>; 1]>;

/// All answers stored under one key, the one with the newest `Date` last.
#[derive(Debug)]
pub(crate) struct Resource {
    /// In place, as far as they go: they are read on each hit.
    parts: SmallVec<[u8; INLINE]>,
    variants: Variants,
    /// None for ballast, which no ledger knows of.
    charge: Option<Charge>,
    ballast: u64,
}

impl Resource {
    pub(crate) fn new(ledger: &Arc<Ledger>, key: &Key, variants: Variants) -> Self {
        let parts = SmallVec::from_slice(key.parts());
        let spilled = if parts.spilled() { parts.len() } else { 0 };
        let bytes = size_of::<Self>() + ARC + PLACE + spilled + size_of_val(&*variants);
        Self {
            parts,
            variants,
            charge: Some(Charge::new(ledger, bytes as u64)),
            ballast: 0,
        }
    }

    /// Weighs without holding anything: the store must part with others for it.
    pub(crate) fn ballast(weight: u64) -> Self {
        Self {
            parts: SmallVec::new(),
            variants: Variants::new(),
            charge: None,
            ballast: weight,
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

    /// Bytes held, or pretended to be.
    pub(crate) fn weight(&self) -> u64 {
        self.ballast
            + self.charge.as_ref().map_or(0, Charge::bytes)
            + self
                .variants
                .iter()
                .map(|stored| stored.charge.bytes())
                .sum::<u64>()
    }
}

/// What the store itself spends on a place: measured with moka 0.12, table and queues included.
const PLACE: usize = 260;
