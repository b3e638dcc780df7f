//! Whether a request goes on, and what is said if it does not.

use super::charged::Charged;
use super::handle::{ALLOWED, BANNED, EXEMPT, REFUSED, State, UNKEYED};
use super::limited::{Kind, RateLimited};
use super::settlement::Settlement;
use super::texts::{Item, PolicyTexts, Texts, Told};
use crate::algorithm::NEVER;
use crate::body::ResponseBody;
use crate::fields::{FieldStyle, Partitions};
use crate::head::Head;
use crate::key::ClientKey;
use crate::limiter::{Client, Decision, Demand, MAX_POLICIES, Ruled, Rulings};
use crate::rejection::{self, Problem, Rejection};
use crate::rules::{Rules, Whom};
use arrayvec::ArrayVec;
use http::Response;
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
    fn told(
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

    /// The answer to a request that is refused `now`; `decision` is missing if it has no key.
    #[inline(never)]
    pub(super) fn refuse<B>(
        &self,
        head: &Head<'_>,
        decision: Option<Decision>,
        now: u64,
        rulings: &Rulings,
        label: impl Fn() -> Option<String>,
    ) -> Response<ResponseBody<B>>
    where
        R: Rejection<RateLimited, B>,
    {
        let state = &*self.state;
        let texts = state.texts.load_full();
        let policy = decision.map_or(0, |decision| decision.policy());
        let wait = match decision {
            Some(decision) if decision.wait() < Duration::from_nanos(NEVER) => decision.wait(),
            _ => state.limiter.refill(policy),
        };
        let refused: ArrayVec<&Ruled, MAX_POLICIES> = rulings
            .iter()
            .filter(|ruled| state.limiter.refuses(ruled))
            .collect();
        let tier = |policy| {
            let ruled = refused.iter().find(|ruled| ruled.policy == policy);
            ruled.and_then(|ruled| ruled.demand.tier)
        };
        let why = RateLimited {
            client: decision.map(|decision| decision.client()),
            kind: match decision {
                None => Kind::Unkeyed,
                Some(decision) if decision.is_banned() => Kind::Banned,
                Some(_) => Kind::Quota,
            },
            policy,
            refused: refused
                .iter()
                .fold(0, |bits, ruled| bits | 1 << ruled.policy),
            quota: tier(policy).unwrap_or(texts.policies[policy].quota),
            wait,
            delay: rejection::delayed(wait, self.rules.retry_jitter),
            texts,
        };
        // Until the next unit is there, not until the bucket is full: Retry-After counts to it too.
        let told = match why.kind {
            _ if self.style == FieldStyle::None => None,
            Kind::Unkeyed | Kind::Banned => {
                let partition = self.partitions.as_ref().zip(why.client);
                let partition = partition.map(|(all, Client(client))| all.of(client));
                let nothing = Item::nothing(policy, wait, partition);
                Some(Told::one(self.style, &why.texts, nothing))
            }
            Kind::Quota => self.told(&why.texts, rulings, |ruled| {
                let verdict = ruled.ruling.verdict;
                match verdict.wait {
                    _ if verdict.allowed => Duration::from_nanos(verdict.full_in),
                    NEVER => wait,
                    wait => Duration::from_nanos(wait),
                }
            }),
        };
        let mut told = told.map(|told| told.no_later_than(why.delay));
        let mut response = self.rules.rejection.answer(head, &why, || {
            let texts = &*why.texts;
            if let (Kind::Quota, [one]) = (why.kind, &refused[..])
                && let Some(available) = told.as_ref().and_then(Told::available)
            {
                told = None;
                let problem = &texts.policies[one.policy].exceeded;
                return texts.refusals[one.policy].answer(head, problem, why.delay, available);
            }
            // Of quotas of the request's own there are no prepared texts.
            let own: ArrayVec<_, MAX_POLICIES> = refused
                .iter()
                .filter_map(|ruled| {
                    let policy = &state.limiter.meters[ruled.policy].policy;
                    let tier = ruled.demand.tier?;
                    Some((ruled.policy, PolicyTexts::new(policy, tier)))
                })
                .collect();
            let problem = |policy: usize| {
                let own = own.iter().find(|(own, _)| *own == policy);
                own.map_or(&texts.policies[policy].exceeded, |(_, own)| &own.exceeded)
            };
            let problems: ArrayVec<&Problem, MAX_POLICIES> = match why.kind {
                Kind::Unkeyed => [&texts.unkeyed].into_iter().collect(),
                Kind::Banned => [&texts.banned].into_iter().collect(),
                // Nobody refused in the end, but others were faster each time.
                Kind::Quota if refused.is_empty() => [problem(policy)].into_iter().collect(),
                Kind::Quota => refused.iter().map(|ruled| problem(ruled.policy)).collect(),
            };
            rejection::answer(head, &problems, why.delay)
        });
        if let Some(told) = told {
            told.append(response.headers_mut());
        }
        if let Some(Client(client)) = why.client {
            state.offenders.count(client, &label);
        }
        state.events.refused(now, &why, label);
        if let Some(decision) = decision.filter(|_| self.extensions) {
            response.extensions_mut().insert(decision);
        }
        response.extensions_mut().insert(why);
        response
    }
}
