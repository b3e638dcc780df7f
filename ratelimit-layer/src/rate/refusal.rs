//! What is said to a request that does not go on.

use super::admission::Shared;
use super::limited::{Kind, RateLimited};
use super::texts::{Item, PolicyTexts, Told};
use crate::algorithm::NEVER;
use crate::body::ResponseBody;
use crate::fields::FieldStyle;
use crate::head::Head;
use crate::limiter::{Client, Decision, MAX_POLICIES, Ruled, Rulings};
use crate::rejection::{self, Problem, Rejection};
use arrayvec::ArrayVec;
use http::Response;
use std::time::Duration;

/// The policies that refuse.
type Refused<'a> = ArrayVec<&'a Ruled, MAX_POLICIES>;

impl<K, R> Shared<K, R> {
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
        let refuses = |ruled: &&Ruled| state.limiter.refuses(ruled);
        let refused: Refused<'_> = rulings.iter().filter(refuses).collect();
        let why = self.why(decision, &refused);
        let mut told = self.standing(&why, rulings);
        let mut response = self.rules.rejection.answer(head, &why, || {
            self.standard(head, &why, &refused, &mut told)
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

    fn why(&self, decision: Option<Decision>, refused: &Refused<'_>) -> RateLimited {
        let texts = self.state.texts.load_full();
        let policy = decision.map_or(0, |decision| decision.policy());
        let wait = match decision {
            Some(decision) if decision.wait() < Duration::from_nanos(NEVER) => decision.wait(),
            _ => self.state.limiter.refill(policy),
        };
        let ruled = refused.iter().find(|ruled| ruled.policy == policy);
        let tier = ruled.and_then(|ruled| ruled.demand.tier);
        let policies = refused.iter().map(|ruled| 1 << ruled.policy);
        RateLimited {
            client: decision.map(|decision| decision.client()),
            kind: match decision {
                None => Kind::Unkeyed,
                Some(decision) if decision.is_banned() => Kind::Banned,
                Some(_) => Kind::Quota,
            },
            policy,
            refused: policies.fold(0, |all, policy| all | policy),
            quota: tier.unwrap_or(texts.policies[policy].quota),
            wait,
            delay: rejection::delayed(wait, self.rules.retry_jitter),
            texts,
        }
    }

    /// How the client stands until the next unit is there, not until the bucket is full: Retry-After
    /// counts to it too.
    fn standing(&self, why: &RateLimited, rulings: &Rulings) -> Option<Told> {
        let told = match why.kind {
            _ if self.style == FieldStyle::None => None,
            Kind::Unkeyed | Kind::Banned => {
                let partition = self.partitions.as_ref().zip(why.client);
                let partition = partition.map(|(all, Client(client))| all.of(client));
                let nothing = Item::nothing(why.policy, why.wait, partition);
                Some(Told::one(self.style, &why.texts, nothing))
            }
            Kind::Quota => self.told(&why.texts, rulings, |ruled| {
                let verdict = ruled.ruling.verdict;
                match verdict.wait {
                    _ if verdict.allowed => Duration::from_nanos(verdict.full_in),
                    NEVER => why.wait,
                    wait => Duration::from_nanos(wait),
                }
            }),
        };
        told.map(|told| told.no_later_than(why.delay))
    }

    /// The crate's own answer. It takes what is `told`, if it tells that too.
    fn standard<B>(
        &self,
        head: &Head<'_>,
        why: &RateLimited,
        refused: &Refused<'_>,
        told: &mut Option<Told>,
    ) -> Response<ResponseBody<B>> {
        let texts = &*why.texts;
        if let (Kind::Quota, [one]) = (why.kind, &refused[..])
            && let Some(available) = told.as_ref().and_then(Told::available)
        {
            *told = None;
            let problem = &texts.policies[one.policy].exceeded;
            return texts.refusals[one.policy].answer(head, problem, why.delay, available);
        }
        // Of quotas of the request's own there are no prepared texts.
        let own = |ruled: &&Ruled| {
            let policy = &self.state.limiter.meters[ruled.policy].policy;
            let tier = ruled.demand.tier?;
            Some((ruled.policy, PolicyTexts::new(policy, tier)))
        };
        let own: ArrayVec<_, MAX_POLICIES> = refused.iter().filter_map(own).collect();
        let problem = |policy: usize| {
            let own = own.iter().find(|(own, _)| *own == policy);
            own.map_or(&texts.policies[policy].exceeded, |(_, own)| &own.exceeded)
        };
        let problems: ArrayVec<&Problem, MAX_POLICIES> = match why.kind {
            Kind::Unkeyed => [&texts.unkeyed].into_iter().collect(),
            Kind::Banned => [&texts.banned].into_iter().collect(),
            // Nobody refused in the end, but others were faster each time.
            Kind::Quota if refused.is_empty() => [problem(why.policy)].into_iter().collect(),
            Kind::Quota => refused.iter().map(|ruled| problem(ruled.policy)).collect(),
        };
        rejection::answer(head, &problems, why.delay)
    }
}
