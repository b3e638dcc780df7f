//! Asking caches to give bytes back: one round at a time, off the async workers, and not again soon if it was in vain.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{Overloaded, OverloadedKind, Reservation, admission::Need, guard::Guard};

/// The longest a request waits for room, over all rounds.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// How long nobody is asked after a round in vain.
const PAUSE: Duration = Duration::from_secs(1);

type Reclaimer = Arc<dyn Fn(u64) -> u64 + Send + Sync>;

/// What past rounds came to, and whether one is under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    running: bool,
    paused_until: Option<Instant>,
    pub(crate) rounds: u64,
    pub(crate) in_vain: u64,
    pub(crate) freed: u64,
}

#[derive(Default)]
pub(crate) struct Evictor {
    /// In order of priority.
    reclaimers: RwLock<Vec<Reclaimer>>,
    /// Told of the end of each round.
    tally: watch::Sender<Tally>,
}

impl Evictor {
    pub(crate) fn add(&self, reclaimer: Reclaimer) {
        self.reclaimers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(reclaimer);
    }

    pub(crate) fn tally(&self) -> Tally {
        *self.tally.borrow()
    }

    fn reclaimers(&self) -> RwLockReadGuard<'_, Vec<Reclaimer>> {
        self.reclaimers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that a round is under way, and says whether one is: not without reclaimers, outside a tokio runtime,
    /// for no bytes, or soon after a round in vain.
    pub(crate) fn start(&self, guard: &Arc<Guard>, ask: u64) -> bool {
        if ask == 0 || self.reclaimers().is_empty() {
            return false;
        }
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let mut running = true;
        let mut ours = false;
        self.tally.send_if_modified(|tally| {
            if !tally.running {
                running = tally
                    .paused_until
                    .is_none_or(|until| Instant::now() >= until);
                ours = running;
                tally.running = running;
            }
            // Only the end of a round is news.
            false
        });
        if ours {
            let round = Round {
                guard: Arc::clone(guard),
                ask,
                freed: 0,
            };
            let reclaimers = self.reclaimers().clone();
            runtime.spawn_blocking(move || round.run(&reclaimers));
        }
        running
    }
}

impl fmt::Debug for Evictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evictor")
            .field("tally", &self.tally())
            .finish_non_exhaustive()
    }
}

/// One round. Dropping it ends it, so a reclaimer that panics or a runtime that shuts down leaves nobody waiting.
struct Round {
    guard: Arc<Guard>,
    ask: u64,
    freed: u64,
}

impl Round {
    fn run(mut self, reclaimers: &[Reclaimer]) {
        let before = self.guard.heap();
        let mut reported = 0_u64;
        for reclaim in reclaimers {
            let rest = self.ask.saturating_sub(reported);
            if rest == 0 {
                break;
            }
            reported = reported.saturating_add(reclaim(rest));
        }
        // Bytes that do not come off the source are no help, whatever a cache says of them.
        self.freed = reported.min(before.saturating_sub(self.guard.heap()));
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let in_vain = self.freed < self.ask.div_ceil(10);
        self.guard.evictor().tally.send_modify(|tally| {
            tally.running = false;
            tally.rounds += 1;
            tally.in_vain += u64::from(in_vain);
            tally.freed = tally.freed.saturating_add(self.freed);
            tally.paused_until = in_vain.then(|| Instant::now() + PAUSE);
        });
    }
}

/// The verdict on a request that had to wait.
pub(crate) type Room =
    Pin<Box<dyn Future<Output = Result<Option<Reservation>, Overloaded>> + Send>>;

/// Waits for rounds of reclaim until `need` fits, a round is in vain, or [`LONGEST_WAIT`] is over; `None` if there is
/// nothing to wait for. Holds nothing while it waits.
pub(crate) fn make_room(guard: &Arc<Guard>, need: Need) -> Option<Room> {
    // Before the round starts, so that its end cannot be missed.
    let mut rounds = guard.evictor().tally.subscribe();
    if !guard.evict_for(need) {
        return None;
    }
    let guard = Arc::clone(guard);
    Some(Box::pin(async move {
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            let in_time = timeout_at(deadline, rounds.changed()).await.is_ok();
            match guard.admit_after_reclaim(need) {
                Err(why)
                    if in_time && why.kind == OverloadedKind::NoRoom && guard.evict_for(need) => {}
                verdict => return verdict,
            }
        }
    }))
}
