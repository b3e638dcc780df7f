//! The one clock of a limiter, in nanoseconds.

use tokio::time::Instant;

/// Reading the processor's counter costs a third of asking the operating system, which alone would
/// cost more than all the rest of a check. A paused tokio clock must still move everything, so a
/// limiter that is built while that clock stands still follows it instead.
#[derive(Debug)]
pub(crate) enum Clock {
    Counter {
        clock: quanta::Clock,
        origin: u64,
        /// Nanoseconds in 2³² ticks.
        scale: u64,
    },
    Tokio {
        origin: Instant,
    },
}

impl Clock {
    pub(crate) fn new() -> Self {
        if tokio_is_paused() {
            return Self::Tokio {
                origin: Instant::now(),
            };
        }
        let clock = quanta::Clock::new();
        let scale = clock.delta_as_nanos(0, 1 << 32);
        // A second ago: who reads the counter of another processor, a little behind, is not before it.
        let second = (1_000_000_000_u128 << 32) / u128::from(scale);
        let origin = clock.raw().wrapping_sub(second as u64);
        Self::Counter {
            clock,
            origin,
            scale,
        }
    }

    /// Nanoseconds since shortly before the limiter was built, never 0: that is kept for "never".
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Counter {
                clock,
                origin,
                scale,
            } => {
                let ticks = clock.raw().wrapping_sub(*origin);
                ((u128::from(ticks) * u128::from(*scale)) >> 32) as u64
            }
            Self::Tokio { origin } => since(*origin),
        }
    }
}

#[cold]
fn since(origin: Instant) -> u64 {
    let elapsed = Instant::now().duration_since(origin);
    u64::try_from(elapsed.as_nanos())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
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
