mod keys;
mod lifetimes;
mod storing;

use crate::cache_status::CacheStatus;
use crate::error::ConfigError;
use crate::handle::CacheHandle;
use crate::policy::LONGEST;
use crate::pool::Pool;
use crate::service::Cache;
use crate::settings::Settings;
use crate::shared::Shared;
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
    pub(crate) settings: Settings,
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
    /// What is stored does not exceed it, but for the moment in which it is decided who leaves for a
    /// newcomer. With answers on their way into the store, and bodies that clients still read after their
    /// entries have left, it takes a quarter more at most, at every moment: answers for which that is not
    /// enough stream through and nothing is stored.
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

    /// Whom a full cache parts with, once nothing is left that has expired; TinyLFU by default.
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
