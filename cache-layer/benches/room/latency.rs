//! How long requests take, apart from the time for which the machine takes the processor from their thread.

use crate::support::cpu;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Latencies of one thread's requests.
pub(crate) struct Latencies {
    /// Sixteen for each power of two of nanoseconds.
    buckets: Vec<u64>,
    pub(crate) longest: Duration,
    /// The longest, without the time in which the thread could run and was not let: time on the processor,
    /// and asleep.
    pub(crate) longest_own: Duration,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; 64 * 16],
            longest: Duration::ZERO,
            longest_own: Duration::ZERO,
        }
    }

    /// Times what is done.
    pub(crate) fn time<T>(&mut self, waits: &Waits, action: impl FnOnce() -> T) -> T {
        let (done, took, own) = waits.time(action);
        let nanoseconds = (took.as_nanos() as u64).max(16);
        let power = nanoseconds.ilog2();
        let sixteenth = (nanoseconds >> (power - 4)) & 15;
        self.buckets[power as usize * 16 + sixteenth as usize] += 1;
        self.longest = self.longest.max(took);
        self.longest_own = self.longest_own.max(own);
        done
    }

    pub(crate) fn requests(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// What so great a part of them did not exceed, to a sixteenth.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let mut left = (self.requests() as f64 * part) as u64;
        let bucket = self.buckets.iter().position(|&requests| {
            let found = requests > left;
            left = left.saturating_sub(requests);
            found
        });
        let bucket = bucket.unwrap_or_default() as u64;
        let least = (16 + bucket % 16) << (bucket / 16).saturating_sub(4);
        Duration::from_nanos(least)
    }
}

/// What keeps the calling thread from running.
pub(crate) struct Waits(File);

impl Waits {
    pub(crate) fn of_this_thread() -> Self {
        Self(File::open("/proc/thread-self/schedstat").unwrap())
    }

    /// How long something takes, and how long without what others on the machine take from it.
    pub(crate) fn time<T>(&self, action: impl FnOnce() -> T) -> (T, Duration, Duration) {
        let (waited, slept, ran, start) = (self.so_far(), sleeps(), cpu::time(), Instant::now());
        let done = action();
        let (took, ran) = (start.elapsed(), cpu::time() - ran);
        let own = if sleeps() == slept {
            // All the rest was taken: by other threads, or from the whole machine by its host.
            took.min(ran)
        } else {
            took.saturating_sub(self.so_far() - waited)
        };
        (done, took, own)
    }

    /// For how long others had the processor that it could have run on.
    fn so_far(&self) -> Duration {
        let mut text = [0; 64];
        let length = self.0.read_at(&mut text, 0).unwrap();
        let text = str::from_utf8(&text[..length]).unwrap();
        let waited = text.split_whitespace().nth(1).unwrap();
        Duration::from_nanos(waited.parse().unwrap())
    }
}

/// How often the calling thread has gone to sleep, for a lock among others.
fn sleeps() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    usage.voluntary_context_switches()
}
