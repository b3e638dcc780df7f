//! Unsafe requests, and what they invalidate (RFC 9111 section 4.4).

use crate::key::{self, Key, Named, NoKey};
use crate::request::Facts;
use crate::rfc9111::groups;
use crate::rfc9111::invalidation::also_invalidated;
use crate::shared::Shared;
use crate::store::Purge;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Request, Uri};

/// An unsafe request on its way.
pub(crate) struct Write {
    pub(crate) key: Key,
    /// Its target as an absolute URI, if it makes one.
    pub(crate) target: Option<Uri>,
    /// Whether its answer may be stored under its key: not if the service sees another host, target or
    /// method, nor if it is nobody's.
    pub(crate) may_store: bool,
}

impl Shared {
    /// What an unsafe request invalidates. It is passed on as it is, whatever its key says.
    pub(crate) fn write<B>(
        &self,
        uri: &Uri,
        facts: &Facts<'_>,
        request: &Request<B>,
    ) -> Result<Write, NoKey> {
        let keys = &self.settings.keys;
        let respelt = keys.respelt(uri);
        let spelt = respelt.as_ref().unwrap_or(uri);
        let (key, may_store) =
            match self.named(spelt, facts, request.headers(), request.extensions()) {
                Ok(named) => (named, respelt.is_none() && !facts.method_override),
                Err(NoKey::NoOwner | NoKey::Spelled) => {
                    let secret = self.pool.secret;
                    let target = Named::new(secret, &keys.namespace, spelt, facts, None)?;
                    (target, false)
                }
                Err(why) => return Err(why),
            };
        let mut parts = uri.clone().into_parts();
        parts.scheme.get_or_insert(Scheme::HTTP);
        if parts.authority.is_none() {
            let host = facts.host.map(HeaderValue::as_bytes);
            parts.authority = host.and_then(|host| Authority::try_from(host).ok());
        }
        Ok(Write {
            key: key.into_key(),
            target: Uri::from_parts(parts).ok(),
            may_store,
        })
    }

    /// What a write that succeeded makes doubtful.
    pub(crate) fn written(&self, write: &Write, response: &HeaderMap) {
        self.invalidate(&write.key, Purge::Hard);
        for group in groups::invalidated_groups(response) {
            let place = self.group_place(&write.key, group.as_bytes());
            self.pool.invalidations.group(place, Purge::Hard);
        }
        let Some(target) = &write.target else { return };
        let scheme = target.scheme().unwrap_or(&Scheme::HTTP);
        let same_host = |one: &Authority, other: &Authority| key::same_host(scheme, one, other);
        for uri in also_invalidated(target, response, same_host) {
            if let Ok(key) = self.uri_key(&uri) {
                self.invalidate(&key, Purge::Hard);
            }
        }
    }
}
