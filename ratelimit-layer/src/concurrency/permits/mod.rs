//! Who is in and who waits: an exact count and a line per client.
//!
//! The map is as large as the number of requests in flight and in line, never more: nothing is left
//! of a client that has gone. It is split into shards so that clients seldom meet at a lock.
//!
//! # Places
//!
//! All clients together have so many places, each client has so many of its own. *One* word counts
//! the places taken, and its lowest bit says that somebody has a turn: that he waits for one of
//! these places and for nothing else. Whoever leaves learns of it by the very subtraction that
//! gives his place back, and whoever sets the bit looks for a place afterwards; so of the two at
//! least one sees the other, and no wake-up is lost. While the bit is set, newcomers line up too.
//!
//! # Lines and turns
//!
//! A client has one line, first in, first out. As long as somebody is in it and the client has a
//! place of its own left, the client has one turn in the queue of turns. A free place goes to the
//! oldest turn, and the client whose turn it was gets another one at the end: a client with a
//! thousand in line gets no more places than one with a single request.
//!
//! Places are handed over by taking a ticket out of its line. A waiter that is gone by then finds
//! that its ticket is not there, and gives the place back like everybody: the next one gets it.
//!
//! # Locks
//!
//! First the queue of turns, then one shard, never two. Without anybody waiting a request takes its
//! shard's lock alone, twice. Wakers are woken and dropped when no lock is held: both may run
//! code that comes back here.
//!
//! `loom.rs` compiles the same source against loom and explores its interleavings.

mod counts;
mod line;

pub(crate) use counts::{Full, Limits, Permit, Permits};
pub(crate) use line::Turn;

/// What the counts are built on; the model swaps this module for loom's.
mod sync {
    pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
    pub(super) use std::sync::{Mutex, MutexGuard};

    pub(super) const SHARDS: usize = 32;
}

#[cfg(test)]
mod loom;
#[cfg(test)]
mod tests;
