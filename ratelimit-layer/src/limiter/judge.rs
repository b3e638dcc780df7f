//! All policies together: a request goes on if each has room for it, and is charged to none if one
//! has not.

use super::RateLimiter;
use super::decision::Decision;
use super::meter::{REFUSED, Ruling, WOULD_REFUSE};
use crate::algorithm::{Act, NEVER};
use crate::quota::Quota;
use arrayvec::ArrayVec;

/// Most policies of one limiter.
pub(crate) const MAX_POLICIES: usize = 8;

/// How often a request looks again when others were faster between its look and its charge.
const ATTEMPTS: usize = 4;

/// What a request asks of one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// 0: the policy does not hold for it.
    pub(crate) cost: u32,
    /// The quota of its tier; `None`: the policy's own.
    pub(crate) tier: Option<Quota>,
    /// Whose bucket it is.
    pub(crate) client: u64,
}

impl Demand {
    /// One unit of the policy's own quota.
    #[inline]
    pub(crate) fn plain(client: u64) -> Self {
        let (cost, tier) = (1, None);
        Self { cost, tier, client }
    }
}

/// A demand and what its policy said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ruled {
    pub(crate) policy: usize,
    pub(crate) demand: Demand,
    pub(crate) ruling: Ruling,
}

pub(crate) type Rulings = ArrayVec<Ruled, MAX_POLICIES>;

impl RateLimiter {
    /// Asks all policies for a client that is not banned. `Ok` is when the request may go, up to
    /// `patience` after now; `Err` how long until it might be allowed.
    #[inline]
    pub(crate) fn judge(
        &self,
        now: u64,
        patience: u64,
        demand: impl Fn(usize) -> Demand,
        rulings: &mut Rulings,
    ) -> Result<u64, u64> {
        let share = self.signal.share(now);
        for policy in 0..self.meters.len() {
            let demand = demand(policy);
            if demand.cost == 0 {
                continue;
            }
            // One alone is charged as it is asked; of several, all are looked at first.
            let act = match self.meters.len() {
                1 if patience == 0 => Act::Take(demand.cost),
                1 => Act::Reserve(demand.cost, patience),
                _ => Act::Peek(demand.cost),
            };
            let meter = &self.meters[policy];
            let ruling = meter.ask(demand.client, now, act, demand.tier, share);
            rulings.push(Ruled {
                policy,
                demand,
                ruling,
            });
        }
        if self.meters.len() == 1 {
            return self.judge_one(rulings);
        }
        self.judge_all(now, patience, share, rulings)
    }

    /// Of one policy, which has been charged.
    #[inline]
    pub(crate) fn judge_one(&self, rulings: &Rulings) -> Result<u64, u64> {
        match &rulings[..] {
            [one] if one.ruling.verdict.allowed => Ok(one.ruling.verdict.wait),
            [one] if !self.meters[0].policy.dry_run => Err(one.ruling.verdict.wait),
            _ => Ok(0),
        }
    }

    /// Of several policies, which have been looked at as of now.
    fn judge_all(
        &self,
        now: u64,
        patience: u64,
        share: f64,
        rulings: &mut Rulings,
    ) -> Result<u64, u64> {
        // When it would go; policies are asked as of then.
        let mut at = now;
        for _ in 0..ATTEMPTS {
            while let Some(wait) = self.longest_wait(rulings) {
                let total = (at - now).saturating_add(wait);
                if wait == NEVER || total > patience {
                    return Err(total);
                }
                at += wait;
                self.ask_all(rulings, at, share, Act::Peek);
            }
            if self.charge_all(rulings, at, share) {
                return Ok(at - now);
            }
            self.ask_all(rulings, at, share, Act::Peek);
        }
        Err(self.longest_wait(rulings).unwrap_or(1))
    }

    /// The longest wait for those that refuse; `None`: nobody does.
    fn longest_wait(&self, rulings: &Rulings) -> Option<u64> {
        let refusing = rulings.iter().filter(|ruled| self.refuses(ruled));
        refusing.map(|ruled| ruled.ruling.verdict.wait).max()
    }

    pub(crate) fn refuses(&self, ruled: &Ruled) -> bool {
        !ruled.ruling.verdict.allowed && !self.meters[ruled.policy].policy.dry_run
    }

    fn ask_all(&self, rulings: &mut Rulings, at: u64, share: f64, act: fn(u32) -> Act) {
        for ruled in rulings {
            ruled.ruling = self.ask(ruled, at, share, act(ruled.demand.cost));
        }
    }

    /// Charges all, or none and says so if one has no more room.
    fn charge_all(&self, rulings: &mut Rulings, at: u64, share: f64) -> bool {
        for index in 0..rulings.len() {
            let ruled = &mut rulings[index];
            ruled.ruling = self.ask(ruled, at, share, Act::Take(ruled.demand.cost));
            if self.refuses(&rulings[index]) {
                for charged in &rulings[..index] {
                    if charged.ruling.verdict.allowed {
                        self.ask(charged, at, share, Act::Refund(charged.demand.cost));
                    }
                }
                return false;
            }
        }
        true
    }

    pub(crate) fn ask(&self, ruled: &Ruled, at: u64, share: f64, act: Act) -> Ruling {
        let Demand { client, tier, .. } = ruled.demand;
        self.meters[ruled.policy].ask(client, at, act, tier, share)
    }

    /// Counts the policies that refused.
    #[inline]
    pub(crate) fn count(&self, client: u64, rulings: &Rulings) {
        for ruled in rulings {
            if !ruled.ruling.verdict.allowed {
                let meter = &self.meters[ruled.policy];
                let dry = meter.policy.dry_run;
                let counter = if dry { WOULD_REFUSE } else { REFUSED };
                meter.counters.add(counter, client);
            }
        }
    }

    /// What policies said to a request, in one.
    pub(crate) fn sum_up(&self, client: u64, rulings: &Rulings) -> Decision {
        let decisions = rulings.iter().map(|ruled| {
            let dry = self.meters[ruled.policy].policy.dry_run;
            Decision::of(client, ruled.policy, ruled.ruling, dry)
        });
        decisions
            .reduce(Decision::and)
            .unwrap_or_else(|| Decision::free(client))
    }

    /// As of when the units of a request were taken that goes after `wait`: a bucket alone reserves
    /// them, several are asked as of then.
    pub(crate) fn taken_at(&self, now: u64, wait: u64) -> u64 {
        if self.meters.len() == 1 {
            now
        } else {
            now + wait
        }
    }
}
