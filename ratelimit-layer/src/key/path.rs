//! The request's path as the client key.

use super::{ClientKey, Kind};
use crate::head::Head;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};
use std::hash::{Hash, Hasher};

/// The path as the key, or its first segments: one quota for each, whoever asks.
///
/// Together with a key of the client's it is a quota per client and path, as in
/// `ClientIp::peer().and(ClientPath::new().segments(1))`. Every request has this key.
///
/// One path written in two ways is one key, in the ways in which servers read them as one:
///
/// - percent-encoded bytes are decoded, `/%6Cogin` is `/login`; an encoded slash stays within its
///   segment;
/// - dot segments are resolved, encoded ones too: `/x/../login` and `/./login` are `/login`;
/// - empty segments do not count: `//login` and `/login/` are `/login`.
///
/// Upper case stays upper case, and what stands behind a `;` counts. The query does not.
///
/// Paths are made up by clients. Where a path that leads nowhere costs as much as one that does, use
/// [`segments`](Self::segments), or a closure that knows the routes; or limit the client as well, by
/// another layer with its address alone.
///
/// # Examples
///
/// ```
/// use ratelimit_layer::{ClientIp, ClientKey, ClientPath, Quota, RateLimitLayer};
///
/// // For each client 100 a minute below /search, and 100 below /users.
/// let per_client_and_area = RateLimitLayer::new(Quota::per_minute(100))
///     .with_key(ClientIp::peer().and(ClientPath::new().segments(1)));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ClientPath {
    most: usize,
}

impl ClientPath {
    /// The whole path.
    #[must_use]
    pub fn new() -> Self {
        Self { most: usize::MAX }
    }

    /// How many segments from the left count, 1 or more; the default is all. A path that has fewer
    /// counts as it is.
    ///
    /// # Panics
    ///
    /// When `segments` is 0.
    #[must_use]
    #[track_caller]
    pub fn segments(self, segments: usize) -> Self {
        assert!(
            segments > 0,
            "0 segments of a path cannot be a key: allowed are 1 and more"
        );
        Self { most: segments }
    }
}

/// The whole path.
impl Default for ClientPath {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientKey for ClientPath {
    type Key<'a> = PathKey<'a>;

    fn key<'a>(&'a self, head: &Head<'a>) -> Option<PathKey<'a>> {
        let path = head.uri.path().as_bytes();
        let all = segments(path).count();
        let kept = all.min(self.most);
        Some(PathKey {
            path,
            kept,
            skipped: all - kept,
        })
    }

    /// The path as it counts, with all but printable ASCII encoded; of a long one the beginning.
    fn label(&self, head: &Head<'_>) -> Option<String> {
        self.key(head).map(|key| key.label())
    }
}

/// The segments of a path that count.
#[derive(Debug)]
pub struct PathKey<'a> {
    path: &'a [u8],
    kept: usize,
    /// How many do not count, at the right end.
    skipped: usize,
}

impl PathKey<'_> {
    /// From the right.
    fn segments(&self) -> impl Iterator<Item = &[u8]> {
        segments(self.path).skip(self.skipped)
    }

    fn label(&self) -> String {
        const MOST: usize = 100;
        const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b'/');
        let segments: Vec<_> = self.segments().collect();
        let mut label = String::new();
        for segment in segments.into_iter().rev() {
            let decoded: Vec<u8> = percent_decode(segment).collect();
            label.push('/');
            label.extend(percent_encode(&decoded, ENCODED));
            if label.len() > MOST {
                label.truncate(MOST);
                return label + "...";
            }
        }
        if label.is_empty() {
            "/".to_owned()
        } else {
            label
        }
    }
}

impl Hash for PathKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(Kind::Path as u8);
        state.write_usize(self.kept);
        for segment in self.segments() {
            state.write_usize(percent_decode(segment).count());
            percent_decode(segment).for_each(|byte| state.write_u8(byte));
        }
    }
}

/// The segments of a path from the right, dot segments resolved, empty ones left out. From that end
/// nothing has to be kept: `..` takes away what is read next.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut parents = 0_usize;
    path.rsplit(|byte| *byte == b'/').filter(move |segment| {
        if is(segment, b"") || is(segment, b".") {
            false
        } else if is(segment, b"..") {
            parents += 1;
            false
        } else {
            let stays = parents == 0;
            parents = parents.saturating_sub(1);
            stays
        }
    })
}

fn is(segment: &[u8], plain: &[u8]) -> bool {
    percent_decode(segment).eq(plain.iter().copied())
}
