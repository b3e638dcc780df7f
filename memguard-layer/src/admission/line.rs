//! Who waits for room, and who gets it first.
//!
//! # Order
//!
//! There are two lines: half-read bodies, and newcomers. The first of each looks for room whenever some may have come:
//! when a promise is given back, when caches gave back, and every few milliseconds, since a heap that falls tells nobody.
//! The reservation word says that somebody waits ([`Budget::bar`](super::Budget::bar)), so that those who come later find
//! no room before they have lined up, and newcomers find none while a body waits. A lost wake-up is impossible for
//! promises: whoever gives one back learns by the same atomic operation that somebody waits, and whoever waits has said so
//! before he looks.
//!
//! # No deadlock
//!
//! A half-read body keeps what it was promised while it waits for more, so bodies may wait for each other. It cannot be for
//! a newcomer: none is admitted while a body waits. If all that is promised is held by bodies that wait, nobody will give
//! anything back, and one of them ends (see [`Bodies::resolve`](crate::body::Bodies::resolve)). Whatever else is promised
//! belongs to requests that are being read, handled or answered, and to jobs of the application: they will end, and until
//! then a waiting body waits, for as long as the policy says.
//!
//! Dropping a future here leaves the line.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use super::{Asker, Budget, Demand, Patience, budget::Queue};
use crate::{
    Overloaded, OverloadedKind,
    guard::{Guard, Verdict},
};

/// How often the first in line looks for room that nobody told of.
const TICK: Duration = Duration::from_millis(10);

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A half-read body.
    Body,
    /// A request that is not admitted yet, or a job.
    Newcomer,
    /// A request that needs no room, only that the level is no longer Hard.
    Bare,
}

impl Class {
    const fn queue(self) -> Option<Queue> {
        match self {
            Self::Body => Some(Queue::Bodies),
            Self::Newcomer => Some(Queue::Newcomers),
            Self::Bare => None,
        }
    }

    /// As whom the first of the line asks for room.
    const fn first(self) -> Asker {
        match self {
            Self::Body => Asker::FirstBody,
            Self::Newcomer | Self::Bare => Asker::FirstNewcomer,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Whose turn it is among the bodies, and among the newcomers: first come, first served.
    turns: [tokio::sync::Mutex<()>; 2],
    /// How many wait, by class.
    waiting: Mutex<[usize; 3]>,
    room: Notify,
}

impl Line {
    /// There may be room.
    pub(crate) fn wake(&self) {
        self.room.notify_waiters();
    }

    /// How many wait: half-read bodies, and requests and jobs.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let [bodies, newcomers, bare] = *self.counts();
        (bodies, newcomers + bare)
    }

    fn counts(&self) -> MutexGuard<'_, [usize; 3]> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more, unless that would be more than `most`; half-read bodies always may.
    fn enter(&self, class: Class, most: usize, budget: &Budget) -> bool {
        let mut counts = self.counts();
        let others = counts[Class::Newcomer as usize] + counts[Class::Bare as usize];
        if class != Class::Body && others >= most {
            return false;
        }
        counts[class as usize] += 1;
        if let (1, Some(queue)) = (counts[class as usize], class.queue()) {
            budget.bar(queue);
        }
        true
    }

    fn leave(&self, class: Class, budget: &Budget) {
        let mut counts = self.counts();
        counts[class as usize] -= 1;
        if let (0, Some(queue)) = (counts[class as usize], class.queue()) {
            budget.unbar(queue);
        }
        drop(counts);
        // The first newcomer may have been held up by the last body.
        self.wake();
    }
}

/// One that is counted in line, until it is dropped.
pub(crate) struct Place {
    guard: Arc<Guard>,
    class: Class,
    patience: Patience,
}

impl Place {
    /// `None`: the line is full, or there is no runtime to wait in.
    pub(crate) fn take(guard: &Arc<Guard>, class: Class, patience: Patience) -> Option<Self> {
        let entered = Handle::try_current().is_ok()
            && guard
                .line()
                .enter(class, patience.max_waiting, guard.budget());
        entered.then(|| Self {
            guard: Arc::clone(guard),
            class,
            patience,
        })
    }

    /// Waits for the turn, then until `attempt` succeeds or fails for another reason than a lack of room for `wanted`
    /// bytes. After each lack `held_up` is told.
    pub(crate) async fn wait<T>(
        self,
        wanted: u64,
        mut attempt: impl FnMut(Asker) -> Result<T, Overloaded>,
        mut held_up: impl FnMut(),
    ) -> Result<T, Overloaded> {
        let (guard, line) = (&self.guard, self.guard.line());
        let deadline = Instant::now() + self.patience.wait;
        let turn = async {
            let _turn = match self.class {
                Class::Bare => None,
                class => Some(line.turns[class as usize].lock().await),
            };
            loop {
                // From here on it hears of room, so none comes between looking and waiting.
                let room = line.room.notified();
                match attempt(self.class.first()) {
                    Err(why) if why.kind == OverloadedKind::NoRoom => {
                        if !guard.evict_for(wanted) && !self.patience.insists {
                            // Caches may have made the last room since.
                            return attempt(self.class.first());
                        }
                    }
                    verdict => return verdict,
                }
                held_up();
                let _ = timeout(TICK, room).await;
            }
        };
        match timeout_at(deadline, turn).await {
            Ok(verdict) => verdict,
            Err(_) => Err(guard.no_room(wanted)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guard.line().leave(self.class, self.guard.budget());
    }
}

/// The verdict on a request that had to wait.
pub(crate) type Room = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Waits until what `demand` wants fits, as long as the policy says; the verdict, if it is not to wait.
pub(crate) fn make_room(guard: &Arc<Guard>, demand: Demand) -> Result<Room, Verdict> {
    let wanted = demand.bytes();
    let Some(patience) = guard.patience() else {
        return Err(Err(guard.no_room(wanted)));
    };
    let helped = guard.evict_for(wanted) || patience.insists;
    let class = match wanted {
        0 => Class::Bare,
        _ => Class::Newcomer,
    };
    let place = helped
        .then(|| Place::take(guard, class, patience))
        .flatten();
    let Some(place) = place else {
        // Caches may have made the last room since.
        return Err(guard.judge(&demand, guard.look().1, Asker::Newcomer));
    };
    let guard = Arc::clone(guard);
    Ok(Box::pin(async move {
        let attempt = |asker| guard.judge(&demand, guard.look().1, asker);
        place.wait(wanted, attempt, || {}).await
    }))
}
