//! What all services, bodies and handles of one layer share.

mod setup;

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::{
    Level, Overloaded, OverloadedKind, Reservation,
    admission::{Asker, Budget, Demand, Line, Patience, Policy, Priority, Short, is_shed},
    body::Bodies,
    hard::HardJob,
    level::{Gauge, Monitor, Thresholds},
    reclaim::Evictor,
    rejection::jittered,
    source::{Choice, Measure},
};

/// What a request gets: room for what it needs, maybe for nothing.
pub(crate) type Verdict = Result<Reservation, Overloaded>;

pub(crate) struct Guard {
    budget: Budget,
    gauge: Gauge,
    monitor: Monitor,
    start: Instant,
    /// What the measure is made of, until the first reading.
    choice: Mutex<Option<Choice>>,
    measure: OnceLock<Measure>,
    evictor: Evictor,
    policy: Policy,
    line: Line,
    bodies: Bodies,
    /// Whether bodies are ended at `Hard`.
    ends_bodies: bool,
    unready_after: Duration,
    /// Started at `Hard`.
    purges: Vec<Arc<HardJob>>,
    /// Likewise.
    profiles: Option<Arc<HardJob>>,
    retry_after: Duration,
    retry_jitter: Duration,
    rejected: AtomicU64,
    ended: AtomicU64,
}

impl Guard {
    pub(crate) fn new(budget: u64) -> Self {
        Self {
            budget: Budget::new(budget),
            gauge: Gauge::new(budget, &Thresholds::new()),
            monitor: Monitor::default(),
            start: Instant::now(),
            choice: Mutex::new(Some(Choice::default())),
            measure: OnceLock::new(),
            evictor: Evictor::default(),
            policy: Policy::default(),
            line: Line::default(),
            bodies: Bodies::default(),
            ends_bodies: true,
            unready_after: Duration::from_secs(10),
            purges: Vec::new(),
            profiles: None,
            retry_after: Duration::from_secs(1),
            retry_jitter: Duration::from_secs(2),
            rejected: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    pub(crate) const fn evictor(&self) -> &Evictor {
        &self.evictor
    }

    pub(crate) const fn patience(&self) -> Option<Patience> {
        self.policy.patience()
    }

    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }

    pub(crate) const fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
    }

    #[inline]
    pub(crate) fn measure(&self) -> &Measure {
        self.measure.get_or_init(|| self.settle())
    }

    #[cold]
    fn settle(&self) -> Measure {
        let choice = self
            .choice
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let measure = Measure::from(choice.unwrap_or_default());
        #[cfg(feature = "tracing")]
        tracing::info!(
            source = measure.name(),
            budget = self.budget.bytes(),
            "memory is guarded"
        );
        measure
    }

    #[inline]
    pub(crate) fn heap(&self) -> u64 {
        self.measure().bytes()
    }

    /// The heap, and the level by it.
    #[inline]
    pub(crate) fn look(self: &Arc<Self>) -> (u64, Level) {
        let heap = self.heap();
        let level = self
            .gauge
            .observe(heap, self.measure().strain(), || self.start.elapsed());
        if level > Level::Normal {
            self.monitor.ensure(self);
            if level == Level::Hard {
                self.start_hard_jobs();
            }
        }
        (heap, level)
    }

    #[cold]
    fn start_hard_jobs(self: &Arc<Self>) {
        // What made it Hard is seen best before anything is purged.
        for job in self.profiles.iter().chain(&self.purges) {
            job.start(self);
        }
    }

    /// How often the allocator has been purged.
    pub(crate) fn purges(&self) -> u64 {
        self.purges.iter().map(|purge| purge.runs()).sum()
    }

    pub(crate) fn watch_level(&self) -> watch::Receiver<Level> {
        self.gauge.watch()
    }

    pub(crate) const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Looks, and does what the level asks for.
    pub(crate) fn tend(self: &Arc<Self>) {
        let (heap, level) = self.look();
        if level < Level::Soft {
            self.evictor.forget();
        }
        let helped = self.relieve(heap, level);
        if level == Level::Hard && !helped && self.ends_bodies {
            self.bodies.end_largest(self.gauge.above_hard(heap));
        }
    }

    pub(crate) fn is_ready(self: &Arc<Self>) -> bool {
        let (_, level) = self.look();
        level < Level::Hard || self.gauge.stay(self.start.elapsed()) < self.unready_after
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }

    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Relaxed)
    }

    pub(crate) fn count_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_ended(&self) {
        self.ended.fetch_add(1, Relaxed);
        self.count_rejected();
    }

    /// Promises `bytes` if they fit and nobody is to go first, whatever the level; the caller owes their release.
    pub(crate) fn reserve(&self, bytes: u64, asker: Asker) -> Result<(), Short> {
        let heap = || self.measure().bytes_of(self.budget.bytes());
        let reserved = self.budget.reserve(bytes, asker, heap);
        if reserved.is_err() {
            self.measure().hurry();
        }
        reserved
    }

    /// Takes `bytes` of a promise back.
    #[inline]
    pub(crate) fn release(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        // Whoever sees the smaller promise must see the larger measure.
        self.measure().release(bytes);
        if self.budget.release(bytes) {
            self.line.wake();
        }
    }

    /// How far the budget is too small for `bytes` more.
    pub(crate) fn lacks(&self, bytes: u64) -> u64 {
        let heap = self.measure().bytes_of(self.budget.bytes());
        let used = heap.saturating_add(self.budget.reserved());
        used.saturating_add(bytes)
            .saturating_sub(self.budget.bytes())
    }

    /// Admits a request that fits, starts a round of reclaim behind its back if memory is getting short.
    #[inline]
    pub(crate) fn admit(self: &Arc<Self>, demand: &Demand) -> Verdict {
        let (heap, level) = self.look();
        if demand.priority == Priority::Low && self.sheds(demand, heap) {
            return Err(self.overloaded(OverloadedKind::Shed, level, demand.bytes()));
        }
        let verdict = self.judge(demand, level, Asker::Newcomer);
        if verdict.is_ok() {
            self.relieve(heap, level);
        }
        verdict
    }

    /// Whether a request is given up for others that may come. Not while caches have something to give, and not if it can
    /// never fit, which is another answer.
    fn sheds(self: &Arc<Self>, demand: &Demand, heap: u64) -> bool {
        let used = match demand.bytes() {
            // It needs no room; whether it finds any is not the question.
            0 => heap,
            wanted if wanted > self.budget.bytes() => return false,
            wanted => heap.saturating_add(self.budget.reserved() + wanted),
        };
        let span = self.gauge.shedding();
        is_shed(demand.priority, used, &span, fastrand::u64(..))
            && !self.evictor.start(self, used - span.start, heap)
    }

    /// Starts a round of reclaim if memory is getting short, and says whether one is under way.
    fn relieve(self: &Arc<Self>, heap: u64, level: Level) -> bool {
        level >= Level::Soft
            && self
                .evictor
                .start(self, self.gauge.above_target(heap), heap)
    }

    #[inline]
    pub(crate) fn judge(self: &Arc<Self>, demand: &Demand, level: Level, asker: Asker) -> Verdict {
        let wanted = demand.bytes();
        let refused = |kind| Err(self.overloaded(kind, level, wanted));
        if demand.need.bytes() > self.budget.bytes() {
            return refused(OverloadedKind::TooLarge);
        }
        if level == Level::Hard {
            return refused(OverloadedKind::NoRoom);
        }
        if wanted > 0 && self.reserve(wanted, asker).is_err() {
            return refused(OverloadedKind::NoRoom);
        }
        Ok(Reservation::of(Arc::clone(self), wanted))
    }

    /// Starts or joins a round that makes room for `wanted` bytes; false if none is to be had.
    pub(crate) fn evict_for(self: &Arc<Self>, wanted: u64) -> bool {
        let heap = self.heap();
        let ask = self.lacks(wanted).max(self.gauge.above_target(heap));
        self.evictor.start(self, ask, heap)
    }

    pub(crate) fn no_room(self: &Arc<Self>, wanted: u64) -> Overloaded {
        self.overloaded(OverloadedKind::NoRoom, self.look().1, wanted)
    }

    pub(crate) fn too_large(self: &Arc<Self>, wanted: u64) -> Overloaded {
        self.overloaded(OverloadedKind::TooLarge, self.look().1, wanted)
    }

    fn overloaded(&self, kind: OverloadedKind, level: Level, wanted: u64) -> Overloaded {
        let retry_after = jittered(self.retry_after, self.retry_jitter, fastrand::u64(..));
        Overloaded {
            kind,
            level,
            wanted,
            budget: self.budget.bytes(),
            retry_after,
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("budget", &self.budget)
            .field("gauge", &self.gauge)
            .finish_non_exhaustive()
    }
}
