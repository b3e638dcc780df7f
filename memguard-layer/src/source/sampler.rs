//! A thread that does a job now and then, and ends with whoever started it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// The least time between two runs, so that a job of 50 µs takes at most a hundredth of a processor.
pub(super) const GAP: Duration = Duration::from_millis(5);

/// Dropping it ends the thread, at once unless the job is running.
#[derive(Debug)]
pub(crate) struct Sampler {
    hurry: SyncSender<()>,
}

impl Sampler {
    /// Does `job` each `period`, and soon after each [`hurry`](Self::hurry).
    ///
    /// A thread rather than a task: it needs no runtime, and handlers that block one do not hold it up.
    ///
    /// # Errors
    ///
    /// If the system has no thread for it.
    pub(crate) fn start(
        name: &str,
        period: Duration,
        mut job: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let (hurry, hurried) = sync_channel(1);
        let wait = period.saturating_sub(GAP);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while !matches!(
                    hurried.recv_timeout(wait),
                    Err(RecvTimeoutError::Disconnected)
                ) {
                    // A job that panics has said so; the next may succeed, and without one the figures would stand still.
                    let _ = catch_unwind(AssertUnwindSafe(&mut job));
                    thread::sleep(GAP);
                }
            })?;
        Ok(Self { hurry })
    }

    /// Asks for a run soon; costs nothing if one has been asked for.
    pub(crate) fn hurry(&self) {
        // Full: somebody else has asked.
        let _ = self.hurry.try_send(());
    }
}
