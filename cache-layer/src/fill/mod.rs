//! Fills: one request to the origin, many readers.
//!
//! # Life of a fill
//!
//! 1. **Pending.** The first request that misses a key *leads*: it puts a [`Fill`] into the table of
//!    [`Fills`] and spawns a task that owns the request to the origin. Requests for the same key
//!    that come now take a [`Seat`] at that fill and wait for its head. The leader has a seat too
//!    and is a reader like the others: it may leave, and the fill goes on.
//!    Where something stale is stored, it asks whether that still holds before it asks for the whole;
//!    where a part is, it asks for what is missing.
//! 2. **Judged.** The origin's head arrives. Before any follower may see it, the rules decide. If
//!    the answer may be shared, its head is *published* and everyone reads on. If not, the
//!    followers are *released* at once, each to the origin by itself; the answer goes to the leader
//!    alone, unbuffered, and a mark keeps requests for this key from queueing for a while. An answer
//!    that is to be asked about before each use is stored, but shared no more than that.
//!    If it was only for the leader's cookie, those who have none try once more among themselves.
//! 3. **Filling.** The task reads the body at its own pace, and readers follow at theirs, from
//!    memory: none holds back another, nor the store. New requests still join, and start at the
//!    first byte.
//! 4. **Complete.** The answer is stored first, then the last frame and the end are shown, and the
//!    fill leaves the table. A request that finds no fill looks into the store once more before it
//!    leads, so the change-over shows no gap.
//!
//! A body that outgrows the limit, or the cache's room, on the way cannot be stored. Nobody joins it
//! any more, what all readers have seen is dropped, and from then on the origin is read no faster than
//! the slowest of them; a reader that holds up others for [`PATIENCE`] is cut off. What `admit_while`
//! keeps out goes the same way from its head on, but that those who waited for it do not hold up each
//! other while it is short enough to be stored. A fill whose task
//! ends early (error, panic, shutdown) breaks: the readers' bodies end with an error, never as if
//! complete. If the origin fails, what is stored may stand in for its answer, shown in the same way.
//!
//! # Who keeps it alive
//!
//! The task. When no seat is taken any more it goes on for `fill_timeout`, for the store's sake,
//! and is dropped after that, and the request to the origin with it. A fill that nobody could join
//! (credentials, a `no-cache`, a marked key) is its leader's own errand and ends when he leaves.

mod arrival;
mod ask;
mod body;
mod judge;
mod seat;
mod table;
mod task;

pub(crate) use arrival::Arrival;
pub(crate) use ask::{Ask, Missing};
pub(crate) use judge::{Lifetimes, Question, Received, Verdict, judge};
pub(crate) use seat::{Broken, Fill, Headline, Newcomer, Seat};
pub(crate) use table::{Fills, Joined, Lead};
pub(crate) use task::{Answer, Job};

use std::time::Duration;

/// How long a reader may hold up others in a body too large to keep.
const PATIENCE: Duration = Duration::from_secs(10);
