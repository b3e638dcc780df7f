//! What a request costs in the end, once its response is known.

use super::handle::State;
use crate::algorithm::Act;
use crate::head::ResponseHead;
use crate::limiter::{MAX_POLICIES, Ruled, Rulings};
use crate::policy::Settle;
use arrayvec::ArrayVec;
use std::fmt;
use std::sync::Arc;

/// Charges that are not settled yet.
pub(crate) struct Settlement {
    state: Arc<State>,
    charged: ArrayVec<Ruled, MAX_POLICIES>,
}

impl Settlement {
    /// `None` if all stays as it was charged.
    pub(super) fn new(state: &Arc<State>, rulings: &Rulings) -> Option<Box<Self>> {
        let open = rulings.iter().filter(|ruled| {
            // A dry policy that had no room has charged nothing.
            let policy = &state.limiter.meters[ruled.policy].policy;
            ruled.ruling.verdict.allowed && !matches!(policy.requests.settle, Settle::Not)
        });
        let charged: ArrayVec<_, MAX_POLICIES> = open.copied().collect();
        (!charged.is_empty()).then(|| {
            Box::new(Self {
                state: Arc::clone(state),
                charged,
            })
        })
    }

    /// Settles what the head decides; the rest is open until the body's end, if there is any.
    pub(crate) fn at_head(mut self: Box<Self>, head: &ResponseHead<'_>) -> Option<Tally> {
        let Self { state, charged } = &mut *self;
        charged.retain(|ruled| {
            let policy = &state.limiter.meters[ruled.policy].policy;
            let Settle::Head(settle) = &policy.requests.settle else {
                return true;
            };
            settled(state, ruled, settle(head));
            false
        });
        (!charged.is_empty()).then_some(Tally {
            open: self,
            bytes: 0,
        })
    }
}

/// Bytes of a body that are charged when it ends: this is dropped then.
#[derive(Debug)]
pub(crate) struct Tally {
    open: Box<Settlement>,
    bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let cost = u32::try_from(self.bytes).unwrap_or(u32::MAX);
        for ruled in &self.open.charged {
            settled(&self.open.state, ruled, cost);
        }
    }
}

/// `cost` takes the place of what was charged.
fn settled(state: &State, ruled: &Ruled, cost: u32) {
    let charged = ruled.demand.cost;
    let act = match cost.checked_sub(charged) {
        Some(0) => return,
        Some(more) => Act::Charge(more),
        None => Act::Refund(charged - cost),
    };
    let now = state.limiter.now();
    let share = state.limiter.signal.share(now);
    let _ = state.limiter.ask(ruled, now, share, act);
}

impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settlement")
            .field("charged", &self.charged)
            .finish_non_exhaustive()
    }
}
