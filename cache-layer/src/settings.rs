//! The settings of a layer, checked.

use crate::cache_status::{CacheStatus, DEFAULT_NAME, StatusField};
use crate::fill::Lifetimes;
use crate::key::Keying;
use crate::request::{CREDENTIALS, Facts, Names};
use crate::rfc9111::lifetime::Configured;
use crate::rfc9111::storable::{Asked, Cookies, Credentials, Policy, SetCookie};
use crate::store::Eviction;
use http::{Extensions, HeaderMap, HeaderName, header};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Copies an extension of one type from a request to another.
pub(crate) type Carry = fn(&Extensions, &mut Extensions);

/// Whether what is not stored yet may enter now; always, where nobody is asked.
#[derive(Clone, Default)]
pub(crate) struct Admits(pub(crate) Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Admits {
    pub(crate) fn now(&self) -> bool {
        self.0.as_ref().is_none_or(|admits| admits())
    }
}

impl fmt::Debug for Admits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "asked" } else { "always" })
    }
}

/// Settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) max_bytes: u64,
    pub(crate) max_entry_bytes: u64,
    pub(crate) max_header_bytes: u64,
    pub(crate) max_vary_names: usize,
    pub(crate) max_variants: usize,
    pub(crate) max_key_content: u64,
    pub(crate) admits: Admits,
    pub(crate) default_ttl: Option<Duration>,
    /// For errors, by status.
    pub(crate) negative: Vec<(u16, Duration)>,
    pub(crate) heuristic: bool,
    pub(crate) min_ttl: Duration,
    pub(crate) max_ttl: Option<Duration>,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) stale_if_disconnected: bool,
    pub(crate) targeted: Arc<[HeaderName]>,
    pub(crate) set_cookie: SetCookie,
    pub(crate) cookies: Cookies,
    pub(crate) credentials: Credentials,
    pub(crate) credential_headers: Names,
    pub(crate) vary_on: Vec<HeaderName>,
    pub(crate) store_post: bool,
    pub(crate) query: bool,
    pub(crate) no_vary_search: bool,
    /// gRPC methods by their path, with the lifetime of answers that state none.
    pub(crate) grpc: Vec<(Box<str>, Duration)>,
    pub(crate) carried: Vec<Carry>,
    pub(crate) ttl_jitter: f64,
    pub(crate) time_to_idle: Option<Duration>,
    /// Share of a lifetime, before its end; 0 is off.
    pub(crate) refresh_ahead: f64,
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
            max_header_bytes: 32 << 10,
            max_vary_names: 8,
            max_variants: 32,
            max_key_content: 64 << 10,
            admits: Admits::default(),
            default_ttl: None,
            negative: Vec::new(),
            heuristic: false,
            min_ttl: Duration::ZERO,
            max_ttl: None,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            stale_if_disconnected: false,
            targeted: Arc::default(),
            set_cookie: SetCookie::default(),
            cookies: Cookies::default(),
            credentials: Credentials::default(),
            credential_headers: Names::new(CREDENTIALS),
            vary_on: Vec::new(),
            store_post: false,
            query: false,
            no_vary_search: false,
            grpc: Vec::new(),
            carried: Vec::new(),
            ttl_jitter: 0.1,
            time_to_idle: None,
            refresh_ahead: 0.0,
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

    /// What an answer is judged by that was asked for in this way; `draw` is uniform in `0.0..1.0`.
    pub(crate) fn policy(&self, lifetimes: Lifetimes, draw: f64) -> Policy<'_> {
        let mut configured = Configured {
            stated_only: false,
            default_ttl: self.default_ttl,
            negative: &self.negative,
            heuristic: self.heuristic,
            min_ttl: self.min_ttl,
            max_ttl: self.max_ttl,
            warm_ttl: Duration::ZERO,
            jitter: self.ttl_jitter,
            draw,
        };
        match lifetimes {
            Lifetimes::Usual => {}
            Lifetimes::Stated => configured.stated_only = true,
            Lifetimes::Default(ttl) => {
                configured.default_ttl = Some(ttl);
                configured.negative = &[];
            }
            Lifetimes::AtLeast(ttl) => {
                configured.default_ttl = Some(ttl);
                configured.warm_ttl = ttl;
            }
        }
        Policy {
            max_body_bytes: self.max_body_bytes(),
            max_header_bytes: self.max_header_bytes,
            max_vary_names: self.max_vary_names,
            credentials: self.credential_headers.all(),
            vary_on: &self.vary_on,
            lifetimes: configured,
            set_cookie: self.set_cookie,
            stale_while_revalidate: self.stale_while_revalidate,
            stale_if_error: self.stale_if_error,
        }
    }

    pub(crate) fn facts<'a>(&self, headers: &'a HeaderMap) -> Facts<'a> {
        Facts::read(
            headers,
            &self.credential_headers,
            &self.keys.override_fields,
        )
    }

    /// What a request's fields say that decides over storing and sharing its answer.
    pub(crate) fn asked(&self, facts: &Facts<'_>) -> Asked {
        Asked {
            no_store: false,
            authorization: facts.authorization,
            cookie: facts.cookie && self.cookies == Cookies::Mind,
        }
    }

    /// Whether the cache has no part in requests with such fields.
    pub(crate) fn bypasses(&self, facts: &Facts<'_>) -> bool {
        (facts.cookie && self.cookies == Cookies::Bypass)
            || (facts.authorization && self.credentials == Credentials::Bypass)
    }

    /// Whether such a field is its client's own, which no request of ours carries.
    pub(crate) fn is_credential(&self, name: &HeaderName) -> bool {
        *name == header::AUTHORIZATION
            || *name == header::COOKIE
            || self.credential_headers.contains(name)
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
