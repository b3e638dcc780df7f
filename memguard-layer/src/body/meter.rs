//! What the frames of a body cost, and what is promised for those to come.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;

use super::Account;
use crate::{
    Overloaded, OverloadedKind,
    admission::{Asker, Class, Demand, Need, Place},
};

/// A body that holds so much is worth to be ended by the guard.
const LARGE: u64 = 64 << 10;

/// The promise of one body: what its coming frames will cost.
#[derive(Debug)]
pub(crate) struct Meter {
    account: Arc<Account>,
    /// For all frames to come, or, if their number is unknown, for what the connection may read ahead.
    ahead: u64,
    /// Whether `ahead` is for the body's whole length; otherwise frames add their own.
    whole: bool,
    factor: u64,
    /// Whether the guard knows of the body.
    listed: bool,
}

/// Ready when there is room, or will be none.
pub(super) type Wait = Pin<Box<dyn Future<Output = Result<(), Overloaded>> + Send + Sync>>;

impl Meter {
    /// For a body that `demand` was made for, and that is alone in its account.
    pub(crate) fn new(account: Arc<Account>, demand: &Demand) -> Self {
        Self {
            ahead: account.promised(),
            account,
            whole: matches!(demand.need, Need::Whole(_)),
            factor: demand.factor.into(),
            listed: false,
        }
    }

    pub(super) const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether somebody is to be woken when the guard ends the body.
    pub(super) const fn listed(&self) -> bool {
        self.listed
    }

    /// The cost of copies of `length` bytes, and what of it is not promised yet.
    fn cost(&self, length: u64) -> (u64, u64) {
        let copies = length.saturating_mul(self.factor.saturating_sub(1));
        let promised = if self.whole {
            self.ahead.min(copies)
        } else {
            0
        };
        (copies, copies - promised)
    }

    /// Whether the copies of a frame are promised now.
    pub(super) fn covers(&self, length: u64) -> bool {
        self.account.grow(self.cost(length).1, Asker::Body)
    }

    /// Moves a frame that is [covered](Self::covers), and is in the heap by now, from promised to counted. The promise for
    /// its copy is tied to it; that for what is made of the copy outlives it.
    pub(super) fn carry(&mut self, data: Bytes) -> Bytes {
        let length = data.len() as u64;
        let (copies, missing) = self.cost(length);
        self.ahead -= copies - missing;
        let copy = length.min(copies);
        let data = self.account.carry(data, copy);
        self.account.keep(copies - copy);
        if self.whole {
            let arrived = length.min(self.ahead);
            self.ahead -= arrived;
            self.account.release(arrived);
        }
        if self.account.alive() >= LARGE {
            self.list();
        }
        data
    }

    /// Waits until a frame is covered, as long as the policy says.
    ///
    /// # Errors
    ///
    /// If it is not to wait.
    pub(super) fn wait(&mut self, length: u64) -> Result<Wait, Overloaded> {
        let guard = self.account.guard();
        let missing = self.cost(length).1;
        let shortage = self.shortage(length);
        let place = guard
            .patience()
            .filter(|patience| guard.evict_for(missing) || patience.insists)
            .filter(|_| shortage.kind == OverloadedKind::NoRoom)
            .and_then(|patience| Place::take(guard, Class::Body, patience));
        let Some(place) = place else {
            return Err(shortage);
        };
        self.list();
        let waiting = Waiting::of(&self.account);
        // If all wait for each other now, it is the first in line that sees it.
        self.account.guard().line().wake();
        Ok(Box::pin(async move {
            let account = &waiting.0;
            let attempt = |asker| match account.grow(missing, asker) {
                true => Ok(()),
                false => Err(shortage.clone()),
            };
            let held_up = || account.guard().bodies().resolve(account, missing);
            place.wait(missing, attempt, held_up).await
        }))
    }

    /// Why there is no room for a frame.
    fn shortage(&self, length: u64) -> Overloaded {
        let guard = self.account.guard();
        // A body that is held frame by frame and fills the budget alone will not fit next time either.
        let frames = self.account.alive().saturating_add(length);
        let ahead = if self.whole { 0 } else { self.ahead };
        let alone = frames.saturating_mul(self.factor).saturating_add(ahead);
        let wanted = length.saturating_mul(self.factor);
        match alone > guard.budget().bytes() {
            true => guard.too_large(wanted),
            false => guard.no_room(wanted),
        }
    }

    /// Makes the body known to the guard.
    fn list(&mut self) {
        if !self.listed {
            self.listed = true;
            self.account.guard().bodies().add(&self.account);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.account.close(self.ahead);
    }
}

/// Marks an account as one that waits.
struct Waiting(Arc<Account>);

impl Waiting {
    fn of(account: &Arc<Account>) -> Self {
        account.set_waits(true);
        Self(Arc::clone(account))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set_waits(false);
    }
}
