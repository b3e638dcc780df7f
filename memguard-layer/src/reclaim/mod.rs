//! Asking caches to give bytes back: one round at a time, off the async workers, in short calls, and not again soon if it
//! was in vain.

mod record;
mod slice;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    thread,
};

use tokio::{runtime::Handle, time::Instant};

use self::{
    record::{Outcome, Record},
    slice::Slice,
};
use crate::guard::Guard;

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
    state: Mutex<State>,
}

impl Evictor {
    pub(crate) fn add(&self, reclaimer: Reclaimer) {
        self.reclaimers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(reclaimer);
    }

    pub(crate) fn record(&self) -> Record {
        self.state().record
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reclaimers(&self) -> RwLockReadGuard<'_, Vec<Reclaimer>> {
        self.reclaimers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that a round is under way for what is to come off a heap of so many bytes, and says whether one is: not
    /// without reclaimers, outside a tokio runtime, for no bytes, or soon after a round in vain.
    pub(crate) fn start(&self, guard: &Arc<Guard>, ask: u64, heap: u64) -> bool {
        if ask == 0 || self.reclaimers().is_empty() {
            return false;
        }
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let mut state = self.state();
        if state.running {
            return true;
        }
        if state.record.is_paused(Instant::now()) {
            return false;
        }
        state.running = true;
        drop(state);
        let round = Round {
            guard: Arc::clone(guard),
            outcome: Outcome {
                asked: ask,
                ..Outcome::default()
            },
        };
        let reclaimers = self.reclaimers().clone();
        runtime.spawn_blocking(move || round.run(&reclaimers, heap));
        true
    }

    /// Memory is not short any more.
    pub(crate) fn forget(&self) {
        self.state().record.forget();
    }
}

impl fmt::Debug for Evictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evictor")
            .field("state", &*self.state())
            .finish_non_exhaustive()
    }
}

/// One round. Dropping it ends it, so a reclaimer that panics or a runtime that shuts down leaves nobody waiting.
struct Round {
    guard: Arc<Guard>,
    outcome: Outcome,
}

impl Round {
    fn run(mut self, reclaimers: &[Reclaimer], heap: u64) {
        let before = self.guard.measure().fresh();
        // A round that ended while this one was asked for has freed it already.
        let fell = heap.saturating_sub(before);
        self.outcome.asked = self.outcome.asked.saturating_sub(fell);
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
            self.guard.line().wake();
            // Whoever waits for what the reclaimer locks comes first.
            thread::yield_now();
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let mut state = self.guard.evictor().state();
        state.running = false;
        if self.outcome.asked > 0 {
            state.record = state.record.after(self.outcome, Instant::now());
        }
        drop(state);
        self.guard.line().wake();
    }
}
