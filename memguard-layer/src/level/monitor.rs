//! Looks at the heap while nobody else does, as long as the level is above Normal.
//!
//! Every request looks, so a level rises without it. But what caches give back and when the level falls must not wait for
//! a request that, at `Hard` or once a load balancer has turned away, does not come.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, time::sleep};

use super::Level;
use crate::guard::Guard;

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(100);

/// Whether a task looks after the guard.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    on: AtomicBool,
}

impl Monitor {
    /// Sees to it that a task looks after `guard`, if there is a runtime for it.
    #[inline]
    pub(crate) fn ensure(&self, guard: &Arc<Guard>) {
        if !self.on.load(Relaxed) {
            self.start(guard);
        }
    }

    #[cold]
    fn start(&self, guard: &Arc<Guard>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.on.swap(true, Relaxed) {
            let watched = Watched(Arc::downgrade(guard));
            runtime.spawn(look_after(watched, guard.watch_level()));
        }
    }
}

/// Ends with the guard. At Normal it waits for another level, without a timer.
async fn look_after(guard: Watched, mut level: watch::Receiver<Level>) {
    while level.wait_for(|level| *level > Level::Normal).await.is_ok() {
        sleep(PERIOD).await;
        let Some(guard) = guard.0.upgrade() else {
            return;
        };
        guard.tend();
    }
}

/// Dropped when the task ends, for one with its runtime: the next runtime may start another.
struct Watched(Weak<Guard>);

impl Drop for Watched {
    fn drop(&mut self) {
        // Without a timer in the runtime the next task would panic as this one did.
        if !thread::panicking()
            && let Some(guard) = self.0.upgrade()
        {
            guard.monitor().on.store(false, Relaxed);
        }
    }
}
