//! What a limiter is built from, and what is allowed.

use super::bans::BanAfter;
use super::judge::MAX_POLICIES;
use super::signal::Signal;
use crate::fields::PolicyName;
use crate::policy::Policy;
use crate::quota::Quota;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Slots of a table nobody sized: 1 MiB.
const MAX_CLIENTS: usize = 65_536;

/// What a limiter is built from.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) policies: Vec<Policy>,
    pub(super) clients: usize,
    pub(super) ban_after: Option<BanAfter>,
    pub(super) signal: Option<Signal>,
}

impl Settings {
    pub(crate) fn new(quota: Quota) -> Self {
        Self {
            policies: vec![Policy::named(PolicyName::default(), quota)],
            clients: MAX_CLIENTS,
            ban_after: None,
            signal: None,
        }
    }

    #[track_caller]
    pub(crate) fn name_first(&mut self, name: &str) {
        match PolicyName::try_new(name) {
            Ok(_) if self.has(name) => panic!("two policies cannot both be called {name:?}"),
            Ok(name) => self.policies[0].name = name,
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    pub(crate) fn first(&mut self, policy: Policy) {
        self.policies[0] = policy;
    }

    #[track_caller]
    pub(crate) fn push(&mut self, policy: Policy) {
        let name = policy.name.as_str();
        assert!(
            !self.has(name),
            "two policies cannot both be called {name:?}"
        );
        assert!(
            self.policies.len() < MAX_POLICIES,
            "policy {name:?} cannot be added: allowed are {MAX_POLICIES}"
        );
        self.policies.push(policy);
    }

    fn has(&self, name: &str) -> bool {
        self.policies
            .iter()
            .any(|policy| policy.name.as_str() == name)
    }

    #[track_caller]
    pub(crate) fn max_clients(&mut self, clients: usize) {
        assert!(
            clients > 0 && clients as u64 <= 1 << 32,
            "a table for {clients} clients cannot be used: allowed are 1 to 4294967296"
        );
        self.clients = clients;
    }

    #[track_caller]
    pub(crate) fn ban_after(&mut self, refusals: u32, within: Duration, duration: Duration) {
        let year = Duration::from_secs(365 * 86_400);
        let shortest = Duration::from_millis(1);
        assert!(
            refusals > 0 && (shortest..=year).contains(&within),
            "a ban after {refusals} refusals within {within:?} cannot be used: allowed are 1 \
             refusal or more, within 1 ms to 365 days"
        );
        assert!(
            (shortest..=year).contains(&duration),
            "a ban of {duration:?} cannot be used: allowed are 1 ms to 365 days"
        );
        self.ban_after = Some(BanAfter {
            refusals,
            within,
            duration,
        });
    }

    #[track_caller]
    pub(crate) fn scale_with(
        &mut self,
        share: impl Fn() -> f64 + Send + Sync + 'static,
        bounds: RangeInclusive<f64>,
    ) {
        let (floor, ceiling) = (*bounds.start(), *bounds.end());
        // Not a number compares as false.
        assert!(
            0.001 <= floor && floor <= ceiling && ceiling <= 1_000.0,
            "quotas cannot be scaled between {floor} and {ceiling}: allowed are shares of 0.001 to \
             1000, the smaller one first"
        );
        self.signal = Some(Signal {
            share: Arc::new(share),
            bounds,
        });
    }
}
