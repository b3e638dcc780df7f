//! Asking caches to give bytes back: one round at a time, off the async workers, in short calls, and not again soon if it
//! was in vain.

mod record;
mod slice;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    thread,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout_at},
};

use self::{
    record::{Outcome, Record},
    slice::Slice,
};
use crate::{
    OverloadedKind,
    admission::Demand,
    guard::{Guard, Verdict},
};

/// The longest a request waits for room, over all rounds.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(250);

type Reclaimer = Arc<dyn Fn(u64) -> u64 + Send + Sync>;

/// Past rounds, and whether one is under way.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    running: bool,
    record: Record,
}

#[derive(Default)]
pub(crate) struct Evictor {
    /// In order of priority.
    reclaimers: RwLock<Vec<Reclaimer>>,
    /// Told of the end of each round.
    state: watch::Sender<State>,
}

impl Evictor {
    pub(crate) fn add(&self, reclaimer: Reclaimer) {
        self.reclaimers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(reclaimer);
    }

    pub(crate) fn record(&self) -> Record {
        self.state.borrow().record
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
        self.state.send_if_modified(|state| {
            if !state.running {
                ours = !state.record.is_paused(Instant::now());
                (running, state.running) = (ours, ours);
            }
            // Only the end of a round is news.
            false
        });
        if ours {
            let round = Round {
                guard: Arc::clone(guard),
                outcome: Outcome {
                    asked: ask,
                    ..Outcome::default()
                },
            };
            let reclaimers = self.reclaimers().clone();
            runtime.spawn_blocking(move || round.run(&reclaimers));
        }
        running
    }

    /// Memory is not short any more.
    pub(crate) fn forget(&self) {
        self.state.send_if_modified(|state| {
            state.record.forget();
            false
        });
    }
}

impl fmt::Debug for Evictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evictor")
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

/// One round. Dropping it ends it, so a reclaimer that panics or a runtime that shuts down leaves nobody waiting.
struct Round {
    guard: Arc<Guard>,
    outcome: Outcome,
}

impl Round {
    fn run(mut self, reclaimers: &[Reclaimer]) {
        let before = self.guard.measure().fresh();
        for reclaim in reclaimers {
            self.ask(reclaim);
        }
        self.outcome.fell = before.saturating_sub(self.guard.measure().fresh());
    }

    /// Asks one reclaimer for what is left to free, slice by slice, until it gives less than a tenth of a slice.
    fn ask(&mut self, reclaim: &Reclaimer) {
        let mut slice = Slice::FIRST;
        loop {
            let rest = self.outcome.asked.saturating_sub(self.outcome.freed);
            let want = rest.min(slice.0);
            if want == 0 {
                return;
            }
            let start = Instant::now();
            let freed = reclaim(want);
            self.outcome.freed = self.outcome.freed.saturating_add(freed);
            if freed < want.div_ceil(10) {
                return;
            }
            slice = slice.after(start.elapsed());
            // Whoever waits for what the reclaimer locks comes first.
            thread::yield_now();
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.guard.evictor().state.send_modify(|state| {
            state.running = false;
            state.record = state.record.after(self.outcome, Instant::now());
        });
    }
}

/// The verdict on a request that had to wait.
pub(crate) type Room = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Waits for rounds of reclaim until what `demand` wants fits, a round is in vain, or [`LONGEST_WAIT`] is over; `None` if
/// there is nothing to wait for. Holds nothing while it waits.
pub(crate) fn make_room(guard: &Arc<Guard>, demand: Demand) -> Option<Room> {
    // Before the round starts, so that its end cannot be missed.
    let mut rounds = guard.evictor().state.subscribe();
    if !guard.evict_for(demand.bytes()) {
        return None;
    }
    let guard = Arc::clone(guard);
    Some(Box::pin(async move {
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            let in_time = timeout_at(deadline, rounds.changed()).await.is_ok();
            match guard.admit_after_reclaim(&demand) {
                Err(why)
                    if in_time
                        && why.kind == OverloadedKind::NoRoom
                        && guard.evict_for(demand.bytes()) => {}
                verdict => return verdict,
            }
        }
    }))
}
