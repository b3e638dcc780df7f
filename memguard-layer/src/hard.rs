//! What the guard does at `Hard` beside refusing: jobs on tokio's blocking threads, each with a rest after it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use crate::guard::Guard;

pub(crate) struct HardJob {
    run: Box<dyn Fn() + Send + Sync>,
    /// How long it rests, by how long it took.
    rest: Box<dyn Fn(Duration) -> Duration + Send + Sync>,
    due: Mutex<Due>,
    runs: AtomicU64,
}

#[derive(Default)]
struct Due {
    running: bool,
    /// `None` before the first run.
    from: Option<Instant>,
}

impl HardJob {
    pub(crate) fn new(
        run: impl Fn() + Send + Sync + 'static,
        rest: impl Fn(Duration) -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self {
            run: Box::new(run),
            rest: Box::new(rest),
            due: Mutex::default(),
            runs: AtomicU64::new(0),
        }
    }

    /// How often it has run.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Relaxed)
    }

    /// Runs it if it is not running or at rest, and there is a runtime for it.
    pub(crate) fn start(self: &Arc<Self>, guard: &Arc<Guard>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut due = self.due();
        let at_rest = || due.from.is_some_and(|from| Instant::now() < from);
        if due.running || at_rest() {
            return;
        }
        due.running = true;
        drop(due);
        let run = Run {
            job: Arc::clone(self),
            guard: Arc::clone(guard),
            start: Instant::now(),
        };
        runtime.spawn_blocking(move || (run.job.run)());
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for HardJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HardJob")
            .field("runs", &self.runs())
            .finish_non_exhaustive()
    }
}

/// One run; dropping it ends it, so that a job that panics, or a runtime that shuts down, does not stay under way.
struct Run {
    job: Arc<HardJob>,
    guard: Arc<Guard>,
    start: Instant,
}

impl Drop for Run {
    fn drop(&mut self) {
        let now = Instant::now();
        let rest = (self.job.rest)(now - self.start);
        self.job.runs.fetch_add(1, Relaxed);
        *self.job.due() = Due {
            running: false,
            from: Some(now + rest),
        };
        self.guard.measure().hurry();
    }
}
