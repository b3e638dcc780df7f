//! What both layers share: whom a request counts for, and how a refusal is answered.

use crate::fields::PolicyName;
use crate::hash::Seeds;
use crate::head::Head;
use crate::key::{ClientIp, ClientKey};
use crate::rejection::Standard;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of a request without a client key: its peer is not known, it lacks the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Unkeyed {
    /// All such requests together are one client. The default: nobody gets around a limit by
    /// leaving something out.
    #[default]
    Shared,
    /// Refused.
    Refuse,
    /// Let through without a limit.
    Allow,
}

/// Longest [`Rules::retry_jitter`].
pub(crate) const MAX_JITTER: Duration = Duration::from_secs(3_600);

/// Whom a request counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    Client(u64),
    /// The bucket of all requests without a key.
    Shared(u64),
    /// Without a key, and refused for it.
    Nobody,
    /// Without a key, and let through for it.
    Anybody,
    Exempt,
}

type Exempt = Arc<dyn Fn(&Head<'_>) -> bool + Send + Sync>;

/// The settings that both layers have.
pub(crate) struct Rules<K, R> {
    pub(crate) key: Arc<K>,
    pub(crate) rejection: Arc<R>,
    pub(crate) exempt: Option<Exempt>,
    pub(crate) unkeyed: Unkeyed,
    pub(crate) name: PolicyName,
    pub(crate) retry_jitter: Duration,
}

impl Default for Rules<ClientIp, Standard> {
    fn default() -> Self {
        Self {
            key: Arc::new(ClientIp::peer()),
            rejection: Arc::new(Standard),
            exempt: None,
            unkeyed: Unkeyed::default(),
            name: PolicyName::default(),
            retry_jitter: Duration::ZERO,
        }
    }
}

impl<K, R> Rules<K, R> {
    pub(crate) fn with_key<K2>(self, key: K2) -> Rules<K2, R> {
        let Self {
            rejection,
            exempt,
            unkeyed,
            name,
            retry_jitter,
            ..
        } = self;
        Rules {
            key: Arc::new(key),
            rejection,
            exempt,
            unkeyed,
            name,
            retry_jitter,
        }
    }

    pub(crate) fn with_rejection<R2>(self, rejection: R2) -> Rules<K, R2> {
        let Self {
            key,
            exempt,
            unkeyed,
            name,
            retry_jitter,
            ..
        } = self;
        Rules {
            key,
            rejection: Arc::new(rejection),
            exempt,
            unkeyed,
            name,
            retry_jitter,
        }
    }

    #[track_caller]
    pub(crate) fn rename(&mut self, name: &str) {
        match PolicyName::try_new(name) {
            Ok(name) => self.name = name,
            Err(error) => panic!("{error}"),
        }
    }

    #[inline]
    pub(crate) fn whom(&self, head: &Head<'_>, seeds: &Seeds) -> Whom
    where
        K: ClientKey,
    {
        if self.exempt.as_ref().is_some_and(|exempt| exempt(head)) {
            return Whom::Exempt;
        }
        self.keyed(head, seeds)
    }

    /// The same where nobody is exempt.
    #[inline]
    pub(crate) fn keyed(&self, head: &Head<'_>, seeds: &Seeds) -> Whom
    where
        K: ClientKey,
    {
        match (self.key.key(head), self.unkeyed) {
            (Some(key), _) => Whom::Client(seeds.client(&key)),
            (None, Unkeyed::Shared) => Whom::Shared(seeds.unkeyed()),
            (None, Unkeyed::Refuse) => Whom::Nobody,
            (None, Unkeyed::Allow) => Whom::Anybody,
        }
    }
}

impl<K, R> Clone for Rules<K, R> {
    fn clone(&self) -> Self {
        Self {
            key: Arc::clone(&self.key),
            rejection: Arc::clone(&self.rejection),
            exempt: self.exempt.clone(),
            unkeyed: self.unkeyed,
            name: self.name.clone(),
            retry_jitter: self.retry_jitter,
        }
    }
}

impl<K: fmt::Debug, R> fmt::Debug for Rules<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("key", &self.key)
            .field("unkeyed", &self.unkeyed)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The setters of [`Rules`], for a layer with the fields `rules` and others that stay as they are,
/// and perhaps one more type parameter.
macro_rules! rule_setters {
    ($layer:ident, $why:ident, [$($field:ident),*] $(, $patience:ident)?) => {
        impl<K, R $(, $patience)?> $layer<K, R $(, $patience)?> {
            fn map_rules<K2, R2>(self, map: impl FnOnce(Rules<K, R>) -> Rules<K2, R2>) -> $layer<K2, R2 $(, $patience)?> {
                let Self { rules, $($field),* } = self;
                $layer { rules: map(rules), $($field),* }
            }

            /// Tells clients apart by what the closure makes of a request; `None`: it has no key.
            /// Only the key's hash is kept. The default is the peer's address, see
            /// [`ClientIp::peer`].
            pub fn key_by<F, C>(self, key: F) -> $layer<KeyFn<F, C>, R $(, $patience)?>
            where
                F: Fn(&Head<'_>) -> Option<C>,
                C: Hash,
            {
                self.map_rules(|rules| rules.with_key(KeyFn::new(key)))
            }

            /// Tells clients apart by a [`ClientKey`], such as [`ClientIp`] behind proxies or a
            /// [`ClientHeader`](crate::ClientHeader). The default is [`ClientIp::peer`].
            pub fn with_key<C: ClientKey>(self, key: C) -> $layer<C, R $(, $patience)?> {
                self.map_rules(|rules| rules.with_key(key))
            }

            /// Asks refused clients to wait up to `jitter` longer, each by a random part of it, so
            /// that those refused together do not come back together: 0 to an hour, and 0 by
            /// default.
            ///
            /// # Panics
            ///
            /// When `jitter` is more than an hour.
            #[track_caller]
            pub fn retry_jitter(mut self, jitter: std::time::Duration) -> Self {
                assert!(
                    jitter <= crate::rules::MAX_JITTER,
                    "a retry jitter of {jitter:?} cannot be used: allowed is up to an hour"
                );
                self.rules.retry_jitter = jitter;
                self
            }

            /// Never limits requests for which the closure says `true`, health checks for one. The
            /// default is to limit all.
            pub fn exempt(mut self, exempt: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
                self.rules.exempt = Some(Arc::new(exempt));
                self
            }

            /// What becomes of requests without a client key; the default is [`Unkeyed::Shared`].
            pub fn when_unkeyed(mut self, unkeyed: Unkeyed) -> Self {
                self.rules.unkeyed = unkeyed;
                self
            }

            /// Answers refused requests with what the closure returns, in place of problem+json or
            /// the gRPC status. The reason is put into the response's extensions either way.
            pub fn with_rejection<F, B>(self, rejection: F) -> $layer<K, F $(, $patience)?>
            where
                F: Fn(&Head<'_>, &$why) -> Response<B>,
            {
                self.map_rules(|rules| rules.with_rejection(rejection))
            }
        }
    };
}
pub(crate) use rule_setters;
