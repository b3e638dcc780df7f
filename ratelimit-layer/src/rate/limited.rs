//! Why a request was refused.

use super::texts::Texts;
use crate::fields::{PolicyName, whole_seconds};
use crate::limiter::Client;
use crate::quota::Quota;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a request was refused by [`RateLimitLayer`](crate::RateLimitLayer); also found in the
/// response's extensions.
#[derive(Debug, Clone)]
pub struct RateLimited {
    pub(super) texts: Arc<Texts>,
    pub(super) client: Option<Client>,
    pub(super) kind: Kind,
    /// The policy with the longest wait.
    pub(super) policy: usize,
    /// A bit for each policy that refused.
    pub(super) refused: u8,
    pub(super) quota: Quota,
    pub(super) wait: Duration,
    pub(super) delay: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Quota,
    Unkeyed,
    Banned,
}

impl RateLimited {
    /// The name of the policy that refused; of several, of the one with the longest wait.
    #[must_use]
    pub fn policy(&self) -> &str {
        self.name(self.policy).as_str()
    }

    /// The names of all policies that refused.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        let refused =
            (0..self.texts.policies.len()).filter(|policy| self.refused >> policy & 1 == 1);
        refused.map(|policy| self.name(policy).as_str())
    }

    fn name(&self, policy: usize) -> &PolicyName {
        &self.texts.policies[policy].name
    }

    /// The quota that the client has of [`policy`](Self::policy).
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// How long until the same request would be allowed. For a request refused for want of a client
    /// key, which has no quota, and one that asks for more than a burst, the time in which a whole
    /// burst comes back; for a banned client, the time until the ban ends.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// What the client is told to wait, in whole seconds, rounded up, at least 1: `Retry-After`. It
    /// is the wait and what [`retry_jitter`](crate::RateLimitLayer::retry_jitter) adds.
    #[must_use]
    pub fn retry_after(&self) -> u64 {
        whole_seconds(self.delay).max(1)
    }

    /// Whether the request was refused because it has no client key
    /// ([`Unkeyed::Refuse`](crate::Unkeyed::Refuse)).
    #[must_use]
    pub fn is_unkeyed(&self) -> bool {
        self.kind == Kind::Unkeyed
    }

    /// Whether the client is banned, whatever it has left
    /// ([`penalise`](crate::RateLimitHandle::penalise),
    /// [`ban_after`](crate::RateLimitLayer::ban_after)).
    #[must_use]
    pub fn is_banned(&self) -> bool {
        self.kind == Kind::Banned
    }

    /// The client, for [`RateLimitHandle`](crate::RateLimitHandle); `None` if it has no key.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        self.client
    }
}

/// What was over, and when to come back, in one line.
impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policy, quota, seconds) = (self.policy(), self.quota, self.retry_after());
        match self.kind {
            Kind::Quota => write!(f, "policy {policy} allows {quota}")?,
            Kind::Unkeyed => write!(f, "no client key for policy {policy}")?,
            Kind::Banned => write!(f, "the client is banned")?,
        }
        write!(f, "; retry after {seconds} s")
    }
}

impl std::error::Error for RateLimited {}
