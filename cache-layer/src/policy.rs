//! What a handler says of its own answer to the cache above it.

use std::time::Duration;

/// What an overflowing `delta-seconds` counts as (RFC 9111 section 1.2.2): 68 years.
pub(crate) const LONGEST: Duration = Duration::from_secs(1 << 31);

/// What a handler says of its answer to the cache above it: put it into the response's extensions.
///
/// It speaks to this cache alone: the fields go to the client as they are. A handler can so keep an
/// answer on the server that browsers shall not keep.
///
/// ```
/// use axum::{Extension, Router, http::header, routing::get};
/// use cache_layer::{CacheLayer, CachePolicy};
/// use std::time::Duration;
///
/// let cache = CacheLayer::new(1 << 20);
/// let handle = cache.handle();
/// let app: Router = Router::new()
///     .route(
///         "/items/1",
///         get(|| async {
///             let policy = CachePolicy::new().ttl(Duration::from_secs(60)).tag("items");
///             (Extension(policy), [(header::CACHE_CONTROL, "no-store")], "an item")
///         }),
///     )
///     .layer(cache);
///
/// // When the items have changed:
/// handle.purge_tag("items");
/// # let _ = app;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct CachePolicy {
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) no_store: bool,
    pub(crate) public: bool,
}

impl CachePolicy {
    /// Says nothing yet: the answer's own fields decide.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the answer is fresh, in place of all that `Cache-Control`, `Expires` and targeted
    /// fields say: as if this were the only directive, `max-age`. More than 68 years count as 68;
    /// parts of a second count too.
    ///
    /// Whether a `Vary` can be matched, the size, the status and `Set-Cookie` are minded as ever.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl.min(LONGEST));
        self
    }

    /// For how long past its lifetime it is served at once, and fetched anew in the background.
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.stale_while_revalidate = Some(time.min(LONGEST));
        self
    }

    /// For how long past its lifetime it is served where the service fails.
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.stale_if_error = Some(time.min(LONGEST));
        self
    }

    /// A word by which [`CacheHandle::purge_tag`](crate::CacheHandle::purge_tag) finds it. It can have
    /// 128 of them; with more it is not stored.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tags.push(tag.as_ref().into());
        self
    }

    /// It is not stored, whatever the fields say.
    pub fn no_store(mut self) -> Self {
        self.no_store = true;
        self
    }

    /// Heap bytes of a copy, and its own.
    pub(crate) fn bytes(&self) -> usize {
        let tags = self.tags.iter().map(|tag| size_of_val(tag) + tag.len());
        size_of::<Self>() + tags.sum::<usize>()
    }

    /// It is for everybody, although the request has credentials (`Authorization`, `Cookie`): as the
    /// directive `public`.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }
}
