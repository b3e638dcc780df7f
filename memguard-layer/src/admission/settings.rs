//! The layer's settings of who is admitted, and of what becomes of the others.

use std::{sync::Arc, time::Duration};

use super::{Factor, Policy, Priority};
use crate::{ConfigError, Head, MemGuardLayer};

impl<R> MemGuardLayer<R> {
    /// What becomes of a request for which there is no room. Default: [`Policy::EvictThenReject`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memguard_layer::{MemGuardLayer, Policy};
    ///
    /// let wait = Duration::from_secs(2);
    /// let guard = MemGuardLayer::new(256 << 20).policy(Policy::Delay { wait, max_waiting: 500 });
    /// ```
    ///
    /// # Panics
    ///
    /// If the wait is not from 1 ms to an hour, or nobody may wait, which [`try_policy`](Self::try_policy) returns as an
    /// error; or if a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn policy(self, policy: Policy) -> Self {
        match self.try_policy(policy) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`policy`](Self::policy), for one that comes from configuration.
    ///
    /// # Errors
    ///
    /// If the wait is not from 1 ms to an hour, or nobody may wait.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn try_policy(mut self, policy: Policy) -> Result<Self, ConfigError> {
        policy.check()?;
        self.guard_mut().set_policy(policy);
        Ok(self)
    }

    /// How many times its own length a request body costs at its worst, while it is handled. Default: 2.
    ///
    /// 2 is right for a handler that takes the whole body: it holds the frames and the buffer they are joined in for a
    /// moment. 1 suits handlers that keep the frames, or stream them on to one that may be slow. More is for what is made of
    /// the whole body, and stays promised until the head of the response is ready: a `serde_json::Value` takes up to 32 times
    /// its text if that is numbers, and 126 times if it is the smallest objects one within the other, so that 130 is safe
    /// for whatever comes. 0 is for handlers that hand each frame on before they take the next, as a proxy does: such a
    /// body is metered as one of unknown length and may be larger than the budget.
    pub fn body_factor(mut self, factor: u32) -> Self {
        self.rules_mut().factor = Factor::Always(factor);
        self
    }

    /// As [`body_factor`](Self::body_factor), for each route its own.
    ///
    /// ```
    /// # use memguard_layer::MemGuardLayer;
    /// let guard = MemGuardLayer::new(256 << 20).body_factor_by(|head| match head.uri.path() {
    ///     "/proxy" => 0,
    ///     "/import" => 130, // JSON, parsed into a tree of any shape
    ///     _ => 2,
    /// });
    /// ```
    pub fn body_factor_by(mut self, by: impl Fn(&Head<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.rules_mut().factor = Factor::By(Arc::new(by));
        self
    }

    /// How many bytes a handler allocates by itself: the response it builds, a result set, an image it decodes. Default: 0.
    ///
    /// They are promised when the request is admitted, on top of what its body costs, until the head of its response is
    /// ready; what it made is in the heap by then. Without it nothing is reserved for a request without a body, and a
    /// thousand of them may wait for a database together before each builds its megabyte.
    ///
    /// ```
    /// # use memguard_layer::MemGuardLayer;
    /// let guard = MemGuardLayer::new(256 << 20).handler_bytes(|head| match head.uri.path() {
    ///     "/report" => 8 << 20,
    ///     _ => 0,
    /// });
    /// ```
    pub fn handler_bytes(mut self, by: impl Fn(&Head<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.rules_mut().handler = Some(Arc::new(by));
        self
    }

    /// Lets requests pass always and unmetered for which `exempt` is true: health checks. Default: none.
    pub fn exempt(mut self, exempt: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.rules_mut().exempt = Some(Arc::new(exempt));
        self
    }

    /// How much it matters to answer a request. Default: [`Priority::Normal`] for all.
    ///
    /// Those of low priority are shed before others have to be refused, once caches have nothing more to give: none at
    /// 85 % of the budget, where [`Level::Soft`](crate::Level::Soft) begins, all at 95 %, where
    /// [`Level::Hard`](crate::Level::Hard) does, and a share of them at random between. For a request without a body it
    /// is the heap that counts, for others the heap with all that is promised and what they would need themselves.
    ///
    /// ```
    /// # use memguard_layer::{MemGuardLayer, Priority};
    /// let guard = MemGuardLayer::new(256 << 20).priority(|head| match head.headers.get("sec-purpose") {
    ///     Some(purpose) if purpose.as_bytes().starts_with(b"prefetch") => Priority::Low,
    ///     _ => Priority::Normal,
    /// });
    /// ```
    pub fn priority(mut self, by: impl Fn(&Head<'_>) -> Priority + Send + Sync + 'static) -> Self {
        self.rules_mut().priority = Some(Arc::new(by));
        self
    }

    /// What a refused client is told to wait at least, in whole seconds rounded up, at least 1. Default: 1 s.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.guard_mut().set_retry_after(delay);
        self
    }

    /// How much longer a refused client may be told to wait, each by a random part of it, so that clients refused together
    /// do not come back together. Default: 2 s.
    ///
    /// # Panics
    ///
    /// If a handle was taken, the layer cloned, or a service made of it before.
    #[track_caller]
    pub fn retry_jitter(mut self, jitter: Duration) -> Self {
        self.guard_mut().set_retry_jitter(jitter);
        self
    }
}
