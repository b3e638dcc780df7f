//! The way in from outside the request path.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{Level, Reservation, guard::Guard};

/// Reads a guard's figures and reserves from its budget; clones are the same guard.
#[derive(Clone, Debug)]
pub struct MemGuardHandle {
    guard: Arc<Guard>,
}

/// A guard's figures at one moment; bytes and counts since the start.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MemGuardStats {
    /// The level by the heap.
    pub level: Level,
    /// The budget, in bytes.
    pub budget: u64,
    /// What the heap is measured by: see [`MemGuardHandle::source`].
    pub source: &'static str,
    /// Bytes in use, by the source.
    pub heap: u64,
    /// Bytes promised and not in the heap yet.
    pub reserved: u64,
    /// Whether the cgroup is over its [ceiling](crate::cgroup), and the level `Hard` for that.
    pub over_ceiling: bool,
    /// Whether the tasks of the cgroup wait for memory, and the level is one higher for that.
    pub pressed: bool,
    /// How often the allocator has been [purged](crate::MemGuardLayer::purge_with).
    pub purges: u64,
    /// Requests refused, for whatever reason.
    pub rejected: u64,
    /// Requests among them whose body the guard ended midway.
    pub bodies_ended: u64,
    /// Rounds of reclaim that have ended.
    pub reclaim_rounds: u64,
    /// Rounds among them in vain: they freed less than a tenth of what was asked.
    pub reclaim_in_vain: u64,
    /// Bytes that all rounds freed, by the account of the reclaimers.
    pub reclaimed: u64,
}

impl MemGuardHandle {
    pub(crate) const fn of(guard: Arc<Guard>) -> Self {
        Self { guard }
    }

    /// The level by the heap at this moment.
    #[must_use]
    pub fn level(&self) -> Level {
        self.guard.look().1
    }

    /// The level as it changes: for caches that stop growing from [`Level::Elevated`] on, or for a log.
    ///
    /// It rises with the request, body or handle that sees the heap rise; a task on the current tokio runtime sees it fall.
    ///
    /// ```
    /// # use memguard_layer::{Level, MemGuardLayer};
    /// let guard = MemGuardLayer::new(256 << 20);
    /// let level = guard.handle().watch();
    /// let may_store = move || *level.borrow() < Level::Elevated;
    /// # assert!(may_store());
    /// ```
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Level> {
        self.guard.watch_level()
    }

    /// Bytes in use at this moment, by the source.
    #[must_use]
    pub fn heap(&self) -> u64 {
        self.guard.heap()
    }

    /// What the heap is measured by: the [name](crate::Source::name) of the source that was set, or was found first.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.guard.measure().name()
    }

    /// Bytes promised and not in the heap yet.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.guard.budget().reserved()
    }

    /// The budget, in bytes.
    #[must_use]
    pub fn budget(&self) -> u64 {
        self.guard.budget().bytes()
    }

    /// Requests refused since the start.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.guard.rejected()
    }

    /// All figures; each is read on its own, so they may be of slightly different moments.
    #[must_use]
    pub fn stats(&self) -> MemGuardStats {
        let strain = self.guard.measure().strain();
        let record = self.guard.evictor().record();
        MemGuardStats {
            level: self.level(),
            budget: self.budget(),
            source: self.source(),
            heap: self.heap(),
            reserved: self.reserved(),
            over_ceiling: strain.over_ceiling,
            pressed: strain.pressed,
            purges: self.guard.purges(),
            rejected: self.rejected(),
            bodies_ended: self.guard.ended(),
            reclaim_rounds: record.rounds,
            reclaim_in_vain: record.in_vain,
            reclaimed: record.freed,
        }
    }

    /// Sets `bytes` aside for a job of the application's own, if they fit beside the heap and all promises.
    ///
    /// If they do not, reclaimers are asked in the background, so that a later try may succeed.
    #[must_use = "dropping a reservation gives its bytes back"]
    pub fn reserve(&self, bytes: u64) -> Option<Reservation> {
        if self.guard.reserve(bytes).is_ok() {
            return Some(Reservation::of(Arc::clone(&self.guard), bytes));
        }
        self.guard.evict_for(bytes);
        None
    }
}
