//! What a guard is told before it is shared.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::Guard;
use crate::{
    Source,
    admission::Policy,
    hard::HardJob,
    level::{Gauge, Thresholds},
    source::{Choice, Chosen},
};

impl Guard {
    /// Fails if a source was chosen or the guard read before.
    pub(crate) fn set_source(&self, source: Box<dyn Source>) -> Result<(), ()> {
        self.choose(|choice| match choice.source.replace(source) {
            None => Ok(()),
            Some(_) => Err(()),
        })
    }

    /// Fails if the guard was read before.
    pub(crate) fn set_cgroup(&self, cgroup: Chosen) -> Result<(), ()> {
        self.choose(|choice| {
            choice.cgroup = cgroup;
            Ok(())
        })
    }

    fn choose(&self, change: impl FnOnce(&mut Choice) -> Result<(), ()>) -> Result<(), ()> {
        let mut choice = self.choice.lock().unwrap_or_else(PoisonError::into_inner);
        choice.as_mut().map_or(Err(()), change)
    }

    pub(crate) fn set_thresholds(&mut self, thresholds: &Thresholds) {
        self.gauge = Gauge::new(self.budget.bytes(), thresholds);
    }

    pub(crate) const fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    pub(crate) const fn set_ends_bodies(&mut self, ends: bool) {
        self.ends_bodies = ends;
    }

    pub(crate) const fn set_unready_after(&mut self, time: Duration) {
        self.unready_after = time;
    }

    pub(crate) const fn set_retry_after(&mut self, delay: Duration) {
        self.retry_after = delay;
    }

    pub(crate) const fn set_retry_jitter(&mut self, jitter: Duration) {
        self.retry_jitter = jitter;
    }

    pub(crate) fn add_purge(&mut self, purge: HardJob) {
        self.purges.push(Arc::new(purge));
    }

    pub(crate) fn set_profiles(&mut self, profiles: HardJob) {
        self.profiles = Some(Arc::new(profiles));
    }
}
