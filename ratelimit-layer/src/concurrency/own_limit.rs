//! How each client's limit is told; it may change under way.

use crate::fields::{Fields, PolicyName};
use crate::rejection::Problem;

/// Each client's limit, and the texts that say it, prepared.
pub(super) struct OwnLimit {
    pub(super) limit: usize,
    pub(super) fields: Fields,
    pub(super) problem: Problem,
}

impl OwnLimit {
    pub(super) fn new(name: &PolicyName, limit: usize) -> Self {
        let detail = format!("Too many requests at once: the limit is {limit}.");
        Self {
            limit,
            fields: Fields::of_concurrency(name, limit),
            problem: Problem::quota_exceeded(name, &detail),
        }
    }
}
