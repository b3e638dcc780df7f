//! Settings: how long answers live, fresh and stale.

use super::CacheLayer;
use crate::policy::LONGEST;
use http::HeaderName;
use std::time::Duration;

impl CacheLayer {
    /// A lifetime for answers whose origin states none; off by default.
    ///
    /// It applies to the statuses 200, 203, 204, 300, 301 and 308 only. An answer that says anything
    /// of its own lifetime, or forbids storing, is taken at its word. Zero turns it off; more than
    /// 68 years count as 68.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.setting().default_ttl = Some(ttl.min(LONGEST)).filter(|ttl| !ttl.is_zero());
        self
    }

    /// Whether answers that state no lifetime, but a `Last-Modified`, are fresh for a tenth of the time
    /// since then, a day at most (RFC 9111 section 4.2.2); off by default.
    ///
    /// It applies to the statuses of RFC 9110 section 15.1, and to any by `public`, where
    /// [`default_ttl`](Self::default_ttl) does not.
    pub fn heuristic(mut self, on: bool) -> Self {
        self.setting().heuristic = on;
        self
    }

    /// The share by which lifetimes of our own making, as [`default_ttl`](Self::default_ttl), are
    /// shortened at random, so that what was stored together does not expire together: from `0.0` to
    /// `1.0`, by default `0.1`.
    ///
    /// # Panics
    ///
    /// If the share is out of range.
    #[track_caller]
    pub fn ttl_jitter(mut self, share: f64) -> Self {
        assert!(
            (0.0..=1.0).contains(&share),
            "ttl_jitter is {share}, but must be from 0.0 to 1.0"
        );
        self.setting().ttl_jitter = share;
        self
    }

    /// For how long past its lifetime an answer is served at once and fetched anew in the background,
    /// where it does not say so itself (RFC 5861 section 3); off by default.
    ///
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage` and `no-cache` forbid it. More than 68 years
    /// count as 68.
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.setting().stale_while_revalidate = time.min(LONGEST);
        self
    }

    /// For how long past its lifetime an answer is served where the service fails, or answers 500,
    /// 502, 503 or 504, where it does not say so itself (RFC 5861 section 4); off by default.
    ///
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage` and `no-cache` forbid it. More than 68 years
    /// count as 68.
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.setting().stale_if_error = time.min(LONGEST);
        self
    }

    /// Whether an answer is served past its lifetime, for as long as it is there, where the service
    /// fails with an error of its own: RFC 9111 section 4.2.4 allows it to a cache that is cut off; off
    /// by default.
    ///
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage` and `no-cache` forbid it.
    pub fn stale_if_disconnected(mut self, on: bool) -> Self {
        self.setting().stale_if_disconnected = on;
        self
    }

    /// Fields that speak to this cache in place of `Cache-Control` and `Expires`, such as
    /// `CDN-Cache-Control`, the most telling first (RFC 9213); none by default.
    pub fn targeted(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.setting().targeted = fields.into_iter().collect();
        self
    }

    /// How long an entry stays that nobody asks for, whatever its lifetime; for ever by default.
    ///
    /// It leaves within a minute after that, if there are requests at all, and answers none in the
    /// meantime. More than 68 years count as 68. Layers that share a memory share the first one's.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn time_to_idle(mut self, time: Duration) -> Self {
        assert!(!time.is_zero(), "time_to_idle is 0 s, but must be longer");
        self.setting().time_to_idle = Some(time.min(LONGEST));
        self
    }

    /// The last share of a lifetime in which an answer that is asked for often is fetched anew in the
    /// background, so that nobody waits when it expires: from `0.0`, which is the default and off, to
    /// `0.5`.
    ///
    /// Often is ten times since it was stored, or more. If the service fails, it is left at that: the
    /// answer lives to its end. What is fetched carries nothing of the client's, as for
    /// [`stale_while_revalidate`](Self::stale_while_revalidate).
    ///
    /// # Panics
    ///
    /// If the share is out of range.
    #[track_caller]
    pub fn refresh_ahead(mut self, share: f64) -> Self {
        assert!(
            (0.0..=0.5).contains(&share),
            "refresh_ahead is {share}, but must be from 0.0 to 0.5"
        );
        self.setting().refresh_ahead = share;
        self
    }
}
