//! The one clock of a limiter: nanoseconds since it was built, never 0.

use tokio::time::Instant;

/// Reading the processor's counter costs a third of asking the operating system, which alone would
/// cost more than all the rest of a check. A paused tokio clock must still move everything, so a
/// limiter that is built while that clock stands still follows it instead.
#[derive(Debug)]
pub(crate) enum Clock {
    Counter { clock: quanta::Clock, origin: u64 },
    Tokio { origin: Instant },
}

impl Clock {
    pub(crate) fn new() -> Self {
        if tokio_is_paused() {
            return Self::Tokio {
                origin: Instant::now(),
            };
        }
        let clock = quanta::Clock::new();
        let origin = clock.raw();
        Self::Counter { clock, origin }
    }

    /// Nanoseconds since the limiter was built, from 1: 0 is kept for "never".
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        let elapsed = match self {
            Self::Counter { clock, origin } => clock.delta_as_nanos(*origin, clock.raw()),
            Self::Tokio { origin } => since(*origin),
        };
        elapsed.saturating_add(1)
    }
}

#[cold]
fn since(origin: Instant) -> u64 {
    let elapsed = Instant::now().duration_since(origin);
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// tokio has no question for this. A running clock shows another time after ten microseconds on
/// every platform; a paused one does not.
fn tokio_is_paused() -> bool {
    let (before, real) = (Instant::now(), quanta::Instant::now());
    while real.elapsed().as_micros() < 10 {
        std::hint::spin_loop();
    }
    Instant::now() == before
}
