use crate::cache_status::CacheStatus;
use crate::error::ConfigError;
use crate::handle::CacheHandle;
use crate::rfc9111::storable::SetCookie;
use crate::service::Cache;
use crate::shared::{Settings, Shared};
use crate::store::Eviction;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tower_layer::Layer;

/// Caches the answers of a service: an RFC 9111 shared cache in bounded memory.
///
/// Services made by one layer, or by its clones, share one cache. See the [crate's page](crate) for
/// what is stored and what never is.
///
/// # Panics
///
/// Settings are for before the first use: a setter panics after [`handle`](Self::handle) or
/// [`layer`](Layer::layer) has been called on the layer or on a clone.
#[derive(Clone)]
#[must_use]
pub struct CacheLayer {
    settings: Settings,
    /// Made at the first use, so that clones made before it share it too.
    shared: Arc<OnceLock<Arc<Shared>>>,
}

/// The least memory that a cache can do anything with.
const MIN_BYTES: u64 = 4096;

/// What an overflowing `delta-seconds` counts as (RFC 9111 section 1.2.2).
const LONGEST: Duration = Duration::from_secs(1 << 31);

impl CacheLayer {
    /// A cache of at most so many bytes, counted as they are really held: bodies, fields, keys and
    /// bookkeeping. At least 4,096.
    ///
    /// Answers that are on their way into the store count too. While they arrive faster than others
    /// are evicted, the bound may be exceeded by a quarter; beyond that, they stream through and
    /// nothing is stored.
    ///
    /// # Panics
    ///
    /// If `max_bytes` is less than 4,096. Use [`try_new`](Self::try_new) for configured values.
    #[track_caller]
    pub fn new(max_bytes: u64) -> Self {
        Self::try_new(max_bytes).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`new`](Self::new), for values that come from configuration.
    ///
    /// # Errors
    ///
    /// If `max_bytes` is less than 4,096.
    pub fn try_new(max_bytes: u64) -> Result<Self, ConfigError> {
        if max_bytes < MIN_BYTES {
            return Err(ConfigError::new(format!(
                "max_bytes is {max_bytes}, but a cache needs at least {MIN_BYTES}"
            )));
        }
        Ok(Self {
            settings: Settings {
                max_bytes,
                max_entry_bytes: 1 << 20,
                default_ttl: None,
                heuristic: false,
                set_cookie: SetCookie::default(),
                ttl_jitter: 0.1,
                eviction: Eviction::default(),
                collapse_wait: Duration::from_secs(30),
                fill_timeout: Duration::from_secs(60),
                namespace: Box::default(),
                cache_status: CacheStatus::default(),
            },
            shared: Arc::default(),
        })
    }

    /// The longest body that is stored, in bytes; default 1 MiB, never more than the whole cache.
    ///
    /// A longer one streams through and is not stored.
    pub fn max_entry_bytes(mut self, bytes: u64) -> Self {
        self.setting().max_entry_bytes = bytes;
        self
    }

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
    /// It applies to the statuses of RFC 9110 section 15.1, and to any by `public`, before
    /// [`default_ttl`](Self::default_ttl).
    pub fn heuristic(mut self, on: bool) -> Self {
        self.setting().heuristic = on;
        self
    }

    /// What becomes of answers with `Set-Cookie`; they are not stored by default.
    pub fn set_cookie(mut self, set_cookie: SetCookie) -> Self {
        self.setting().set_cookie = set_cookie;
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

    /// Whom a full cache parts with; TinyLFU by default.
    pub fn eviction(mut self, eviction: Eviction) -> Self {
        self.setting().eviction = eviction;
        self
    }

    /// How long a request waits for the head of the same answer that another one is already
    /// fetching, before it asks the service itself; 30 seconds by default, zero to never wait.
    pub fn collapse_wait(mut self, wait: Duration) -> Self {
        self.setting().collapse_wait = wait.min(LONGEST);
        self
    }

    /// How long a request to the service goes on for the store's sake when no client waits for it
    /// any more; 60 seconds by default, exact to a factor of two. A request that nobody could have
    /// joined, as one with credentials, ends with its client.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn fill_timeout(mut self, timeout: Duration) -> Self {
        assert!(
            !timeout.is_zero(),
            "fill_timeout is 0 s, but must be longer"
        );
        self.setting().fill_timeout = timeout;
        self
    }

    /// Text that is part of every key; empty by default.
    pub fn namespace(mut self, namespace: impl AsRef<[u8]>) -> Self {
        self.setting().namespace = namespace.as_ref().into();
        self
    }

    /// Whether answers carry `Cache-Status` (RFC 9211); on by default.
    pub fn cache_status(mut self, show: CacheStatus) -> Self {
        self.setting().cache_status = show;
        self
    }

    /// A handle to the cache of this layer.
    #[must_use]
    pub fn handle(&self) -> CacheHandle {
        CacheHandle::new(Arc::clone(self.shared()))
    }

    #[track_caller]
    fn setting(&mut self) -> &mut Settings {
        assert!(
            self.shared.get().is_none(),
            "a CacheLayer is set up before its handle is taken or a service is wrapped"
        );
        &mut self.settings
    }

    fn shared(&self) -> &Arc<Shared> {
        self.shared
            .get_or_init(|| Arc::new(Shared::new(self.settings.clone())))
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = Cache<S>;

    fn layer(&self, inner: S) -> Cache<S> {
        Cache::new(inner, Arc::clone(self.shared()))
    }
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
