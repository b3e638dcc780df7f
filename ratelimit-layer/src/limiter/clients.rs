//! What is done with one client outside of a check.

use super::RateLimiter;
use super::decision::Decision;
use crate::algorithm::Act;
use std::hash::Hash;
use std::time::Duration;

impl RateLimiter {
    /// Whether [`check`](Self::check) would be allowed, and what is left; nothing is taken.
    pub fn peek<K: Hash + ?Sized>(&self, key: &K) -> Decision {
        self.peek_client(self.seeds.client(key))
    }

    /// Gives back units of all policies that were taken for nothing.
    pub fn refund<K: Hash + ?Sized>(&self, key: &K, units: u32) {
        self.tell_all(self.seeds.client(key), Act::Refund(units));
    }

    /// Takes units of all policies whether they are there or not; then the client waits until it has
    /// paid.
    pub fn charge<K: Hash + ?Sized>(&self, key: &K, units: u32) {
        self.tell_all(self.seeds.client(key), Act::Charge(units));
    }

    /// Refuses the client for `duration`, whatever it has left; a longer ban stays.
    pub fn penalise<K: Hash + ?Sized>(&self, key: &K, duration: Duration) {
        self.penalise_client(self.seeds.client(key), duration);
    }

    /// Forgets the client: its bucket is full, and it is not banned.
    pub fn reset<K: Hash + ?Sized>(&self, key: &K) {
        self.reset_client(self.seeds.client(key));
    }

    pub(crate) fn peek_client(&self, client: u64) -> Decision {
        let now = self.now();
        if let Some(banned) = self.banned(client, now) {
            return banned;
        }
        let share = self.signal.share(now);
        let decisions = self.meters.iter().enumerate().map(|(policy, meter)| {
            let ruling = meter.ask(client, now, Act::Peek(1), None, share);
            Decision::of(client, policy, ruling, meter.policy.dry_run)
        });
        decisions
            .reduce(Decision::and)
            .unwrap_or_else(|| Decision::free(client))
    }

    fn tell_all(&self, client: u64, act: Act) {
        let now = self.now();
        let share = self.signal.share(now);
        for meter in &self.meters {
            meter.ask(client, now, act, None, share);
        }
    }

    pub(crate) fn penalise_client(&self, client: u64, duration: Duration) {
        self.bans.ban(client, self.now(), duration);
    }

    pub(crate) fn reset_client(&self, client: u64) {
        self.bans.lift(client, self.now());
        self.tell_all(client, Act::Forget);
    }
}
