//! The bodies that the guard may have to end.

use std::{
    cmp::Reverse,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::Account;
/// Accounts of bodies that are large, or wait for room. The others are not worth the lock.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    listed: Mutex<Vec<Weak<Account>>>,
}

impl Bodies {
    pub(super) fn add(&self, account: &Arc<Account>) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are gone leave before the list grows, so that it is at most twice as long as it must be.
        if listed.len() == listed.capacity() {
            listed.retain(|account| account.strong_count() > 0);
        }
        listed.push(Arc::downgrade(account));
    }

    fn all(&self) -> Vec<Arc<Account>> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.iter().filter_map(Weak::upgrade).collect()
    }

    /// Ends the largest bodies that are still being read, until what they hold is `bytes` or nothing is left to end.
    pub(crate) fn end_largest(&self, bytes: u64) {
        let mut bodies = self.all();
        // What those hold that ended before is on its way out.
        let gone: u64 = bodies
            .iter()
            .filter(|account| account.ended().is_some())
            .map(|account| account.alive())
            .sum();
        bodies.retain(|account| account.is_open() && account.ended().is_none());
        bodies.sort_by_key(|account| Reverse(account.alive()));
        let mut left = bytes.saturating_sub(gone);
        for account in bodies {
            if left == 0 {
                return;
            }
            left = left.saturating_sub(account.alive());
            account.give_up();
        }
    }

    /// Ends one body if all that is promised is held by bodies that wait: then nobody gives anything back. `first` is the
    /// first of them in line, and wants `missing` bytes.
    ///
    /// The one that holds most of the budget ends, but for the first: the fewest are to end, and the line is to move. If all
    /// others together do not hold what the first lacks, it is not each other that they wait for, and none ends.
    pub(super) fn resolve(&self, first: &Arc<Account>, missing: u64) {
        let guard = first.guard();
        let mut waiting = self.all();
        waiting.retain(|account| account.waits());
        // What is promised is read last: it may have become less meanwhile, and is then held by those that wait, but not more
        // than it was.
        let held: u64 = waiting.iter().map(|account| account.promised()).sum();
        if held < guard.budget().reserved()
            || waiting.iter().any(|account| account.ended().is_some())
        {
            return;
        }
        waiting.retain(|account| !Arc::ptr_eq(account, first));
        let others: u64 = waiting
            .iter()
            .map(|account| account.promised() + account.alive())
            .sum();
        if let Some(largest) = waiting
            .iter()
            .max_by_key(|account| account.promised() + account.alive())
            && others >= guard.lacks(missing)
        {
            largest.give_up();
        }
    }
}
