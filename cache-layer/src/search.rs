//! Which queries ask for the same (No-Vary-Search): what answers have said of their paths.
//!
//! A rule is learnt from an answer, and holds for its path, and for what else is part of its key, until
//! another answer says otherwise. Keys
//! made by it carry a number that no other rule has: what was stored by an older one is out of reach
//! for ever, so nobody has to remember it when its target is invalidated.

use crate::key::Key;
use crate::rfc9111::no_vary_search::Rule;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Paths of which a rule is remembered; the others' queries count to the letter.
const MOST: u64 = 4096;

/// A rule, as it was learnt.
#[derive(Debug)]
pub(crate) struct Learnt {
    pub(crate) rule: Rule,
    pub(crate) number: u64,
}

pub(crate) struct Searches {
    by_path: moka::sync::Cache<u128, Arc<Learnt>>,
    learnt: AtomicU64,
}

impl Searches {
    pub(crate) fn new() -> Self {
        Self {
            by_path: moka::sync::Cache::new(MOST),
            learnt: AtomicU64::new(0),
        }
    }

    /// The rule for what has this digest, by [`Asked::path`].
    pub(crate) fn known(&self, path: u128) -> Option<Arc<Learnt>> {
        self.by_path.get(&path)
    }

    /// What an answer says of its path from now on.
    pub(crate) fn learn(&self, path: u128, rule: Option<Rule>) -> Option<Arc<Learnt>> {
        let Some(rule) = rule else {
            self.by_path.invalidate(&path);
            return None;
        };
        if let Some(known) = self.by_path.get(&path).filter(|known| known.rule == rule) {
            return Some(known);
        }
        let number = self.learnt.fetch_add(1, Ordering::Relaxed);
        let learnt = Arc::new(Learnt { rule, number });
        self.by_path.insert(path, Arc::clone(&learnt));
        Some(learnt)
    }
}

/// A target as it was asked for, and the rule by which its key was made, if by any.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) exact: Key,
    /// The digest of what a rule holds for: all of the request's head but its query.
    pub(crate) path: u128,
    pub(crate) by: Option<Arc<Learnt>>,
}
