//! Settings: how long answers live, fresh and stale.

use super::CacheLayer;
use crate::error::ConfigError;
use crate::policy::LONGEST;
use crate::rfc9111::status::is_for_all;
use crate::settings::Settings;
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

    /// A lifetime for error answers of these statuses whose origin states none; off by default.
    ///
    /// It spares the service the same question while the answer is an error, so it should be seconds:
    /// whoever brings an error about keeps the others from the page for so long. What an answer says of
    /// its lifetime, or that it is not to be stored, counts as ever; so do credentials. Of a status that
    /// is named more than once the last lifetime counts. More than 68 years count as 68.
    ///
    /// An error lives no longer than this: [`stale_while_revalidate`](Self::stale_while_revalidate) and
    /// [`stale_if_error`](Self::stale_if_error) are not for errors. And no 5xx takes the place of an
    /// answer that is still fresh, or that may stand in for an error.
    ///
    /// ```
    /// use cache_layer::CacheLayer;
    /// use std::time::Duration;
    ///
    /// let cache = CacheLayer::new(64 << 20)
    ///     .negative_ttl([404, 410], Duration::from_secs(10))
    ///     .negative_ttl(500..=504, Duration::from_secs(1));
    /// # let _ = cache;
    /// ```
    ///
    /// # Panics
    ///
    /// If `ttl` is zero, or for a status that speaks of who asks or of how, not of what was asked for:
    /// allowed are 403 (mind whom it is for), 404, 405, 410, 414, 451, and 500 to 599 but 505 and 511.
    #[track_caller]
    pub fn negative_ttl(self, statuses: impl IntoIterator<Item = u16>, ttl: Duration) -> Self {
        self.try_negative_ttl(statuses, ttl)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`negative_ttl`](Self::negative_ttl), for values that come from configuration.
    ///
    /// # Errors
    ///
    /// Where that one panics.
    #[track_caller]
    pub fn try_negative_ttl(
        mut self,
        statuses: impl IntoIterator<Item = u16>,
        ttl: Duration,
    ) -> Result<Self, ConfigError> {
        if ttl.is_zero() {
            let why = "the ttl of negative_ttl is 0 s, but must be longer";
            return Err(ConfigError::new(why));
        }
        let negative = &mut self.setting().negative;
        for status in statuses {
            if !is_for_all(status) {
                return Err(ConfigError::new(format!(
                    "negative_ttl is for status {status}, but must be for 403, 404, 405, 410, 414, 451, or \
                     500 to 599 but 505 and 511"
                )));
            }
            negative.retain(|(other, _)| *other != status);
            negative.push((status, ttl.min(LONGEST)));
        }
        Ok(self)
    }

    /// How long answers are fresh at least, even if their origin states a shorter time; off by default,
    /// and with zero.
    ///
    /// RFC 9111 section 4.2.1 calls such an answer stale, and section 4.2.4 lets a cache use it only by
    /// a contract with its origin: set this for a service of your own whose `max-age` is too short to be
    /// of use. Clients see from `Age` and the answer's own fields how old it really is.
    ///
    /// Nothing is lengthened that its origin wants to be asked about: a lifetime of zero or past
    /// (`max-age=0`, an old or unreadable `Expires`); `no-cache`, `must-revalidate`, `proxy-revalidate`
    /// or `s-maxage`, which forbid stale use. Nor are errors, or lifetimes of our own making, as
    /// [`default_ttl`](Self::default_ttl). What must not be stored is not (`no-store`, `private`). More than
    /// 68 years count as 68.
    ///
    /// [`ttl_jitter`](Self::ttl_jitter) shortens what was lengthened, but not below what was stated.
    ///
    /// # Panics
    ///
    /// If it is longer than [`max_ttl`](Self::max_ttl).
    #[track_caller]
    pub fn min_ttl(mut self, ttl: Duration) -> Self {
        self.setting().min_ttl = ttl.min(LONGEST);
        self.check_bounds();
        self
    }

    /// How long answers are fresh at most, whatever they, their handler, [`Warm`](crate::Warm) or other
    /// settings say; off by default.
    ///
    /// The time left that [`CacheStatus::Debug`](crate::CacheStatus::Debug) shows is by this bound. Past
    /// it an answer is stale: asked about, or used where stale ones may be. More than 68 years count as
    /// 68.
    ///
    /// # Panics
    ///
    /// If it is zero, or shorter than [`min_ttl`](Self::min_ttl).
    #[track_caller]
    pub fn max_ttl(mut self, ttl: Duration) -> Self {
        assert!(!ttl.is_zero(), "max_ttl is 0 s, but must be longer");
        self.setting().max_ttl = Some(ttl.min(LONGEST));
        self.check_bounds();
        self
    }

    #[track_caller]
    fn check_bounds(&mut self) {
        let &mut Settings {
            min_ttl, max_ttl, ..
        } = self.setting();
        assert!(
            max_ttl.is_none_or(|most| min_ttl <= most),
            "min_ttl is {min_ttl:?}, but must be at most max_ttl, which is {:?}",
            max_ttl.unwrap_or_default()
        );
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

    /// The share by which lifetimes of our own making are shortened at random, so that what was stored
    /// together does not expire together: from `0.0` to `1.0`, by default `0.1`.
    ///
    /// Such are the ones by [`default_ttl`](Self::default_ttl), [`negative_ttl`](Self::negative_ttl),
    /// [`heuristic`](Self::heuristic) and [`grpc_method`](Self::grpc_method), and those that
    /// [`min_ttl`](Self::min_ttl) or [`max_ttl`](Self::max_ttl) set in place of what was stated. What an
    /// origin states within those bounds is left as it is. [`Warm::ttl`](crate::Warm::ttl), which is a
    /// least time, is lengthened by the share instead.
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
    /// where it does not say so itself (RFC 5861 section 3); off by default. Errors are not served so.
    ///
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage` and `no-cache` forbid it. More than 68 years
    /// count as 68.
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.setting().stale_while_revalidate = time.min(LONGEST);
        self
    }

    /// For how long past its lifetime an answer is served where the service fails, or answers 500,
    /// 502, 503 or 504, where it does not say so itself (RFC 5861 section 4); off by default. An error
    /// stands in for no other.
    ///
    /// `must-revalidate`, `proxy-revalidate`, `s-maxage` and `no-cache` forbid it. More than 68 years
    /// count as 68.
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.setting().stale_if_error = time.min(LONGEST);
        self
    }

    /// Whether an answer is served past its lifetime, for as long as it is there, where the service
    /// fails with an error of its own: RFC 9111 section 4.2.4 allows it to a cache that is cut off; off
    /// by default. A stored 5xx is not.
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
