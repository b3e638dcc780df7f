use crate::cache_status::CacheStatus;
use crate::error::ConfigError;
use crate::handle::CacheHandle;
use crate::policy::LONGEST;
use crate::pool::Pool;
use crate::rfc9111::storable::{Cookies, SetCookie};
use crate::service::Cache;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::store::Eviction;
use http::HeaderName;
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
    /// Both are made at the first use, so that clones made before it share them too.
    pool: Arc<OnceLock<Arc<Pool>>>,
    shared: Arc<OnceLock<Arc<Shared>>>,
}

/// The least memory that a cache can do anything with.
const MIN_BYTES: u64 = 4096;

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
            settings: Settings::new(max_bytes),
            pool: Arc::default(),
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
    /// It applies to the statuses of RFC 9110 section 15.1, and to any by `public`, where
    /// [`default_ttl`](Self::default_ttl) does not.
    pub fn heuristic(mut self, on: bool) -> Self {
        self.setting().heuristic = on;
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

    /// What becomes of answers with `Set-Cookie`; they are not stored by default.
    pub fn set_cookie(mut self, set_cookie: SetCookie) -> Self {
        self.setting().set_cookie = set_cookie;
        self
    }

    /// What becomes of requests with `Cookie`; by default they share only what says that it is for
    /// everybody.
    pub fn cookies(mut self, cookies: Cookies) -> Self {
        self.setting().cookies = cookies;
        self
    }

    /// Whether an answer to POST that states its lifetime, and in `Content-Location` that it is what a
    /// GET of the same URI would get, answers later GET requests (RFC 9110 section 9.3.3); off by
    /// default.
    pub fn store_post(mut self, on: bool) -> Self {
        self.setting().store_post = on;
        self
    }

    /// Whether answers to QUERY are stored, with the request's content as part of the key (RFC 10008
    /// section 2.7); off by default.
    pub fn query(mut self, on: bool) -> Self {
        self.setting().query = on;
        self
    }

    /// A gRPC method whose answers are stored, with the request's content as part of the key, by its
    /// path, such as `/package.Service/Method`; none by default.
    ///
    /// Only for unary methods that change nothing. Answers live as long as their `cache-control`
    /// metadata say, else for `ttl` (more than 68 years count as 68), and only with status OK. What
    /// was asked for with `authorization` metadata is not shared, unless it says `public`.
    ///
    /// # Panics
    ///
    /// If the path does not begin with a slash, or `ttl` is zero.
    #[track_caller]
    pub fn grpc_method(mut self, path: &str, ttl: Duration) -> Self {
        assert!(
            path.starts_with('/'),
            "grpc_method is {path:?}, but must be like \"/package.Service/Method\""
        );
        assert!(
            !ttl.is_zero(),
            "the ttl of grpc_method {path:?} is 0 s, but must be longer"
        );
        self.setting().grpc.push((path.into(), ttl.min(LONGEST)));
        self
    }

    /// The longest content of a QUERY or gRPC request that becomes part of a key, in bytes; 64 KiB by
    /// default. Requests with more are passed on.
    pub fn max_key_content(mut self, bytes: u64) -> Self {
        self.setting().max_key_content = bytes;
        self
    }

    /// Whether `No-Vary-Search` in answers is heeded: which parameters of a query matter
    /// (draft-ietf-httpbis-no-vary-search-10); off by default.
    pub fn no_vary_search(mut self, on: bool) -> Self {
        self.setting().no_vary_search = on;
        self
    }

    /// An extension that background requests inherit from the request that caused them.
    ///
    /// They have none otherwise, as extensions may say who the client is. A service below that fails
    /// without one, such as a state that an outer layer puts in, needs it named here.
    pub fn carry_extension<T: Clone + Send + Sync + 'static>(mut self) -> Self {
        self.setting().carried.push(|from, to| {
            if let Some(extension) = from.get::<T>() {
                to.insert(extension.clone());
            }
        });
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

    /// The name of this cache in `Cache-Status`; by default `cache-layer`.
    ///
    /// # Panics
    ///
    /// If it is empty, longer than 64 characters, or has others than visible ASCII and spaces.
    #[track_caller]
    pub fn cache_name(mut self, name: &str) -> Self {
        let allowed = |byte: u8| (b' '..=b'~').contains(&byte);
        assert!(
            (1..=64).contains(&name.len()) && name.bytes().all(allowed),
            "cache_name is {name:?}, but must be 1 to 64 characters of visible ASCII and spaces"
        );
        self.setting().cache_name = name.into();
        self
    }

    /// A layer of its own settings and keys, for another route, in the memory of this one.
    ///
    /// It starts with this layer's settings, and counts by itself; the bound on the memory is for
    /// both, as are [`clear`](CacheHandle::clear), [`reclaim`](CacheHandle::reclaim) and
    /// [`purge_tag`](CacheHandle::purge_tag). `max_bytes` and [`eviction`](Self::eviction) are the
    /// first layer's.
    ///
    /// ```
    /// use cache_layer::CacheLayer;
    /// use std::time::Duration;
    ///
    /// let pages = CacheLayer::new(64 << 20).default_ttl(Duration::from_secs(5));
    /// let images = pages.namespaced("images").default_ttl(Duration::from_secs(3600));
    /// # let _ = images;
    /// ```
    pub fn namespaced(&self, namespace: impl AsRef<[u8]>) -> Self {
        Self {
            settings: self.settings.clone(),
            pool: Arc::clone(&self.pool),
            shared: Arc::default(),
        }
        .namespace(namespace)
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
        self.shared.get_or_init(|| {
            let pool = self
                .pool
                .get_or_init(|| Arc::new(Pool::new(&self.settings)));
            Arc::new(Shared::new(self.settings.clone(), Arc::clone(pool)))
        })
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
