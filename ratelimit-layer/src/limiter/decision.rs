//! What a check came to.

use super::meter::Ruling;
use crate::algorithm::NEVER;
use std::time::Duration;

/// A client, as a limiter knows it: a hash under the limiter's own seeds, of no use to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(pub(crate) u64);

/// What a check came to.
///
/// Of several policies it tells of the one that counts: on a refusal the one with the longest wait,
/// else the one with the least left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    client: Client,
    kind: Kind,
    would_refuse: bool,
    policy: u8,
    wait: u64,
    /// `None`: no policy held, or the client is banned.
    ruling: Option<Ruling>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Allowed,
    Refused,
    Banned,
}

impl Decision {
    pub(crate) fn banned(client: u64, left: u64) -> Self {
        Self {
            client: Client(client),
            kind: Kind::Banned,
            would_refuse: false,
            policy: 0,
            wait: left,
            ruling: None,
        }
    }

    /// Nothing was asked of any policy.
    pub(crate) fn free(client: u64) -> Self {
        Self {
            kind: Kind::Allowed,
            ..Self::banned(client, 0)
        }
    }

    /// Of one policy, which is dry or not.
    #[inline]
    pub(crate) fn of(client: u64, policy: usize, ruling: Ruling, dry: bool) -> Self {
        let refused = !ruling.verdict.allowed;
        Self {
            client: Client(client),
            kind: if refused && !dry {
                Kind::Refused
            } else {
                Kind::Allowed
            },
            would_refuse: refused && dry,
            policy: policy as u8,
            wait: ruling.verdict.wait,
            ruling: Some(ruling),
        }
    }

    /// Of this policy and another.
    pub(crate) fn and(self, other: Self) -> Self {
        let counts = |decision: &Self| {
            let refused = decision.kind == Kind::Refused;
            (refused, if refused { decision.wait } else { 0 })
        };
        let other_counts = match counts(&self).cmp(&counts(&other)) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => other.remaining() < self.remaining(),
        };
        let (one, rest) = if other_counts {
            (other, self)
        } else {
            (self, other)
        };
        Self {
            would_refuse: one.would_refuse || rest.would_refuse,
            ..one
        }
    }

    /// Refused for `wait`, even if each policy had room when it was looked at last: others were
    /// faster, or there was no place to wait in.
    pub(crate) fn refused_for(self, wait: u64) -> Self {
        Self {
            kind: Kind::Refused,
            wait,
            ..self
        }
    }

    /// Whether the units were given.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.kind == Kind::Allowed
    }

    /// Whether the client is banned: by [`penalise`](crate::RateLimitHandle::penalise), or after
    /// too many refusals.
    #[must_use]
    pub fn is_banned(&self) -> bool {
        self.kind == Kind::Banned
    }

    /// Whether a policy in [`dry_run`](crate::Policy::dry_run) would have refused.
    #[must_use]
    pub fn would_refuse(&self) -> bool {
        self.would_refuse
    }

    /// How long until the same would be allowed, if it was refused; zero otherwise. What asks for
    /// more than there ever is waits for ever: [`Duration::MAX`].
    #[must_use]
    pub fn wait(&self) -> Duration {
        match self.wait {
            _ if self.is_allowed() => Duration::ZERO,
            NEVER => Duration::MAX,
            wait => Duration::from_nanos(wait),
        }
    }

    /// How many units the client could still use at once; of no policy, [`u32::MAX`], and none if it
    /// is banned.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        match self.ruling {
            Some(ruling) => ruling.remaining(),
            None if self.is_banned() => 0,
            None => u32::MAX,
        }
    }

    /// How long until all is there again, if nothing more is used.
    #[must_use]
    pub fn full_in(&self) -> Duration {
        self.ruling.map_or(Duration::ZERO, |ruling| {
            Duration::from_nanos(ruling.verdict.full_in)
        })
    }

    /// Which policy this tells of, in the order in which they were given, from 0.
    #[must_use]
    pub fn policy(&self) -> usize {
        self.policy.into()
    }

    /// The client, for [`RateLimitHandle`](crate::RateLimitHandle).
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }
}
