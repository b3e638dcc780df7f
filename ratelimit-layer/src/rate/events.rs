//! What is logged: refusals, at most one event a second, which says how many it stands for.

use super::limited::RateLimited;

#[cfg(feature = "tracing")]
#[derive(Debug, Default)]
pub(super) struct Events {
    next: std::sync::atomic::AtomicU64,
    unsaid: std::sync::atomic::AtomicU64,
}

#[cfg(feature = "tracing")]
impl Events {
    /// `now` is the limiter's.
    pub(super) fn refused(
        &self,
        now: u64,
        why: &RateLimited,
        label: impl FnOnce() -> Option<String>,
    ) {
        use std::sync::atomic::Ordering::Relaxed;
        const SECOND: u64 = 1_000_000_000;
        let refused = self.unsaid.fetch_add(1, Relaxed) + 1;
        let next = self.next.load(Relaxed);
        let exchange = |to| self.next.compare_exchange(next, to, Relaxed, Relaxed);
        if now < next || exchange(now.saturating_add(SECOND)).is_err() {
            return;
        }
        self.unsaid.fetch_sub(refused, Relaxed);
        tracing::warn!(
            target: "ratelimit_layer",
            policy = why.policy(),
            client = label().as_deref().unwrap_or("-"),
            retry_after = why.retry_after(),
            refused,
            "{why}"
        );
    }
}

/// Without the feature `tracing` nothing is said.
#[cfg(not(feature = "tracing"))]
#[derive(Debug, Default)]
pub(super) struct Events(());

#[cfg(not(feature = "tracing"))]
impl Events {
    #[expect(
        clippy::unused_self,
        reason = "the same call with and without the feature"
    )]
    pub(super) fn refused(&self, _: u64, _: &RateLimited, _: impl FnOnce() -> Option<String>) {}
}
