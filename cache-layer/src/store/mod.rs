//! Where answers are kept: in this process, within a number of bytes.

mod books;
mod clock;
mod entering;
mod head;
mod hottest;
mod index;
mod invalidation;
mod leaving;
mod ledger;
mod marks;
mod memory;
mod policy;
mod resource;
mod stored;

pub(crate) use head::{ADDED_FIELDS, Head, Terms};
pub use hottest::TopBy;
pub(crate) use invalidation::{Claim, GroupPlaces, Invalidations, Place, Purge};
pub(crate) use ledger::{Charge, Ledger, given_back};
pub(crate) use marks::Marks;
pub(crate) use memory::{MemoryStore, Put};
pub use policy::Eviction;
pub(crate) use resource::Resource;
pub(crate) use stored::{Content, Stored};

/// Two counters in front of a shared value.
const ARC: usize = 16;
