//! Settings: which answers enter, and whom they serve.

use super::CacheLayer;
use crate::policy::LONGEST;
use crate::request::Names;
use crate::rfc9111::storable::{Cookies, Credentials, SetCookie};
use crate::settings::Admits;
use http::HeaderName;
use std::sync::Arc;
use std::time::Duration;

impl CacheLayer {
    /// The longest body that is stored, in bytes; default 1 MiB, never more than the whole cache.
    ///
    /// A longer one streams through and is not stored.
    pub fn max_entry_bytes(mut self, bytes: u64) -> Self {
        self.setting().max_entry_bytes = bytes;
        self
    }

    /// While `admits` says no, nothing enters that is not stored yet: for times in which memory is short.
    /// By default everything may.
    ///
    /// It is asked once for an answer that could be stored, when its head has come. What is kept out streams
    /// through, also to those who wait for the same; it has no `stored` in its `Cache-Status`, and counts in
    /// [`CacheStats::kept_out`](crate::CacheStats::kept_out). [`warm`](crate::CacheHandle::warm) brings in
    /// no more than that.
    ///
    /// What is stored stays alive: it is served, purged and invalidated as ever, a 304 renews it, and a newer
    /// answer takes its place, or a part joins it, whatever its length: the entries grow no more in number,
    /// and those that are asked for do not grow old. A variant for other fields of `Vary` is a new one.
    ///
    /// Keep it short: it is called from async workers. To follow the level of `memguard-layer`, take
    /// `guard.handle().watch()` as the receiver, and `*level.borrow() < Level::Elevated` as the answer:
    ///
    /// ```
    /// # use axum::{Router, body::Body, http::{Request, header}, routing::get};
    /// use cache_layer::CacheLayer;
    /// use tokio::sync::watch;
    /// # use tower::ServiceExt;
    ///
    /// let (short_of_memory, level) = watch::channel(false);
    /// let cache = CacheLayer::new(64 << 20).admit_while(move || !*level.borrow());
    /// # let app: Router = Router::new()
    /// #     .route("/{page}", get(|| async { ([(header::CACHE_CONTROL, "max-age=30")], "hello") }))
    /// #     .layer(cache);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// # for (path, short, expected) in [
    /// #     ("/old", false, "fwd=uri-miss; stored"),
    /// #     ("/new", true, "fwd=uri-miss"),
    /// #     ("/new", true, "fwd=uri-miss"),
    /// #     ("/old", true, "hit"),
    /// # ] {
    /// #     short_of_memory.send_replace(short);
    /// #     let asked = Request::get(format!("http://a{path}")).body(Body::empty()).unwrap();
    /// #     let response = app.clone().oneshot(asked).await.unwrap();
    /// #     assert_eq!(response.headers()["cache-status"], format!("cache-layer; {expected}"));
    /// #     axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    /// # }
    /// # });
    /// ```
    pub fn admit_while(mut self, admits: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.setting().admits = Admits(Some(Arc::new(admits)));
        self
    }

    /// The most that an answer's fields may take, in bytes as HTTP/1.1 writes them; its trailers as much,
    /// and the request fields that its `Vary` names too; default 32 KiB, at least 1.
    ///
    /// An answer with more is passed on and not stored.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_header_bytes(mut self, bytes: u64) -> Self {
        assert!(bytes > 0, "max_header_bytes is 0, but must be at least 1");
        self.setting().max_header_bytes = bytes;
        self
    }

    /// How many fields an answer's `Vary` may name; default 8.
    ///
    /// An answer that names more is passed on and not stored: each name multiplies the variants. With
    /// zero none is stored that has a `Vary`.
    pub fn max_vary_names(mut self, most: usize) -> Self {
        self.setting().max_vary_names = most;
        self
    }

    /// Fields of which answers may have variants, although they are not stored by default where their
    /// `Vary` names them: `Cookie`, `Authorization`, `User-Agent`, and
    /// [`credential_headers`](Self::credential_headers); none by default.
    ///
    /// These have as many values as there are clients: one entry for each, which few will ask for again.
    /// With `Cookie` named here, an answer that varies on it is shared with requests of the very same
    /// cookies, and without any with all who have none: a site's page for strangers is cached so. With
    /// the others, credentials decide as ever: RFC 9111 section 3.5 wants `public`, `s-maxage` or
    /// `must-revalidate` besides. What was asked for with a client's credentials is never fetched anew
    /// in the background.
    ///
    /// ```
    /// use axum::{Router, body::Body, http::{Request, header}, routing::get};
    /// use cache_layer::CacheLayer;
    /// # use tower::ServiceExt;
    ///
    /// let greets = || async {
    ///     ([(header::VARY, "cookie"), (header::CACHE_CONTROL, "max-age=60")], "hello, stranger")
    /// };
    /// let app: Router = Router::new()
    ///     .route("/", get(greets))
    ///     .layer(CacheLayer::new(1 << 20).vary_on([header::COOKIE]));
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// # for expected in ["fwd=uri-miss; stored", "hit"] {
    /// #     let asked = Request::get("http://a/").body(Body::empty()).unwrap();
    /// #     let response = app.clone().oneshot(asked).await.unwrap();
    /// #     assert!(response.headers()["cache-status"].to_str().unwrap().ends_with(expected));
    /// #     axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    /// # }
    /// # });
    /// ```
    pub fn vary_on(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.setting().vary_on = fields.into_iter().collect();
        self
    }

    /// How many answers to one URI are kept that differ by the request fields their `Vary` names; by
    /// default 32, from 1 to 256. With one more, the oldest leaves.
    ///
    /// Layers that share a memory share the first one's.
    ///
    /// # Panics
    ///
    /// If it is out of range.
    #[track_caller]
    pub fn max_variants(mut self, most: usize) -> Self {
        assert!(
            (1..=256).contains(&most),
            "max_variants is {most}, but must be from 1 to 256"
        );
        self.setting().max_variants = most;
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

    /// What becomes of requests with `Authorization` or one of
    /// [`credential_headers`](Self::credential_headers); by default they share what RFC 9111 section 3.5
    /// allows. Those with `Cookie` have a setting of their own, [`cookies`](Self::cookies).
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.setting().credentials = credentials;
        self
    }

    /// Request fields that count as credentials besides `Authorization`, in all that this does: what is
    /// stored, for whom, and who waits for whom. They take the place of the default ones: `Api-Key`,
    /// `X-Access-Token`, `X-Api-Key` and `X-Auth-Token`.
    ///
    /// RFC 9111 knows of `Authorization` alone, and a service that is used to other caches may state a
    /// lifetime for what it tells a key's owner. A key that is only counted costs hits by this default,
    /// one that is not known to the cache costs secrets: so the names that are widely used stand here.
    /// Name the ones that your service goes by, also those in which a proxy in front tells it who the
    /// user is, such as `X-Forwarded-User`; or none, if nothing that states a lifetime is anybody's own.
    ///
    /// `Proxy-Authorization` is missing on purpose: it is for the next proxy, not for the service (RFC 9110
    /// section 11.7.2). No request that the cache sends on its own behalf carries any of them.
    ///
    /// ```
    /// use cache_layer::CacheLayer;
    /// use http::HeaderName;
    ///
    /// let names = ["x-api-key", "x-forwarded-user"].map(HeaderName::from_static);
    /// let cache = CacheLayer::new(64 << 20).credential_headers(names);
    /// # let _ = cache;
    /// ```
    pub fn credential_headers(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.setting().credential_headers = Names::new(fields);
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
}
