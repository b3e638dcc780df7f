//! What the settings make of a request.

use std::{fmt, sync::Arc};

use http_body::Body;

use super::{Need, Priority};
use crate::Head;

type By<T> = Arc<dyn Fn(&Head<'_>) -> T + Send + Sync>;

/// The settings that look at requests.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    pub(crate) exempt: Option<By<bool>>,
    pub(crate) priority: Option<By<Priority>>,
    pub(crate) factor: Factor,
    pub(crate) handler: Option<By<u64>>,
}

/// How many times its length a body costs.
#[derive(Clone)]
pub(crate) enum Factor {
    Always(u32),
    By(By<u32>),
}

impl Default for Factor {
    fn default() -> Self {
        Self::Always(2)
    }
}

/// What one request asks of the guard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) need: Need,
    pub(crate) factor: u32,
    /// Bytes that the handler allocates by itself.
    pub(crate) handler: u64,
    pub(crate) priority: Priority,
}

impl Demand {
    /// All that is to be reserved.
    pub(crate) const fn bytes(&self) -> u64 {
        self.need.bytes().saturating_add(self.handler)
    }
}

impl Rules {
    /// `None`: the request is exempt.
    #[inline]
    pub(crate) fn demand<B: Body>(&self, head: &Head<'_>, body: &B) -> Option<Demand> {
        if self.exempt.as_ref().is_some_and(|exempt| exempt(head)) {
            return None;
        }
        let priority = self
            .priority
            .as_ref()
            .map_or(Priority::Normal, |by| by(head));
        let (need, factor) = if body.is_end_stream() {
            (Need::Nothing, 0)
        } else {
            let factor = match &self.factor {
                Factor::Always(factor) => *factor,
                Factor::By(by) => by(head),
            };
            (Need::of_body(head.headers, body, factor), factor)
        };
        Some(Demand {
            need,
            factor,
            handler: self.handler.as_ref().map_or(0, |by| by(head)),
            priority,
        })
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}
