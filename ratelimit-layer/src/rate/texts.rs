//! What answers say of the policies, prepared, and put into responses.

use crate::fields::{self, FieldStyle, Fields, Partition, PolicyName, Standing};
use crate::limiter::{MAX_POLICIES, Meter, Ruled, Rulings};
use crate::policy::Policy;
use crate::quota::Quota;
use crate::rejection::{Problem, Template};
use arrayvec::ArrayVec;
use http::header::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// The texts of all policies of a layer; they change when a quota does.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(super) policies: Box<[PolicyTexts]>,
    /// `RateLimit-Policy` of all of them.
    joined: HeaderValue,
    /// Refusals of each policy, which tell of all.
    pub(super) refusals: Box<[Template]>,
    pub(super) unkeyed: Problem,
    pub(super) banned: Problem,
}

#[derive(Debug)]
pub(super) struct PolicyTexts {
    pub(super) name: PolicyName,
    pub(super) quota: Quota,
    pub(super) fields: Fields,
    pub(super) exceeded: Problem,
}

impl PolicyTexts {
    pub(super) fn new(policy: &Policy, quota: Quota) -> Self {
        Self {
            name: policy.name.clone(),
            quota,
            fields: Fields::of_quota(&policy.name, quota, policy.unit()),
            exceeded: Problem::quota_exceeded(
                &policy.name,
                &format!("Too many requests: the quota is {quota}."),
            ),
        }
    }
}

impl Texts {
    pub(super) fn new(meters: &[Meter]) -> Self {
        let policies: Box<[_]> = meters
            .iter()
            .map(|meter| PolicyTexts::new(&meter.policy, meter.quota()))
            .collect();
        let fields: Vec<_> = policies.iter().map(|policy| &policy.fields).collect();
        let joined = fields::joined(&fields);
        let template = |policy: &PolicyTexts| Template::new(&policy.exceeded, &joined);
        let first = &policies[0].name;
        Self {
            refusals: policies.iter().map(template).collect(),
            unkeyed: Problem::quota_exceeded(
                first,
                "The request does not say which client it counts for.",
            ),
            banned: Problem::abnormal_usage(
                first,
                "Too many refused requests: the client is refused for a while.",
            ),
            joined,
            policies,
        }
    }
}

/// How a client stands, to be told in a response.
#[derive(Debug)]
pub(crate) struct Told {
    style: FieldStyle,
    texts: Arc<Texts>,
    items: Items,
}

#[derive(Debug)]
enum Items {
    One(Item),
    /// Boxed: futures that tell of one policy, as most do, stay small.
    Many(Box<[Item]>),
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    policy: usize,
    standing: Standing,
    /// Of a quota of the request's own, which has no prepared texts.
    tier: Option<Arc<Fields>>,
}

impl Item {
    pub(super) fn new(
        ruled: &Ruled,
        window: Duration,
        partition: Option<Partition>,
        policy: &Policy,
    ) -> Self {
        let tier = ruled.demand.tier;
        Self {
            policy: ruled.policy,
            standing: Standing {
                remaining: ruled.ruling.remaining().into(),
                window,
                partition,
            },
            tier: tier.map(|quota| Arc::new(Fields::of_quota(&policy.name, quota, policy.unit()))),
        }
    }

    /// A client that has nothing, for so long.
    pub(super) fn nothing(policy: usize, window: Duration, partition: Option<Partition>) -> Self {
        Self {
            policy,
            standing: Standing {
                remaining: 0,
                window,
                partition,
            },
            tier: None,
        }
    }
}

impl Told {
    /// `None` if there is nothing to tell.
    pub(super) fn new(
        style: FieldStyle,
        texts: &Arc<Texts>,
        rulings: &Rulings,
        item: impl Fn(&Ruled) -> Item,
    ) -> Option<Self> {
        let items = match &rulings[..] {
            [] => return None,
            [one] => Items::One(item(one)),
            several => Items::Many(several.iter().map(item).collect()),
        };
        Some(Self {
            style,
            texts: Arc::clone(texts),
            items,
        })
    }

    pub(super) fn one(style: FieldStyle, texts: &Arc<Texts>, item: Item) -> Self {
        Self {
            style,
            texts: Arc::clone(texts),
            items: Items::One(item),
        }
    }

    /// No window ends later than `Retry-After` says.
    pub(super) fn no_later_than(mut self, delay: Duration) -> Self {
        let items = match &mut self.items {
            Items::One(item) => std::slice::from_mut(item),
            Items::Many(items) => items,
        };
        for item in items {
            item.standing = item.standing.no_later_than(delay);
        }
        self
    }

    pub(crate) fn append(&self, headers: &mut HeaderMap) {
        self.with_fields(|all, fields| {
            let joined = all.then_some(&self.texts.joined);
            fields::append(headers, self.style, joined, fields);
        });
    }

    /// The value of `RateLimit`, if that and `RateLimit-Policy` of all policies are what is told.
    pub(super) fn available(&self) -> Option<HeaderValue> {
        self.with_fields(|all, fields| {
            (all && self.style == FieldStyle::Draft).then(|| fields::available(fields))
        })
    }

    /// What is told, and whether it is of all policies, as they are prepared.
    // One item, as there mostly is, is not worth the room of many.
    #[inline]
    fn with_fields<T>(&self, tell: impl FnOnce(bool, &[(&Fields, Standing)]) -> T) -> T {
        match &self.items {
            Items::One(item) => {
                let all = self.texts.policies.len() == 1 && item.tier.is_none();
                tell(all, &[self.field(item)])
            }
            Items::Many(items) => {
                let fields: ArrayVec<_, MAX_POLICIES> =
                    items.iter().map(|item| self.field(item)).collect();
                let untiered = items.iter().all(|item| item.tier.is_none());
                tell(
                    items.len() == self.texts.policies.len() && untiered,
                    &fields,
                )
            }
        }
    }

    fn field<'a>(&'a self, item: &'a Item) -> (&'a Fields, Standing) {
        let prepared = &self.texts.policies[item.policy].fields;
        (item.tier.as_deref().unwrap_or(prepared), item.standing)
    }
}
