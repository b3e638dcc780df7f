//! Parting with many entries: what is dead, and what is to give its memory back.

use super::memory::MemoryStore;
use super::policy::{Coldest, Entry, Policy};
use super::resource::Resource;
use crate::stats::Counter;

/// How many entries leave while the books are closed to others.
const SLICE: usize = 64;

impl MemoryStore {
    /// Removes what is of no use to anybody any more.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        self.in_slices(u64::MAX, &self.evicted.expired, |books, _| {
            match books.pop_useless(now) {
                Some(useless) => Coldest::One(useless),
                None if books.expire(now, SLICE) => Coldest::NotYet,
                None => books.pop_useless(now).map_or(Coldest::Nobody, Coldest::One),
            }
        });
    }

    /// Removes what has expired, useful or not, of so many bytes; returns what they weighed.
    pub(crate) fn drop_expired(&self, bytes: u64) -> u64 {
        let now = self.clock.now();
        self.in_slices(bytes, &self.evicted.expired, |books, _| {
            match books.pop_expired() {
                Some(expired) => Coldest::One(expired),
                None if books.expire(now, SLICE) => Coldest::NotYet,
                None => books.pop_expired().map_or(Coldest::Nobody, Coldest::One),
            }
        })
    }

    /// Removes what the policy values least, of so many bytes; returns what they weighed.
    pub(crate) fn part_with(&self, bytes: u64) -> u64 {
        self.evict(bytes, &self.evicted.reclaimed)
    }

    pub(super) fn evict(&self, bytes: u64, counter: &Counter) -> u64 {
        self.in_slices(bytes, counter, |books, looks| books.pop_coldest(looks))
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

    /// Parts with one after the other, of so many bytes in all, and lets others at the books now and
    /// then; returns the bytes that they weighed.
    fn in_slices(
        &self,
        bytes: u64,
        counter: &Counter,
        next: impl Fn(&mut Policy<Resource>, usize) -> Coldest<Resource>,
    ) -> u64 {
        let mut weight = 0;
        let mut gone = Vec::with_capacity(SLICE);
        let mut over = false;
        while !over && weight < bytes {
            let mut books = self.books();
            for _ in 0..SLICE {
                match next(&mut books, SLICE) {
                    Coldest::One(entry) => {
                        weight += entry.weight();
                        gone.push(entry);
                    }
                    Coldest::NotYet => break,
                    Coldest::Nobody => over = true,
                }
                if over || weight >= bytes {
                    break;
                }
            }
            drop(books);
            gone.drain(..).for_each(|entry| self.leave(&entry, counter));
        }
        weight
    }
}
