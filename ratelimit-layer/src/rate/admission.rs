//! Whether a request goes on.

use super::charged::Charged;
use super::handle::{ALLOWED, BANNED, EXEMPT, REFUSED, State, UNKEYED};
use super::settlement::Settlement;
use super::texts::{Item, Texts, Told};
use crate::fields::{FieldStyle, Partitions};
use crate::head::Head;
use crate::key::ClientKey;
use crate::limiter::{Decision, Demand, Ruled, Rulings};
use crate::rules::{Rules, Whom};
use std::sync::Arc;
use std::time::Duration;

/// What all clones of one service share.
pub(super) struct Shared<K, R> {
    pub(super) rules: Rules<K, R>,
    pub(super) state: Arc<State>,
    pub(super) style: FieldStyle,
    pub(super) partitions: Option<Partitions>,
    /// Decisions go into extensions.
    pub(super) extensions: bool,
    /// How long a request may wait for its units, nanoseconds.
    pub(super) patience: u64,
    /// Whether no policy asks anything of a request.
    pub(super) plain: bool,
    /// Whether responses tell nothing, and nothing is settled by them.
    pub(super) is_silent: bool,
    /// Whether a request that is charged at once needs nothing more, and nobody is exempt.
    pub(super) is_simple: bool,
}

/// Whether a request goes on.
pub(super) enum Admission {
    /// It goes on, and nothing is to be told or settled.
    Free,
    /// By the limiter's clock it is `now`, and it goes after `wait`.
    Go {
        client: u64,
        now: u64,
        wait: u64,
    },
    Refuse {
        decision: Decision,
        now: u64,
    },
    RefuseUnkeyed,
}

impl<K: ClientKey, R> Shared<K, R> {
    /// What most requests come to: they are charged to one bucket, and that is all. `false`: it is
    /// something else, and nothing was taken.
    #[inline(always)]
    pub(super) fn lets_through(&self, client: u64) -> bool {
        let known = self.state.limiter.take_known(client, 1);
        let allowed = known.is_some_and(|(_, ruling)| ruling.verdict.allowed);
        if allowed {
            self.count_allowed(client);
        }
        allowed
    }

    pub(super) fn admit(&self, head: &Head<'_>, whom: Whom, rulings: &mut Rulings) -> Admission {
        let State {
            limiter, counters, ..
        } = &*self.state;
        let client = match whom {
            Whom::Exempt => {
                counters.add(EXEMPT, 0);
                return Admission::Free;
            }
            Whom::Anybody => {
                counters.add(UNKEYED, 0);
                return Admission::Free;
            }
            Whom::Nobody => {
                counters.add(UNKEYED, 0);
                counters.add(REFUSED, 0);
                return Admission::RefuseUnkeyed;
            }
            Whom::Shared(client) => {
                counters.add(UNKEYED, client);
                client
            }
            Whom::Client(client) => client,
        };
        if self.plain
            && self.patience == 0
            && let Some((now, ruling)) = limiter.take_known(client, 1)
        {
            let (policy, demand) = (0, Demand::plain(client));
            rulings.push(Ruled {
                policy,
                demand,
                ruling,
            });
            return self.outcome(client, now, limiter.judge_one(rulings), rulings);
        }
        self.admit_any(head, client, rulings)
    }

    /// Whatever its policies ask.
    #[inline(never)]
    fn admit_any(&self, head: &Head<'_>, client: u64, rulings: &mut Rulings) -> Admission {
        let State {
            limiter, counters, ..
        } = &*self.state;
        let now = limiter.now();
        if let Some(decision) = limiter.banned(client, now) {
            counters.add(BANNED, client);
            counters.add(REFUSED, client);
            return Admission::Refuse { decision, now };
        }
        let demand = |policy| {
            if self.plain {
                Demand::plain(client)
            } else {
                self.demand(head, client, policy)
            }
        };
        let judged = limiter.judge(now, self.patience, demand, rulings);
        self.outcome(client, now, judged, rulings)
    }

    #[inline]
    fn outcome(
        &self,
        client: u64,
        now: u64,
        judged: Result<u64, u64>,
        rulings: &Rulings,
    ) -> Admission {
        self.state.limiter.count(client, rulings);
        match judged {
            Ok(wait) => Admission::Go { client, now, wait },
            Err(wait) => {
                let decision = self.turn_away(client, now, wait, rulings);
                Admission::Refuse { decision, now }
            }
        }
    }

    /// Counts a request that is refused for `wait`.
    pub(super) fn turn_away(
        &self,
        client: u64,
        now: u64,
        wait: u64,
        rulings: &Rulings,
    ) -> Decision {
        let State {
            limiter, counters, ..
        } = &*self.state;
        counters.add(REFUSED, client);
        limiter.strike(client, now);
        limiter.sum_up(client, rulings).refused_for(wait)
    }

    #[inline]
    pub(super) fn count_allowed(&self, client: u64) {
        self.state.counters.add(ALLOWED, client);
    }

    /// What a policy's closures make of a request.
    fn demand(&self, head: &Head<'_>, client: u64, policy: usize) -> Demand {
        let limiter = &self.state.limiter;
        let meter = &limiter.meters[policy];
        let requests = &meter.policy.requests;
        if requests.only.as_ref().is_some_and(|only| !only(head)) {
            let (cost, tier) = (0, None);
            return Demand { cost, tier, client };
        }
        let tier = requests.quota.as_ref().and_then(|quota| quota(head));
        let tier = tier.filter(|quota| meter.takes(*quota).is_ok());
        Demand {
            cost: requests.cost.as_ref().map_or(1, |cost| cost(head)),
            tier,
            client: tier.map_or(client, |tier| limiter.seeds().client(&(client, tier))),
        }
    }
}

impl<K, R> Shared<K, R> {
    /// What is left to do when the response head is there; `decision` is put into it.
    #[inline]
    pub(super) fn charged(&self, decision: Option<Decision>, rulings: &Rulings) -> Charged {
        if self.is_silent {
            return Charged::default();
        }
        let full_in = |ruled: &Ruled| Duration::from_nanos(ruled.ruling.verdict.full_in);
        Charged {
            told: self.told(&self.state.texts.load(), rulings, full_in),
            decision: decision.map(Box::new),
            settlement: if self.plain {
                None
            } else {
                Settlement::new(&self.state, rulings)
            },
        }
    }

    /// How the client stands, each standing for as long as `window` says.
    pub(super) fn told(
        &self,
        texts: &Arc<Texts>,
        rulings: &Rulings,
        window: impl Fn(&Ruled) -> Duration,
    ) -> Option<Told> {
        if self.style == FieldStyle::None {
            return None;
        }
        let limiter = &self.state.limiter;
        Told::new(self.style, texts, rulings, |ruled| {
            let partition = self.partitions.as_ref();
            let partition = partition.map(|all| all.of(ruled.demand.client));
            let policy = &limiter.meters[ruled.policy].policy;
            Item::new(ruled, window(ruled), partition, policy)
        })
    }
}
