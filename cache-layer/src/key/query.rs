//! Which parameters of a query count, and whether their order does.

use std::borrow::Cow;

/// Which parameters of a query count, and whether their order does: all of them, in their order, unless
/// said otherwise.
///
/// What does not count is taken out of the request, and what is sorted is put into order there: the
/// service sees the query that the key is made of, and nothing that it answers to can be out of the
/// key. Only requests that read are changed; a purge of any spelling reaches the one that is stored.
///
/// Parameters are what stands between `&`, their names go to the first `=`, and names are compared
/// octet for octet: `utm%5Fsource` is not `utm_source`, so it counts where that one is ignored. Where
/// the query has a `;` or a second `?`, which some services take for separators too, it stays as it is:
/// else a parameter that counts for them could hide in one that is taken out.
///
/// ```
/// use axum::{Router, extract::RawQuery, http::header, routing::get};
/// use cache_layer::{CacheLayer, QueryPolicy};
///
/// let policy = QueryPolicy::ignoring(["fbclid", "gclid", "utm_source"]).sorted();
/// let app: Router = Router::new()
///     .route("/", get(|RawQuery(query): RawQuery| async {
///         ([(header::CACHE_CONTROL, "max-age=30")], query.unwrap_or_default())
///     }))
///     .layer(CacheLayer::new(1 << 20).query_policy(policy));
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// # use tower::ServiceExt;
/// # let asks = [("/?b=1&a=2&gclid=x", "fwd=uri-miss; stored"), ("/?a=2&utm_source=y&b=1", "hit")];
/// # for (query, expected) in asks {
/// #     let request = http::Request::get(format!("http://a{query}"));
/// #     let request = request.body(axum::body::Body::empty()).unwrap();
/// #     let response = app.clone().oneshot(request).await.unwrap();
/// #     assert_eq!(response.headers()["cache-status"], format!("cache-layer; {expected}"));
/// #     let seen = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
/// #     assert_eq!(seen, "a=2&b=1");
/// # }
/// # });
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct QueryPolicy {
    names: Names,
    sorted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Names {
    #[default]
    All,
    AllBut(Box<[Box<str>]>),
    Only(Box<[Box<str>]>),
}

impl QueryPolicy {
    /// The query counts octet for octet: the default.
    pub fn exact() -> Self {
        Self::default()
    }

    /// All parameters count but those of these names.
    pub fn ignoring<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = boxed(names);
        Self {
            names: if names.is_empty() {
                Names::All
            } else {
                Names::AllBut(names)
            },
            sorted: false,
        }
    }

    /// No parameters count but those of these names.
    pub fn keeping<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        let names = boxed(names);
        Self {
            names: Names::Only(names),
            sorted: false,
        }
    }

    /// Parameters of different names may change places: they are sorted by their names, octet by octet,
    /// and those of one name stay in their order.
    pub fn sorted(mut self) -> Self {
        self.sorted = true;
        self
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self.names, Names::All) && !self.sorted
    }

    /// The query as it counts; none where nothing is left of it.
    pub(super) fn apply<'a>(&self, query: &'a str) -> Option<Cow<'a, str>> {
        if self.is_exact() || query.contains([';', '?']) {
            return Some(query.into());
        }
        let all = query.split('&');
        let mut kept: Vec<&str> = all.filter(|one| self.counts(name(one))).collect();
        if self.sorted {
            kept.sort_by_key(|one| name(one));
        }
        match &*kept {
            [] => None,
            // As it was, also where it was empty.
            kept if kept.iter().copied().eq(query.split('&')) => Some(query.into()),
            kept => Some(kept.join("&").into()),
        }
    }

    fn counts(&self, name: &str) -> bool {
        match &self.names {
            Names::All => true,
            Names::AllBut(names) => !names.iter().any(|one| **one == *name),
            Names::Only(names) => names.iter().any(|one| **one == *name),
        }
    }
}

fn boxed<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Box<[Box<str>]> {
    names.into_iter().map(|name| name.as_ref().into()).collect()
}

fn name(parameter: &str) -> &str {
    let end = parameter.find('=').unwrap_or(parameter.len());
    &parameter[..end]
}

#[cfg(test)]
mod tests;
