//! The bodies that the guard may have to end.

use std::sync::{Arc, Mutex, PoisonError, Weak};

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
