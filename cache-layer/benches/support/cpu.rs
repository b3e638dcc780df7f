//! Time on the processor: who waits for a busy neighbour on the machine does not spend it.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// What the calling thread has spent so far. Asking the operating system takes some hundred
/// nanoseconds.
pub fn time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
