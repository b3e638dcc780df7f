//! What a request needs, and the promises that are made of the budget.

mod budget;
mod line;
mod need;
mod policy;
mod priority;
mod reservation;
mod rules;
mod settings;

pub(crate) use budget::{Asker, Budget, LARGEST, Short};
pub(crate) use line::{Class, Line, Place, Room, make_room};
pub(crate) use need::{Need, READ_AHEAD};
pub use policy::Policy;
pub(crate) use policy::{LONGEST_WAIT, Patience};
pub use priority::Priority;
pub(crate) use priority::is_shed;
pub use reservation::Reservation;
pub(crate) use rules::{Demand, Factor, Rules};

/// What the reservation word is built on; the model puts loom's there instead.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(test)]
mod loom;
