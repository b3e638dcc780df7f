//! One policy's counts: its quota, and the state of each client.

use super::logs::Logs;
use super::terms::Terms;
use crate::algorithm::{Act, Gcra, Log, OneWord, Question, Verdict, Window};
use crate::counters::Counters;
use crate::error::ConfigError;
use crate::policy::{Algorithm, Policy};
use crate::quota::Quota;
use crate::table::{Asked, Place, Table};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct Meter {
    /// As it was built; its quota may have changed since.
    pub(crate) policy: Policy,
    quota: Mutex<Quota>,
    terms: Terms,
    store: Store,
    evicted_in_debt: AtomicU64,
    pub(crate) counters: Counters<2>,
}

/// The counter of requests that a policy refused, or would have refused if it were not dry.
pub(crate) const REFUSED: usize = 0;
pub(crate) const WOULD_REFUSE: usize = 1;

#[derive(Debug)]
enum Store {
    Buckets(Table),
    Windows(Table),
    Logs(Logs),
}

/// What one policy says to one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ruling {
    pub(crate) verdict: Verdict,
    unit: u64,
}

impl Ruling {
    pub(crate) fn remaining(self) -> u32 {
        u32::try_from(self.verdict.room / self.unit).unwrap_or(u32::MAX)
    }
}

impl Meter {
    pub(crate) fn new(policy: Policy, clients: usize) -> Self {
        let algorithm = policy.algorithm;
        let store = match algorithm {
            Algorithm::TokenBucket => Store::Buckets(Table::new(clients)),
            Algorithm::SlidingWindowCounter => Store::Windows(Table::new(clients)),
            Algorithm::SlidingWindowLog => {
                let (units, _) = algorithm.terms(policy.quota);
                Store::Logs(Logs::new(clients, units as usize))
            }
        };
        Self {
            quota: Mutex::new(policy.quota),
            terms: Terms::new(algorithm.terms(policy.quota)),
            policy,
            store,
            evicted_in_debt: AtomicU64::new(0),
            counters: Counters::new(),
        }
    }

    /// Asks for a client, under `share` of its quota, or of that of its tier.
    #[inline]
    pub(crate) fn ask(
        &self,
        client: u64,
        now: u64,
        act: Act,
        tier: Option<Quota>,
        share: f64,
    ) -> Ruling {
        let terms = match tier {
            None => self.terms.get(),
            Some(quota) => self.policy.algorithm.terms(quota),
        };
        match &self.store {
            Store::Buckets(table) => {
                self.ask_word(table, client, now, act, bucket_of(terms, share))
            }
            Store::Windows(table) => {
                let window = Window::of_terms(terms.0, terms.1);
                let window = if share == 1.0 {
                    window
                } else {
                    window.scaled(share)
                };
                self.ask_word(table, client, now, act, window)
            }
            Store::Logs(logs) => {
                let log = Log {
                    units: terms.0,
                    period: terms.1,
                };
                let log = if share == 1.0 { log } else { log.scaled(share) };
                self.counted(logs.ask(client, log, now, act), 1)
            }
        }
    }

    #[inline]
    fn ask_word<A: OneWord>(
        &self,
        table: &Table,
        client: u64,
        now: u64,
        act: Act,
        algorithm: A,
    ) -> Ruling {
        let question = Question {
            algorithm,
            now,
            act,
        };
        self.counted(table.ask(client, question), algorithm.unit())
    }

    #[inline]
    fn counted(&self, asked: Asked<Verdict>, unit: u64) -> Ruling {
        if asked.evicted_in_debt {
            self.evicted_in_debt.fetch_add(1, Relaxed);
        }
        Ruling {
            verdict: asked.answer,
            unit,
        }
    }

    /// Looks for the client's bucket, if this policy counts in buckets; see [`Table::place`].
    #[inline]
    pub(crate) fn bucket(&self, client: u64) -> Option<Place<'_>> {
        match &self.store {
            Store::Buckets(table) => Some(table.place(client)),
            Store::Windows(_) | Store::Logs(_) => None,
        }
    }

    /// [`ask`](Self::ask) for units of a bucket, for a client that is known; `None` if it is not.
    #[inline(always)]
    pub(crate) fn take_known(
        &self,
        bucket: Place<'_>,
        now: u64,
        cost: u32,
        share: f64,
    ) -> Option<Ruling> {
        let algorithm = bucket_of(self.terms.get(), share);
        let act = Act::Take(cost);
        let question = Question {
            algorithm,
            now,
            act,
        };
        let verdict = bucket.ask_known(question)?;
        Some(Ruling {
            verdict,
            unit: algorithm.unit(),
        })
    }

    /// Whether a tier may have this quota.
    pub(crate) fn takes(&self, quota: Quota) -> Result<(), ConfigError> {
        let algorithm = self.policy.algorithm;
        algorithm.fits(quota)?;
        match &self.store {
            Store::Logs(logs) if algorithm.terms(quota).0 > logs.units() as u64 => {
                Err(ConfigError::new(format!(
                    "a quota of {quota} cannot be kept in this log: allowed are the {} units that \
                     it was built for, or fewer",
                    logs.units()
                )))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn quota(&self) -> Quota {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets another quota, which it [`takes`](Self::takes). What clients owe stays owed, in units.
    pub(crate) fn set_quota(&self, quota: Quota, now: u64) {
        // Held to the end: one at a time.
        let mut current = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        let (old, new) = (self.terms.get(), self.policy.algorithm.terms(quota));
        // First what is owed, then the price: who comes in between pays too little, not too much.
        match &self.store {
            Store::Buckets(table) => {
                let (old, new) = (Gcra::of_terms(old.0, old.1), Gcra::of_terms(new.0, new.1));
                table.change_all(|state| old.moved(state, now, new));
            }
            Store::Windows(table) => {
                let (old, new) = (
                    Window::of_terms(old.0, old.1),
                    Window::of_terms(new.0, new.1),
                );
                table.change_all(|state| old.moved(state, now, new));
            }
            // Times stay times.
            Store::Logs(_) => {}
        }
        self.terms.set(new);
        *current = quota;
    }

    /// How long until a client that has used all has all again.
    pub(crate) fn refill(&self) -> u64 {
        self.terms.get().1
    }

    pub(crate) fn slots(&self) -> usize {
        match &self.store {
            Store::Buckets(table) | Store::Windows(table) => table.slots(),
            Store::Logs(logs) => logs.slots(),
        }
    }

    /// How many clients have used something that has not come back.
    pub(crate) fn tracked(&self, now: u64) -> usize {
        let terms = self.terms.get();
        match &self.store {
            Store::Buckets(table) => table.count(|state| state > now),
            Store::Windows(table) => {
                let window = Window::of_terms(terms.0, terms.1);
                table.count(|state| window.in_debt(state, now))
            }
            Store::Logs(logs) => logs.count(now, terms.1),
        }
    }

    pub(crate) fn evicted_in_debt(&self) -> u64 {
        self.evicted_in_debt.load(Relaxed)
    }
}

#[inline]
fn bucket_of((interval, depth): (u64, u64), share: f64) -> Gcra {
    let gcra = Gcra::of_terms(interval, depth);
    if share == 1.0 {
        gcra
    } else {
        gcra.scaled(share)
    }
}
