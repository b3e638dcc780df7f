//! One answer in the store: its head, and as much of its body as there is.

use super::ARC;
use super::head::{Head, header_map_bytes};
use super::ledger::{Charge, Ledger, held_bytes};
use crate::rfc9111::parts::Parts;
use crate::rfc9111::strong::strong_validator;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;

/// One answer; in this order, so that what each hit reads lies together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stored {
    pub(crate) content: Content,
    trailers: Option<Box<HeaderMap>>,
    /// In place, a copy of what the fill's readers share: a hit follows one pointer less.
    pub(crate) head: Head,
    charge: Charge,
}

/// The body, as far as it is there.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// In one piece of its own, not in slices of the connection's buffers, and
    /// [held](Ledger::hold): it is counted by itself, for as long as somebody reads it.
    Whole(Bytes),
    /// What 206 answers have brought so far (RFC 9111 section 3.3).
    Parts(Box<Parts>),
}

impl Content {
    /// Parts that are all of it are the whole; none if there is no room for that.
    pub(crate) fn of(parts: Parts, ledger: &Arc<Ledger>) -> Option<Self> {
        Some(match parts.whole() {
            Some(body) => Self::Whole(ledger.hold(body.into())?),
            None => Self::Parts(Box::new(parts)),
        })
    }

    /// Bytes to be charged with its answer.
    fn bytes(&self) -> u64 {
        match self {
            Self::Whole(_) => 0,
            Self::Parts(parts) => size_of::<Parts>() as u64 + parts.bytes(),
        }
    }
}

impl Stored {
    pub(crate) fn new(
        ledger: &Arc<Ledger>,
        mut head: Head,
        content: Content,
        trailers: Option<HeaderMap>,
    ) -> Self {
        if let Content::Whole(body) = &content {
            // It may have come in parts, of which the head knew one.
            head.set_length(body.len() as u64);
        }
        let trailers = trailers.map(Box::new);
        let boxed = |trailers: &HeaderMap| size_of::<HeaderMap>() + header_map_bytes(trailers);
        let bytes = size_of::<Self>() + ARC + head.bytes() + trailers.as_deref().map_or(0, boxed);
        let charge = Charge::new(ledger, bytes as u64 + content.bytes());
        Self {
            head,
            content,
            trailers,
            charge,
        }
    }

    /// Of the body, as far as it is there.
    pub(super) fn octets(&self) -> u64 {
        match &self.content {
            Content::Whole(body) => body.len() as u64,
            Content::Parts(parts) => parts.bytes(),
        }
    }

    /// Whether there was room for it.
    pub(super) fn is_counted(&self) -> bool {
        self.charge.is_whole()
    }

    /// Bytes that are free when it goes, if nobody reads it any more.
    pub(super) fn weight(&self) -> u64 {
        self.charge.held() + self.whole().map_or(0, held_bytes)
    }

    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        self.trailers.as_deref().cloned()
    }

    pub(crate) fn whole(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Whole(body) => Some(body),
            Content::Parts(_) => None,
        }
    }

    /// The length of the whole body, where it is known.
    pub(crate) fn complete_length(&self) -> Option<u64> {
        match &self.content {
            Content::Whole(body) => Some(body.len() as u64),
            Content::Parts(parts) => parts.complete(),
        }
    }

    /// What becomes of a new answer beside an older one to the same request fields: a part joins what
    /// is there already, under one strong validator (RFC 9111 section 3.4).
    pub(super) fn combine(self: Arc<Self>, older: &Self, ledger: &Arc<Ledger>) -> Arc<Self> {
        let Content::Parts(parts) = &self.content else {
            return self;
        };
        let same = strong_validator(self.head.headers())
            .zip(strong_validator(older.head.headers()))
            .is_some_and(|(one, other)| one == other);
        if !same {
            return self;
        }
        let content = match &older.content {
            Content::Whole(body) => Content::Whole(body.clone()),
            Content::Parts(others) => {
                let mut all = Parts::clone(parts);
                if !all.add(others) {
                    // What does not fit is left out: the newer answer is the one to keep.
                    return self;
                }
                match Content::of(all, ledger) {
                    Some(content) => content,
                    None => return self,
                }
            }
        };
        let head = self.head.clone().over(&older.head);
        Arc::new(Self::new(ledger, head, content, self.trailers()))
    }
}
