//! The settings of a layer, checked.

use crate::cache_status::{CacheStatus, DEFAULT_NAME, StatusField};
use crate::fill::Lifetimes;
use crate::key::Keying;
use crate::rfc9111::storable::{Cookies, Policy, SetCookie};
use crate::store::Eviction;
use http::{Extensions, HeaderName};
use std::sync::Arc;
use std::time::Duration;

/// Copies an extension of one type from a request to another.
pub(crate) type Carry = fn(&Extensions, &mut Extensions);

/// Settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) max_bytes: u64,
    pub(crate) max_entry_bytes: u64,
    pub(crate) max_key_content: u64,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) heuristic: bool,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) stale_if_disconnected: bool,
    pub(crate) targeted: Arc<[HeaderName]>,
    pub(crate) set_cookie: SetCookie,
    pub(crate) cookies: Cookies,
    pub(crate) store_post: bool,
    pub(crate) query: bool,
    pub(crate) no_vary_search: bool,
    /// gRPC methods by their path, with the lifetime of answers that state none.
    pub(crate) grpc: Vec<(Box<str>, Duration)>,
    pub(crate) carried: Vec<Carry>,
    pub(crate) ttl_jitter: f64,
    pub(crate) eviction: Eviction,
    pub(crate) collapse_wait: Duration,
    pub(crate) fill_timeout: Duration,
    pub(crate) keys: Keying,
    pub(crate) cache_status: CacheStatus,
    pub(crate) cache_name: Box<str>,
    /// Made of the two above.
    pub(crate) status_field: StatusField,
}

impl Settings {
    pub(crate) fn new(max_bytes: u64) -> Self {
        let (cache_status, cache_name) = (CacheStatus::default(), DEFAULT_NAME);
        Self {
            max_bytes,
            max_entry_bytes: 1 << 20,
            max_key_content: 64 << 10,
            default_ttl: None,
            heuristic: false,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            stale_if_disconnected: false,
            targeted: Arc::default(),
            set_cookie: SetCookie::default(),
            cookies: Cookies::default(),
            store_post: false,
            query: false,
            no_vary_search: false,
            grpc: Vec::new(),
            carried: Vec::new(),
            ttl_jitter: 0.1,
            eviction: Eviction::default(),
            collapse_wait: Duration::from_secs(30),
            fill_timeout: Duration::from_secs(60),
            keys: Keying::default(),
            cache_status,
            cache_name: cache_name.into(),
            status_field: StatusField::new(cache_status, cache_name),
        }
    }

    pub(crate) fn max_body_bytes(&self) -> u64 {
        self.max_entry_bytes.min(self.max_bytes)
    }

    pub(crate) fn policy(&self, lifetimes: Lifetimes) -> Policy {
        let (default_ttl, heuristic) = match lifetimes {
            Lifetimes::Usual => (self.default_ttl, self.heuristic),
            Lifetimes::Stated => (None, false),
            Lifetimes::Default(ttl) | Lifetimes::AtLeast(ttl) => (Some(ttl), self.heuristic),
        };
        Policy {
            max_body_bytes: self.max_body_bytes(),
            default_ttl,
            heuristic,
            set_cookie: self.set_cookie,
            stale_while_revalidate: self.stale_while_revalidate,
            stale_if_error: self.stale_if_error,
        }
    }

    /// Copies to a request of our own what its service must know of every request.
    pub(crate) fn carry(&self, from: &Extensions, to: &mut Extensions) {
        #[cfg(feature = "axum")]
        if let Some(uri) = from.get::<axum::extract::OriginalUri>() {
            to.insert(uri.clone());
        }
        self.carried.iter().for_each(|carry| carry(from, to));
    }
}
