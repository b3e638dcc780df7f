//! The way in from outside the request path.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    Level, Overloaded, OverloadedKind, Reservation,
    admission::{Asker, Class, LONGEST_WAIT, Patience, Place},
    guard::Guard,
};

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
    /// Half-read bodies that wait for room.
    pub waiting_bodies: usize,
    /// Requests and jobs that wait for room, or for [`Level::Hard`] to end.
    pub waiting: usize,
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

    /// The level as it changes: for caches that store nothing new from [`Level::Elevated`] on, as `cache_layer`'s `admit_while`
    /// lets them, or for a log.
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

    /// Whether the service should get requests: not once the level has been [`Level::Hard`] for
    /// [long](crate::MemGuardLayer::unready_after), since it refuses all of them; again as soon as it is not.
    ///
    /// For the readiness probe of a load balancer or of Kubernetes, not for a liveness probe: a process that is killed for
    /// it loses what others could still get.
    ///
    /// ```
    /// use axum::{Router, http::StatusCode, routing::get};
    /// use memguard_layer::MemGuardLayer;
    ///
    /// let guard = MemGuardLayer::new(256 << 20).exempt(|head| head.uri.path() == "/readyz");
    /// let handle = guard.handle();
    /// let readyz = move || async move {
    ///     match handle.ready() {
    ///         true => (StatusCode::OK, "ready\n"),
    ///         false => (StatusCode::SERVICE_UNAVAILABLE, "short of memory\n"),
    ///     }
    /// };
    /// let app: Router = Router::new().route("/readyz", get(readyz)).layer(guard);
    /// ```
    #[must_use]
    pub fn ready(&self) -> bool {
        self.guard.is_ready()
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
        let (waiting_bodies, waiting) = self.guard.line().waiting();
        let record = self.guard.evictor().record();
        MemGuardStats {
            level: self.level(),
            budget: self.budget(),
            source: self.source(),
            heap: self.heap(),
            reserved: self.reserved(),
            waiting_bodies,
            waiting,
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

    /// Sets `bytes` aside for a job of the application's own, if they fit beside the heap and all promises, and nobody waits
    /// for room.
    ///
    /// If they do not, reclaimers are asked in the background, so that a later try may succeed.
    #[must_use = "dropping a reservation gives its bytes back"]
    pub fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let reserved = self.reserve_as(bytes, Asker::Newcomer);
        if reserved.is_err() {
            self.guard.evict_for(bytes);
        }
        reserved.ok()
    }

    /// As [`reserve`](Self::reserve), but waits for room for up to `wait`, an hour at most, in line with requests that wait.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use memguard_layer::{MemGuardLayer, Overloaded};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Overloaded> {
    /// # let handle = MemGuardLayer::new(256 << 20).source(|| 0).handle();
    /// let room = handle.reserve_within(64 << 20, Duration::from_secs(10)).await?;
    /// // Build the index.
    /// drop(room);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If there was no room in time, or `bytes` are more than the budget. Outside a tokio runtime it does not wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line; nothing stays reserved.
    pub async fn reserve_within(
        &self,
        bytes: u64,
        wait: Duration,
    ) -> Result<Reservation, Overloaded> {
        let reserved = self.reserve_as(bytes, Asker::Newcomer);
        let patience = Patience {
            wait: wait.min(LONGEST_WAIT),
            max_waiting: usize::MAX,
            insists: true,
        };
        match reserved {
            Err(why) if why.kind == OverloadedKind::NoRoom => {
                match Place::take(&self.guard, Class::Newcomer, patience) {
                    Some(place) => {
                        let attempt = |asker| self.reserve_as(bytes, asker);
                        place.wait(bytes, attempt, || {}).await
                    }
                    None => Err(why),
                }
            }
            reserved => reserved,
        }
    }

    fn reserve_as(&self, bytes: u64, asker: Asker) -> Result<Reservation, Overloaded> {
        if bytes > self.budget() {
            return Err(self.guard.too_large(bytes));
        }
        match self.guard.reserve(bytes, asker) {
            Ok(()) => Ok(Reservation::of(Arc::clone(&self.guard), bytes)),
            Err(_) => Err(self.guard.no_room(bytes)),
        }
    }
}
