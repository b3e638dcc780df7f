//! Keys, and what is done to a request before it has one.

use super::Rule;
use crate::key::{self, Lookup, More, Named, NoKey, Secret, respell_host};
use crate::layer::CacheLayer;
use crate::request::{Facts, Names};
use crate::search::Learnt;
use http::{HeaderMap, Method, Request, Uri};
use std::fmt;
use std::sync::LazyLock;

static SECRET: LazyLock<Secret> = LazyLock::new(Secret::draw);

/// How keys are made.
#[derive(Debug)]
pub struct Keying(key::Keying);

impl Keying {
    /// As a layer is set.
    pub fn of(layer: &CacheLayer) -> Self {
        let mut keying = layer.settings.keys.clone();
        keying.settle();
        Self(keying)
    }

    /// Brings a request that reads into the form that its key is made of; false if it is refused.
    #[must_use]
    pub fn prepare(&self, request: &mut Request<()>) -> bool {
        if self.0.prepares && self.0.prepare(request, true).is_err() {
            return false;
        }
        if matches!(self.named(request.uri(), request), Err(NoKey::Spelled)) {
            respell_host(request);
        }
        true
    }

    /// The key of a prepared request; none where it gets none.
    pub fn key(&self, request: &Request<()>) -> Option<Key> {
        let named = self.named(request.uri(), request).ok()?;
        Some(Key(named.into_key()))
    }

    /// What a write to a target, as it is spelled, invalidates.
    pub fn key_of_write(&self, mut request: Request<()>) -> Option<Key> {
        self.0.prepare(&mut request, false).ok()?;
        let respelt = self.0.respelt(request.uri());
        let uri = respelt.as_ref().unwrap_or(request.uri());
        let facts = self.facts(request.headers());
        let named = Named::new(*SECRET, &self.0.namespace, uri, &facts, None);
        named.ok().map(Named::into_key).map(Key)
    }

    /// As the purge of an absolute URI makes it.
    pub fn key_of_uri(&self, uri: &Uri) -> Option<Key> {
        let respelt = self.0.respelt(uri);
        let uri = respelt.as_ref().unwrap_or(uri);
        let key = key::Key::of_uri(*SECRET, &self.0.namespace, uri);
        key.ok().map(Key)
    }

    /// Whether a request that is looked up finds what is stored under a key.
    pub fn finds(&self, request: &Request<()>, stored: &Key) -> bool {
        self.named(request.uri(), request)
            .is_ok_and(|named| named.digest() == stored.0.digest() && named.is(stored.parts()))
    }

    fn named<'a>(&'a self, uri: &'a Uri, request: &'a Request<()>) -> Result<Named<'a>, NoKey> {
        let facts = self.facts(request.headers());
        let more = More {
            keying: &self.0,
            headers: request.headers(),
            extensions: request.extensions(),
        };
        Named::new(*SECRET, &self.0.namespace, uri, &facts, Some(&more))
    }

    fn facts<'a>(&self, headers: &'a HeaderMap) -> Facts<'a> {
        Facts::read(headers, &Names::new([]), &self.0.override_fields)
    }
}

/// The key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(key::Key);

impl Key {
    /// With the content of a request.
    #[must_use]
    pub fn with_content(&self, method: &Method, headers: &HeaderMap, content: &[u8]) -> Self {
        Self(self.0.with_content(*SECRET, method, headers, content))
    }

    /// By what an answer has said of its queries; the number is the rule's own.
    #[must_use]
    pub fn by_rule(&self, rule: &Rule, number: u64) -> Self {
        let rule = rule.0.clone();
        Self(self.0.by_rule(*SECRET, &Learnt { rule, number }))
    }

    /// Of its target alone.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self(self.0.alone())
    }

    /// What is compared on every hit.
    pub fn parts(&self) -> &[u8] {
        self.0.parts()
    }

    /// Of all of it, of its target alone, and of all but its query.
    pub fn digests(&self) -> [u128; 3] {
        let without_query = self.0.digest_without_query(*SECRET);
        [self.0.digest(), self.0.uri_digest(), without_query]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
