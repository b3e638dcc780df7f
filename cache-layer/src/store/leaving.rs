//! Parting with many entries: what is dead, and what is to give its memory back.

use super::entering::Entered;
use super::memory::MemoryStore;
use super::policy::{Entry, Next, Policy};
use super::resource::Resource;
use crate::stats::Counter;
use std::thread;

/// How many entries leave while the books are closed to others, where no request waits; and how many
/// where some do: else many requests could keep a full memory from getting emptier.
const SLICE: usize = 64;
const SLIVER: usize = 8;

/// How many are looked at for one who leaves, before it is seen whether a request waits.
const LOOKS: usize = 8;

impl MemoryStore {
    /// Removes what is of no use to anybody any more.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        // Who goes of its own accord, with no lock held, is seldom stopped while it holds one.
        let next = |books: &mut Policy<Resource>| books.pop_useless(now, LOOKS);
        self.in_slices(u64::MAX, &self.evicted.expired, next, thread::yield_now);
    }

    /// Removes what has expired, useful or not, of so many bytes; returns what they weighed.
    pub(crate) fn drop_expired(&self, bytes: u64) -> u64 {
        let now = self.clock.now();
        let next = |books: &mut Policy<Resource>| books.pop_expired(now, LOOKS);
        self.in_slices(bytes, &self.evicted.expired, next, || ())
    }

    /// Removes what the policy values least, of so many bytes; returns what they weighed.
    pub(crate) fn part_with(&self, bytes: u64) -> u64 {
        self.evict(bytes, &self.evicted.reclaimed)
    }

    pub(super) fn evict(&self, bytes: u64, counter: &Counter) -> u64 {
        let next = |books: &mut Policy<Resource>| books.pop_coldest(LOOKS);
        self.in_slices(bytes, counter, next, || ())
    }

    /// Removes those that are so; returns what they weighed.
    pub(crate) fn remove_those(&self, so: impl Fn(&Resource) -> bool) -> u64 {
        let mut weight = 0;
        for resource in self.index.find(so).flatten() {
            if self.take_out(&resource) {
                weight += resource.weight();
            }
        }
        weight
    }

    /// Parts with one after the other, of so many bytes in all, and lets requests at the books soon after
    /// one has begun to wait for them; does something else `between` slices. Returns the bytes that they
    /// weighed.
    fn in_slices(
        &self,
        bytes: u64,
        counter: &Counter,
        next: impl Fn(&mut Policy<Resource>) -> Next<Resource>,
        between: impl Fn(),
    ) -> u64 {
        let parting = self.parting();
        let mut weight = 0;
        let mut gone = Vec::with_capacity(SLICE);
        let mut over = false;
        while !over && weight < bytes {
            let mut entered = Entered::default();
            let mut books = parting.open();
            let all = self.enter(&mut books, SLIVER, &mut entered);
            for taken in 1..=SLICE {
                match next(&mut books) {
                    Next::One(entry) => {
                        weight += entry.weight();
                        gone.push(entry);
                    }
                    Next::NotYet => {}
                    Next::Nobody => {
                        over = all;
                        break;
                    }
                }
                let enough = taken >= SLIVER && parting.is_in_the_way();
                if weight >= bytes || enough {
                    break;
                }
            }
            drop(books);
            self.see_off(&entered);
            for entry in gone.drain(..) {
                self.leave(&entry, counter);
            }
            between();
        }
        weight
    }
}
