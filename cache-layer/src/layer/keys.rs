//! Settings: what an answer is stored under.

use super::CacheLayer;
use crate::key::{OverrideFields, Overrides, QueryPolicy, Spelling, Unkeyable, dashed};
use http::{Extensions, HeaderMap, HeaderName};
use std::sync::Arc;

impl CacheLayer {
    /// Text that is part of every key; empty by default.
    pub fn namespace(mut self, namespace: impl AsRef<[u8]>) -> Self {
        self.setting().keys.namespace = namespace.as_ref().into();
        self
    }

    /// Which spellings of one URI share what is stored; those of its host by default.
    ///
    /// ```
    /// use cache_layer::{CacheLayer, Spelling};
    ///
    /// // Around a whole application, above its router: what it routes is spelled normally.
    /// let cache = CacheLayer::new(1 << 20).spelling(Spelling::HostAndPath);
    /// # let _ = cache;
    /// ```
    pub fn spelling(mut self, spelling: Spelling) -> Self {
        self.setting().keys.spelling = spelling;
        self
    }

    /// Which parameters of a query count, and whether their order does; by default the query counts
    /// octet for octet.
    pub fn query_policy(mut self, policy: QueryPolicy) -> Self {
        self.setting().keys.query = policy;
        self
    }

    /// Fields of the request that become part of its key, with all their lines in order; an absent one
    /// differs from an empty one. None by default.
    ///
    /// For answers that depend on a field and do not say so by `Vary`. Requests in the background carry
    /// these fields too.
    ///
    /// ```
    /// use cache_layer::CacheLayer;
    /// use http::HeaderName;
    ///
    /// let market = HeaderName::from_static("x-market");
    /// let cache = CacheLayer::new(1 << 20).key_headers([market]);
    /// # let _ = cache;
    /// ```
    pub fn key_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.setting().keys.fields = names.into_iter().collect();
        self
    }

    /// Whose answer it is, as a tenant or a user, by the request's fields and extensions: owners share
    /// nothing. A request that is nobody's (`None`) passes by the cache. By default all share.
    ///
    /// A purge reaches the answers of all owners. What is stale is fetched in the background only if a
    /// request with nothing but the [extensions that are carried](Self::carry_extension), and the fields
    /// that are part of the key, has the same owner; else its next reader waits for it.
    ///
    /// ```
    /// use axum::{Router, body::Body, extract::Extension, http::{Request, header}, routing::get};
    /// use cache_layer::CacheLayer;
    ///
    /// #[derive(Clone)]
    /// struct Tenant(String);
    ///
    /// let cache = CacheLayer::new(1 << 20)
    ///     .key_by(|_, extensions| Some(extensions.get::<Tenant>()?.0.clone()))
    ///     .carry_extension::<Tenant>();
    /// let app: Router = Router::new()
    ///     .route("/", get(|Extension(Tenant(name)): Extension<Tenant>| async {
    ///         ([(header::CACHE_CONTROL, "max-age=30")], name)
    ///     }))
    ///     .layer(cache);
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// # use tower::ServiceExt;
    /// # for (tenant, outcome) in [("a", "fwd=uri-miss; stored"), ("b", "fwd=uri-miss; stored"), ("a", "hit")] {
    /// #     let tenant = Tenant(tenant.to_owned());
    /// #     let mut request = Request::get("http://a.example/").body(Body::empty()).unwrap();
    /// #     request.extensions_mut().insert(tenant.clone());
    /// #     let response = app.clone().oneshot(request).await.unwrap();
    /// #     assert_eq!(response.headers()["cache-status"], format!("cache-layer; {outcome}"));
    /// #     assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), tenant.0);
    /// # }
    /// # });
    /// ```
    pub fn key_by<K: AsRef<[u8]>>(
        mut self,
        owner: impl Fn(&HeaderMap, &Extensions) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        let owner = move |headers: &HeaderMap, extensions: &Extensions| {
            owner(headers, extensions).map(|owner| owner.as_ref().to_vec())
        };
        self.setting().keys.owner = Some(Arc::new(owner));
        self
    }

    /// What becomes of fields by which a service may be told another scheme, host or path than the
    /// request's own; by default they are part of the key.
    ///
    /// ```
    /// use cache_layer::{CacheLayer, Overrides};
    /// use std::net::SocketAddr;
    ///
    /// // Only the load balancer on this machine is believed.
    /// let cache = CacheLayer::new(1 << 20)
    ///     .overrides(Overrides::Strip)
    ///     .trusted_peers(|extensions| {
    ///         let peer = extensions.get::<SocketAddr>();
    ///         peer.is_some_and(|peer| peer.ip().is_loopback())
    ///     });
    /// # let _ = cache;
    /// ```
    pub fn overrides(mut self, overrides: Overrides) -> Self {
        self.setting().keys.overrides = overrides;
        self
    }

    /// Which fields [`overrides`](Self::overrides) is about, in place of the usual ones.
    ///
    /// The usual ones are `Forwarded`, but for `for` and `by`; all that begin with `X-Forwarded-`, but
    /// `X-Forwarded-For` and `X-Forwarded-By`; and
    ///
    /// | what they change | fields |
    /// | --- | --- |
    /// | scheme | `CF-Visitor`, `CloudFront-Forwarded-Proto`, `Front-End-Https`, `X-ARR-SSL`, `X-Forward-Proto`, `X-HTTPS`, `X-Original-Proto`, `X-Scheme`, `X-Url-Scheme` |
    /// | host, port | `Proxy-Host`, `X-Client-Host`, `X-Envoy-Original-Host`, `X-Host`, `X-HTTP-Host-Override`, `X-Original-Host`, `X-Real-Host`, `X-Server-Name`, `X-Server-Port` |
    /// | path | `Request-URI`, `X-Accel-Mapping`, `X-Envoy-Original-Path`, `X-HTTP-DestinationURL`, `X-HTTP-Path-Override`, `X-Original-Prefix`, `X-Original-URI`, `X-Original-URL`, `X-Override-URL`, `X-Proxy-URL`, `X-Request-URI`, `X-Rewrite-URL`, `X-Script-Name` |
    /// | which answer | `RSC`, `Surrogate-Capability`, `X-Matched-Path`, `X-Middleware-Prefetch`, `X-Middleware-Subrequest`, `X-NextJS-Data`, `X-Now-Route-Matches`, `X-React-Router-Prerender-Data`, `X-React-Router-SPA-Mode`, `X-Sendfile-Type` |
    ///
    /// A name stands for itself with underscores in place of dashes too, which some services cannot tell
    /// apart.
    ///
    /// # Panics
    ///
    /// If one is `X-Forwarded-For`: it differs for each client.
    #[track_caller]
    pub fn override_fields(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names: Box<[HeaderName]> = names.into_iter().collect();
        for name in &names {
            assert!(
                dashed(name.as_str()) != "x-forwarded-for",
                "override_fields has {name}, but must have fields that say nothing of the client"
            );
        }
        self.setting().keys.override_fields = OverrideFields::These(names);
        self
    }

    /// Whose [override fields](Self::overrides) are believed, by what outer layers or the server put
    /// into a request's extensions: theirs are part of the key, whatever becomes of the others'. Nobody's
    /// by default.
    pub fn trusted_peers(
        mut self,
        trusts: impl Fn(&Extensions) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.setting().keys.trusted = Some(Arc::new(trusts));
        self
    }

    /// What becomes of requests whose target is over 8 KiB or whose host is over 255 octets; by default
    /// they pass by the cache. Refused they are with 414 and with 400.
    ///
    /// ```
    /// use cache_layer::{CacheLayer, Unkeyable};
    ///
    /// let cache = CacheLayer::new(1 << 20).overlong(Unkeyable::Refuse).bad_host(Unkeyable::Bypass);
    /// # let _ = cache;
    /// ```
    pub fn overlong(mut self, overlong: Unkeyable) -> Self {
        self.setting().keys.overlong = overlong;
        self
    }

    /// What becomes of requests with two hosts that differ, as a `Host` that contradicts the target's
    /// authority, with two `Host` lines, or with an invalid host; by default they are refused with 400
    /// (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
    ///
    /// Those with no host at all always pass by the cache.
    pub fn bad_host(mut self, bad_host: Unkeyable) -> Self {
        self.setting().keys.bad_host = bad_host;
        self
    }

    /// Whether `No-Vary-Search` in answers is heeded: which parameters of a query matter
    /// (draft-ietf-httpbis-no-vary-search-10); off by default.
    pub fn no_vary_search(mut self, on: bool) -> Self {
        self.setting().no_vary_search = on;
        self
    }
}
