//! What keys are made of, as set, and what is done to a request before its key is made.

use super::{
    MAX_TARGET, NoKey, OverrideFields, Overrides, QueryPolicy, Section, default_port, host, path,
    push_with_length, scheme,
};
use http::uri::{Authority, PathAndQuery};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Which spellings of one URI share what is stored.
///
/// Where some do, the service sees the one that the key is made of. Only requests that read are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Spelling {
    /// None: the service sees all as they are, for instance to check what a client has signed. A purge,
    /// and a write, reaches what is stored for any spelling of its host.
    Exact,
    /// Those of the host: in lower case, without the default port and a dot at its end (RFC 9110 section
    /// 4.2.3).
    #[default]
    Host,
    /// Those of the path too: escapes of letters, digits, `-`, `_` and `~` are decoded, and all others
    /// have upper-case digits (RFC 3986 section 6.2.2).
    ///
    /// Only for a layer above all that chooses by path, since what was chosen is not chosen anew: axum
    /// routes `/a` and `/%61` to different handlers, before the layers of a `Router`.
    HostAndPath,
}

/// What becomes of requests that can have no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unkeyable {
    /// They pass by the cache, as they are.
    Bypass,
    /// They are refused, with the status that the setting names.
    Refuse,
}

type Owner = dyn Fn(&HeaderMap, &Extensions) -> Option<Vec<u8>> + Send + Sync;
type Trusted = dyn Fn(&Extensions) -> bool + Send + Sync;

/// What keys are made of, as set.
#[derive(Clone)]
pub(crate) struct Keying {
    pub(crate) namespace: Box<[u8]>,
    pub(crate) spelling: Spelling,
    pub(crate) query: QueryPolicy,
    pub(crate) fields: Box<[HeaderName]>,
    /// Whose it is, by fields and extensions; all share where there is none.
    pub(crate) owner: Option<Arc<Owner>>,
    pub(crate) overrides: Overrides,
    pub(crate) override_fields: OverrideFields,
    pub(crate) trusted: Option<Arc<Trusted>>,
    pub(crate) overlong: Unkeyable,
    pub(crate) bad_host: Unkeyable,
    /// Whether requests may be changed, or refused, before their key is made: by the above.
    pub(crate) prepares: bool,
}

impl Default for Keying {
    fn default() -> Self {
        Self {
            namespace: Box::default(),
            spelling: Spelling::default(),
            query: QueryPolicy::default(),
            fields: Box::default(),
            owner: None,
            overrides: Overrides::default(),
            override_fields: OverrideFields::default(),
            trusted: None,
            overlong: Unkeyable::Bypass,
            bad_host: Unkeyable::Refuse,
            prepares: false,
        }
    }
}

impl Keying {
    /// Once all is set.
    pub(crate) fn settle(&mut self) {
        let screens = matches!(self.overrides, Overrides::Strip | Overrides::Refuse);
        self.prepares = screens || self.respells();
    }

    fn respells(&self) -> bool {
        self.spelling == Spelling::HostAndPath || !self.query.is_exact()
    }

    /// Brings a request into the form that its key is made of, so that the service sees what the key
    /// says: the target of those that `read` only, and but for the host, of which few have to be
    /// [respelled](respell_host).
    pub(crate) fn prepare<B>(
        &self,
        request: &mut Request<B>,
        reads: bool,
    ) -> Result<(), StatusCode> {
        if !self.trusts(request.extensions()) {
            let fields = &self.override_fields;
            let is_override = |(name, value)| fields.contain(name, value);
            match self.overrides {
                Overrides::Strip => fields.strip(request.headers_mut()),
                Overrides::Refuse if request.headers().iter().any(is_override) => {
                    return Err(StatusCode::BAD_REQUEST);
                }
                _ => {}
            }
        }
        if reads && self.respells() {
            respell(request, |uri| self.respelt(uri));
        }
        Ok(())
    }

    fn trusts(&self, extensions: &Extensions) -> bool {
        self.trusted
            .as_ref()
            .is_some_and(|trusts| trusts(extensions))
    }

    /// Whether what a request has of override fields is part of its key.
    pub(super) fn keys_overrides(&self, extensions: &Extensions) -> bool {
        self.overrides != Overrides::Ignore || self.trusts(extensions)
    }

    /// Whether keys have parts that not all settings ask for.
    pub(super) fn asks_for_more(&self) -> bool {
        !self.fields.is_empty() || self.owner.is_some()
    }

    /// Appends them.
    pub(super) fn push_more(
        &self,
        parts: &mut Vec<u8>,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<(), NoKey> {
        if !self.fields.is_empty() {
            parts.extend_from_slice(&Section::Fields.mark());
        }
        for name in &self.fields {
            for value in headers.get_all(name) {
                push_with_length(parts, name.as_str().as_bytes());
                push_with_length(parts, value.as_bytes());
            }
        }
        if let Some(owner) = &self.owner {
            let owner = owner(headers, extensions).ok_or(NoKey::NoOwner)?;
            parts.extend_from_slice(&Section::Owner.mark());
            push_with_length(parts, &owner);
        }
        Ok(())
    }

    /// What to answer to a request without a key; none where it passes by the cache.
    pub(crate) fn refusal(&self, why: NoKey) -> Option<StatusCode> {
        let (unkeyable, status) = match why {
            NoKey::NoHost | NoKey::NoOwner | NoKey::Spelled => return None,
            NoKey::BadHost => (self.bad_host, StatusCode::BAD_REQUEST),
            NoKey::LongHost => (self.overlong, StatusCode::BAD_REQUEST),
            NoKey::LongTarget => (self.overlong, StatusCode::URI_TOO_LONG),
        };
        (unkeyable == Unkeyable::Refuse).then_some(status)
    }

    /// The URI with path and query as they count, where they are spelled otherwise.
    pub(crate) fn respelt(&self, uri: &Uri) -> Option<Uri> {
        let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
        if !self.respells() || target.len() > MAX_TARGET {
            return None;
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = match self.spelling {
            Spelling::HostAndPath => path::normal(path),
            _ => path.into(),
        };
        let counting = query.and_then(|query| self.query.apply(query));
        if matches!(path, Cow::Borrowed(_)) && counting.as_deref() == query {
            return None;
        }
        // A path that is left out is one slash (RFC 9110 section 4.2.3).
        let path = if path.is_empty() { "/" } else { &path };
        let target = match counting {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
        Uri::from_parts(parts).ok()
    }
}

/// Brings the host of a request into its normal form, wherever the service may find it; false if it has
/// it already.
pub(crate) fn respell_host<B>(request: &mut Request<B>) -> bool {
    let mut lines = request.headers().get_all(header::HOST).iter();
    let line = match (lines.next(), lines.next()) {
        (Some(line), None) => normal_host(request.uri(), line.as_bytes()),
        _ => None,
    };
    let line = line.and_then(|line| HeaderValue::from_bytes(&line).ok());
    let changed = line.is_some();
    if let Some(line) = line {
        request.headers_mut().insert(header::HOST, line);
    }
    let respelt = |uri: &Uri| {
        let host = normal_host(uri, uri.authority()?.as_str().as_bytes())?;
        let mut parts = uri.clone().into_parts();
        parts.authority = Some(Authority::try_from(host).ok()?);
        Uri::from_parts(parts).ok()
    };
    respell(request, respelt) || changed
}

/// The host in its normal form, where it has another.
fn normal_host(uri: &Uri, host: &[u8]) -> Option<Vec<u8>> {
    match host::normal(host, default_port(scheme(uri))) {
        Ok(Cow::Owned(normal)) => Some(normal),
        _ => None,
    }
}

/// Changes a request's URI, wherever the service may find it; false if there is nothing to change.
fn respell<B>(request: &mut Request<B>, respelt: impl Fn(&Uri) -> Option<Uri>) -> bool {
    let mut changed = false;
    if let Some(uri) = respelt(request.uri()) {
        *request.uri_mut() = uri;
        changed = true;
    }
    #[cfg(feature = "axum")]
    if let Some(original) = request
        .extensions_mut()
        .get_mut::<axum::extract::OriginalUri>()
        && let Some(uri) = respelt(&original.0)
    {
        original.0 = uri;
        changed = true;
    }
    changed
}

impl fmt::Debug for Keying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keying")
            .field("namespace", &self.namespace.escape_ascii().to_string())
            .field("spelling", &self.spelling)
            .field("query", &self.query)
            .field("fields", &self.fields)
            .field("overrides", &self.overrides)
            .field("override_fields", &self.override_fields)
            .field("overlong", &self.overlong)
            .field("bad_host", &self.bad_host)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
