//! What the guard knows of its cgroup: sampled by a thread, read by requests.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{Cgroup, Room};
use crate::{
    level::Strain,
    source::{Sample, Sampler},
};

/// How often it looks. Reading `memory.stat` makes the kernel sum up over all processors: tens of microseconds, or more.
const PERIOD: Duration = Duration::from_millis(100);

/// The sample counts what is used out of this, so that it can tell how far above a ceiling the cgroup is as well.
const WHOLE: u64 = 1 << 62;

impl Room {
    /// 90 % of the limit.
    const fn ceiling(self) -> u64 {
        self.limit - self.limit / 10
    }

    /// Bytes from here to the ceiling; negative above it.
    fn left(self) -> i64 {
        let left = i128::from(self.ceiling()) - i128::from(self.used);
        // Less than 2⁶² is used of less than 2⁶², on any machine.
        i64::try_from(left).unwrap_or(i64::MIN)
    }

    /// Whether it is above its ceiling, and if it was, not 5 % below it yet.
    fn is_over(self, was: bool) -> bool {
        let ceiling = self.ceiling();
        self.used >= ceiling - if was { ceiling / 20 } else { 0 }
    }
}

/// The last look at a cgroup, and a thread that looks again.
#[derive(Debug)]
pub(crate) struct Ceiling {
    seen: Arc<Seen>,
    sampler: Sampler,
}

impl Ceiling {
    /// Looks once, and then on a thread until it is dropped.
    ///
    /// # Errors
    ///
    /// If the system has no thread for it.
    pub(crate) fn start(cgroup: Cgroup) -> io::Result<Self> {
        let seen = Arc::new(Seen::new());
        seen.look(&cgroup);
        let job = {
            let seen = Arc::clone(&seen);
            move || seen.look(&cgroup)
        };
        let sampler = Sampler::start("memguard-cgroup", PERIOD, job)?;
        Ok(Self { seen, sampler })
    }

    #[inline]
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Asks for another look soon: the last one leaves no room.
    pub(crate) fn hurry(&self) {
        self.sampler.hurry();
    }
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// `WHOLE` less the bytes that are left below the nearest ceiling.
    taken: Sample,
    strain: AtomicU8,
}

const OVER: u8 = 1;
const PRESSED: u8 = 2;

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            taken: Sample::new(),
            strain: AtomicU8::new(0),
        }
    }

    pub(super) fn look(&self, cgroup: &Cgroup) {
        let was = self.strain().over_ceiling;
        let mut over = false;
        self.taken.take(|| {
            let mut least = WHOLE.cast_signed() - 1;
            for room in cgroup.rooms() {
                over |= room.is_over(was);
                least = least.min(room.left());
            }
            WHOLE.wrapping_sub(least.cast_unsigned())
        });
        let over = if over { OVER } else { 0 };
        let pressed = if cgroup.is_pressed() { PRESSED } else { 0 };
        self.strain.store(over | pressed, Relaxed);
    }

    #[inline]
    pub(crate) fn strain(&self) -> Strain {
        let strain = self.strain.load(Relaxed);
        Strain {
            over_ceiling: strain & OVER != 0,
            pressed: strain & PRESSED != 0,
        }
    }

    /// Bytes in use as a budget of `budget` bytes would see it whose end is the ceiling.
    #[inline]
    pub(crate) fn used_of(&self, budget: u64) -> u64 {
        let left = WHOLE.wrapping_sub(self.taken.bytes()).cast_signed();
        u64::try_from(i128::from(budget) - i128::from(left)).unwrap_or(0)
    }

    /// Counts bytes that are about to leave a reservation.
    pub(crate) fn release(&self, bytes: u64) {
        self.taken.release(bytes);
    }
}
