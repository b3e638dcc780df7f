//! Where answers are kept: in this process, within a number of bytes.

mod entry;
mod invalidation;
mod ledger;
mod marks;
mod memory;

pub(crate) use entry::{ADDED_FIELDS, Head, Resource, Stored, Terms};
pub(crate) use invalidation::Invalidations;
pub(crate) use ledger::{Charge, Ledger};
pub(crate) use marks::Marks;
pub use memory::Eviction;
pub(crate) use memory::MemoryStore;
