//! Where the clients' arrival times live: a set-associative table of fixed size.
//!
//! A hash names one set of eight slots; a slot is a 64-bit tag (the client's hash) and a 64-bit word
//! (its state; for a token bucket that is its arrival time, and so this page calls it). Memory is
//! taken once, whatever the number of clients: when a set is full, a newcomer takes the slot with
//! the *smallest* arrival time, the client nearest to a full bucket. A time in the past is a full
//! bucket already, so forgetting it loses nothing: the table is exact until one set holds more than
//! eight clients in debt (a slot that is just changing hands counts as one). A newcomer always
//! starts fresh; taking over the debt of the client it replaces would let a flood lock everybody
//! else out.
//!
//! # Protocol
//!
//! There are no locks; the *word* decides. Besides the time it counts the slot's tenants (modulo
//! eight) and says whether the tenant has settled, so a compare-and-swap that expects a word also
//! expects its tenant, and every step that matters is one such exchange:
//!
//! 1. *change*: settled word → the same with another time. Before it (and around a refusal) the tag
//!    is read again after the word; tags change only under an unsettled word, so if the exchange
//!    succeeds the time belonged to that tag.
//! 2. *claim*: the victim's settled word → unsettled, one tenant further. A victim that was charged
//!    meanwhile has another word, and is not evicted on outdated grounds. The claimant alone now
//!    writes the tag, then *publishes* the word.
//! 3. *settle*: two checks may bring the same newcomer into two slots. After publishing, and behind
//!    a full fence, each looks through the set; of two that race at least one sees the other.
//!    The lower slot stays and the higher is *withdrawn*, by whoever sees both. When nothing else
//!    is seen, the published word becomes settled with the first charge in it. Anyone who finds a
//!    published slot of its own client may do this for the owner, so nobody waits for a thread that
//!    was put to sleep in between.
//!
//! The protocol is exact up to a tag collision (2⁻⁶³ per pair of clients), or a slot that changes
//! tenants a multiple of eight times, to the same nanosecond, between one check's load and its
//! exchange. `loom.rs` compiles the same source against loom and explores its interleavings.

mod slot;
mod slots;
mod word;

pub(crate) use slots::{Asked, Place, Table};

/// A question about one client's state, which is 0 for a client that is not known.
pub(crate) trait Ask: Copy {
    /// What the asker learns.
    type Answer;

    /// The state to keep, if it changes, and the answer. States order by what their loss would
    /// cost: the smallest of a full set is forgotten.
    fn ask(self, state: u64) -> (Option<u64>, Self::Answer);

    /// Whether a client in this state loses something when it is forgotten.
    fn in_debt(self, state: u64) -> bool;
}

/// What the table is built on; the model swaps this module for loom's.
mod sync {
    pub(super) use std::hint::spin_loop;
    pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};

    pub(super) const WAYS: usize = 8;
}

#[cfg(test)]
mod loom;
#[cfg(test)]
mod tests;
