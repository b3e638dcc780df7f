//! Who is refused most, in fixed memory: the Space-Saving algorithm (Metwally, Agrawal, El Abbadi,
//! "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005).

use crate::limiter::Client;
use arrayvec::ArrayVec;
use std::sync::{Mutex, PoisonError};

/// How many are watched: any client with more than a 64th of all refusals is among them.
const WATCHED: usize = 64;
/// Longest label, bytes.
const LABEL: usize = 128;

/// A client that is refused often; see [`RateLimitHandle::offenders`](crate::RateLimitHandle::offenders).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offender {
    /// The client, for the handle.
    pub client: Client,
    /// What its key calls it, if it does: an address, never a secret. Missing too where the client was
    /// seen but once among many others.
    pub label: Option<String>,
    /// Refused requests, at most: up to `overcounted` of them may have been another client's.
    pub refused: u64,
    /// By how much `refused` may be too large.
    pub overcounted: u64,
}

#[derive(Debug, Default)]
pub(super) struct Offenders(Mutex<Watched>);

/// Clients and their counts side by side, since each refusal looks through all of them.
#[derive(Debug, Default)]
struct Watched {
    clients: ArrayVec<u64, WATCHED>,
    refused: ArrayVec<u64, WATCHED>,
    details: ArrayVec<Details, WATCHED>,
    /// What nobody has less than, and how far the search for one who has no more has come.
    least: u64,
    searched: usize,
}

#[derive(Debug, Default)]
struct Details {
    overcounted: u64,
    label: Label,
}

#[derive(Debug, Default)]
enum Label {
    /// Of a client that may be one of many that pass through: made when it is seen again.
    #[default]
    Later,
    Known(Option<String>),
}

impl Offenders {
    /// Counts a refusal. While another thread counts one, this one is passed over: refusing must not
    /// wait, and under a flood a sample shows the same clients.
    pub(super) fn count(&self, client: u64, label: impl FnOnce() -> Option<String>) {
        if let Ok(mut watched) = self.0.try_lock() {
            watched.count(client, label);
        }
    }

    /// The first `most`, worst first.
    pub(super) fn top(&self, most: usize) -> Vec<Offender> {
        let mut top = self.0.lock().unwrap_or_else(PoisonError::into_inner).all();
        top.sort_by_key(|offender| std::cmp::Reverse(offender.refused));
        top.truncate(most);
        top
    }
}

impl Watched {
    fn count(&mut self, client: u64, label: impl FnOnce() -> Option<String>) {
        let known = || Label::Known(label().map(shortened));
        if let Some(index) = self.find(client) {
            self.refused[index] += 1;
            if let unknown @ Label::Later = &mut self.details[index].label {
                *unknown = known();
            }
            return;
        }
        if !self.clients.is_full() {
            self.clients.push(client);
            self.refused.push(1);
            self.details.push(Details {
                overcounted: 0,
                label: known(),
            });
            return;
        }
        // The one seen least gives way, and its count is the most that the newcomer can have had.
        let (index, overcounted) = self.least();
        self.clients[index] = client;
        self.refused[index] = overcounted + 1;
        self.details[index] = Details {
            overcounted,
            label: Label::Later,
        };
    }

    fn find(&self, client: u64) -> Option<usize> {
        // Most are not there: eight are compared without a branch before it is asked which one it was.
        let (eights, rest) = self.clients.as_chunks::<8>();
        let is_in = |eight: &[u64; 8]| eight.iter().fold(false, |is, one| is | (*one == client));
        let eight = eights.iter().position(is_in);
        let (start, some) = match eight {
            Some(at) => (8 * at, &eights[at][..]),
            None => (8 * eights.len(), rest),
        };
        let within = some.iter().position(|one| *one == client)?;
        Some(start + within)
    }

    /// One of those seen least, with its count, once all places are taken: some steps further on each
    /// time, as counts only ever rise.
    fn least(&mut self) -> (usize, u64) {
        loop {
            let left = self.refused[self.searched..].iter();
            if let Some(further) = left.copied().position(|count| count == self.least) {
                self.searched += further;
                return (self.searched, self.least);
            }
            self.searched = 0;
            self.least = self.refused.iter().copied().min().unwrap_or_default();
        }
    }

    fn all(&self) -> Vec<Offender> {
        let counts = self.clients.iter().zip(&self.refused).zip(&self.details);
        counts
            .map(|((client, refused), details)| Offender {
                client: Client(*client),
                label: match &details.label {
                    Label::Later => None,
                    Label::Known(label) => label.clone(),
                },
                refused: *refused,
                overcounted: details.overcounted,
            })
            .collect()
    }
}

fn shortened(mut label: String) -> String {
    let end = (0..=LABEL.min(label.len())).rev();
    let end = end.into_iter().find(|end| label.is_char_boundary(*end));
    label.truncate(end.unwrap_or(0));
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_are_found_among_many() {
        let offenders = Offenders::default();
        for round in 0..10_000_u64 {
            offenders.count(1, || Some("one".into()));
            if round % 2 == 0 {
                offenders.count(2, || None);
            }
            // A stream of clients that are refused once.
            offenders.count(1_000 + round, || Some("x".repeat(1_000)));
        }
        let top = offenders.top(2);
        assert_eq!(
            (top[0].client, top[0].label.as_deref()),
            (Client(1), Some("one"))
        );
        assert_eq!((top[1].client, top[1].label.as_deref()), (Client(2), None));
        for (offender, exact) in top.iter().zip([10_000, 5_000]) {
            let least = offender.refused - offender.overcounted;
            assert!((least..=offender.refused).contains(&exact), "{offender:?}");
        }
        let all = offenders.top(usize::MAX);
        assert_eq!(all.len(), WATCHED);
        assert!(
            all.iter()
                .all(|one| one.label.as_ref().is_none_or(|label| label.len() <= LABEL))
        );
    }
}
