//! What is held of a representation that came in parts (RFC 9111 sections 3.3 and 3.4).

use super::range::{ContentRange, Requested, Resolved, Span, Spec};
use bytes::{Bytes, BytesMut};
use std::cmp::Reverse;

/// More pieces than this and the next one is not taken in: each costs more than its octets.
const MAX_PIECES: usize = 64;

/// Octets of one representation. Whoever puts parts together has seen that they have a strong
/// validator in common.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    complete: Option<u64>,
    /// In order, none empty, with at least one octet missing between any two.
    pieces: Vec<Piece>,
    /// In place of pieces: octets that are fewer than the span that they came for.
    ///
    /// Some origins send such, and which octets are missing is theirs to know. They serve requests
    /// within that span, as far as they go (RFC 9110 section 15.3.7: a 206 may be a subset, for it
    /// says what it is), and are never put together with others.
    ragged: Option<(Span, Bytes)>,
    /// Octets beyond which nothing more is taken in.
    most: u64,
}

#[derive(Debug, Clone)]
struct Piece {
    first: u64,
    octets: Bytes,
}

/// What of a span is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// Nothing: the octets of the span.
    No(Bytes),
    /// One stretch; what is held of the span on each side of it, perhaps nothing.
    One {
        before: Bytes,
        gap: Span,
        after: Bytes,
    },
    /// More than is worth asking for one by one.
    Several,
}

impl Parts {
    /// What a 206 brought. None if that is nothing, or more than it said.
    ///
    /// The octets are kept as they are: a slice of a connection's buffer keeps the buffer.
    pub(crate) fn new(range: ContentRange, body: Bytes) -> Option<Self> {
        let ContentRange { span, complete } = range;
        let length = body.len() as u64;
        if length == 0 || length > span.length() {
            return None;
        }
        let mut parts = Self {
            complete,
            pieces: Vec::new(),
            ragged: None,
            most: u64::MAX,
        };
        if length < span.length() {
            parts.ragged = Some((span, body));
        } else {
            parts.pieces.push(Piece {
                first: span.first(),
                octets: body,
            });
        }
        Some(parts)
    }

    /// The same, of so many octets at most when others are taken in.
    pub(crate) fn at_most(self, octets: u64) -> Self {
        Self {
            most: octets,
            ..self
        }
    }

    /// Takes in what another part brought, or leaves all as it is and says false: if one of them
    /// is ragged, if they disagree on the length of the whole, or if it gets too much.
    #[must_use]
    pub(crate) fn add(&mut self, other: &Self) -> bool {
        let agree = match (self.complete, other.complete) {
            (Some(one), Some(another)) => one == another,
            _ => true,
        };
        let complete = self.complete.or(other.complete);
        let mut pieces: Vec<&Piece> = self.pieces.iter().chain(&other.pieces).collect();
        pieces.sort_unstable_by_key(|piece| (piece.first, Reverse(piece.octets.len())));
        let fits = |piece: &&Piece| complete.is_none_or(|complete| piece.end() <= complete);
        if self.ragged.is_some() || other.ragged.is_some() || !agree || !pieces.iter().all(fits) {
            return false;
        }
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match joined.last_mut() {
                Some(before) if piece.first <= before.end() => before.join(piece),
                _ => joined.push(piece.clone()),
            }
        }
        let octets = joined.iter().map(|piece| piece.octets.len() as u64);
        if joined.len() > MAX_PIECES || octets.sum::<u64>() > self.most {
            return false;
        }
        joined.shrink_to_fit();
        (self.complete, self.pieces) = (complete, joined);
        true
    }

    /// The length of the whole, if any part said it.
    pub(crate) fn complete(&self) -> Option<u64> {
        self.complete
    }

    /// The octets of a span, if they are all here.
    pub(crate) fn slice(&self, span: Span) -> Option<Bytes> {
        self.pieces.iter().find_map(|piece| piece.slice(span))
    }

    /// The whole representation, once nothing is missing.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        self.slice(Span::whole(self.complete?)?)
    }

    pub(crate) fn missing(&self, span: Span) -> Gaps {
        let (mut from, mut gap) = (span.first(), None);
        let held = self
            .pieces
            .iter()
            .filter_map(|piece| piece.span()?.common(span));
        // A gap ends before a held stretch, or with the span.
        let ends = held
            .map(|held| (held.first(), held.last() + 1))
            .chain([(span.last() + 1, span.last() + 1)]);
        for (end, next) in ends {
            let here = end.checked_sub(1).and_then(|last| Span::new(from, last));
            if here.is_some() && gap.is_some() {
                return Gaps::Several;
            }
            gap = gap.or(here);
            from = next;
        }
        let slice = |first, end: u64| {
            let span = Span::new(first, end.checked_sub(1)?)?;
            self.slice(span)
        };
        match gap {
            None => Gaps::No(self.slice(span).unwrap_or_default()),
            Some(gap) => Gaps::One {
                before: slice(span.first(), gap.first()).unwrap_or_default(),
                gap,
                after: slice(gap.last() + 1, span.last() + 1).unwrap_or_default(),
            },
        }
    }

    /// The 206 for this request: what its `Content-Range` says, and exactly those octets. None if
    /// the request is for more than is held, or for what takes more than one `Content-Range`.
    pub(crate) fn answer(&self, requested: &Requested) -> Option<(ContentRange, Bytes)> {
        let single = requested.single();
        let span = match (self.complete, single) {
            (Some(complete), _) => match requested.resolve(complete) {
                Resolved::One(span) => span,
                Resolved::Unsatisfiable | Resolved::Many => return None,
            },
            // Without the length of the whole only what names both its ends is known to be held.
            (None, Some(Spec::From(first, Some(last)))) => Span::new(first, last)?,
            (None, _) => return None,
        };
        let (span, octets) = match &self.ragged {
            None => (span, self.slice(span)?),
            Some((said, octets)) => {
                ragged_slice(*said, octets, span, matches!(single, Some(Spec::Suffix(_))))?
            }
        };
        let complete = self.complete;
        Some((ContentRange { span, complete }, octets))
    }

    /// Heap bytes behind this value.
    pub(crate) fn bytes(&self) -> u64 {
        let octets = self.pieces.iter().map(|piece| piece.octets.len());
        let ragged = self.ragged.iter().map(|(_, octets)| octets.len());
        let places = self.pieces.capacity() * size_of::<Piece>();
        (places + octets.chain(ragged).sum::<usize>()) as u64
    }
}

impl Piece {
    /// One past its last octet.
    fn end(&self) -> u64 {
        self.first + self.octets.len() as u64
    }

    fn span(&self) -> Option<Span> {
        Span::new(self.first, self.end().checked_sub(1)?)
    }

    fn slice(&self, span: Span) -> Option<Bytes> {
        let from = usize::try_from(span.first().checked_sub(self.first)?).ok()?;
        let to = from.checked_add(usize::try_from(span.length()).ok()?)?;
        (to <= self.octets.len()).then(|| self.octets.slice(from..to))
    }

    /// Takes in a piece that begins within this one or right behind it.
    fn join(&mut self, next: &Self) {
        let overlap = usize::try_from(self.end() - next.first).unwrap_or(usize::MAX);
        if let Some(rest @ [_, ..]) = next.octets.get(overlap..) {
            let mut both = BytesMut::with_capacity(self.octets.len() + rest.len());
            both.extend_from_slice(&self.octets);
            both.extend_from_slice(rest);
            self.octets = both.freeze();
        }
    }
}

/// What octets that came short of what they `said` have for a span: read from the front, less what
/// is missing at the end; but a request for the last octets is for the last that came.
fn ragged_slice(said: Span, octets: &Bytes, span: Span, suffix: bool) -> Option<(Span, Bytes)> {
    if said.common(span) != Some(span) {
        return None;
    }
    let length = octets.len() as u64;
    let first = if suffix {
        said.last() + 1 - length
    } else {
        said.first()
    };
    let octets = octets.clone();
    let piece = Piece { first, octets };
    let held = if suffix {
        span
    } else {
        piece.span()?.common(span)?
    };
    Some((held, piece.slice(held)?))
}

#[cfg(test)]
mod tests;
