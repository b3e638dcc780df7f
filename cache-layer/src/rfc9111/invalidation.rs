//! What a successful write invalidates besides its target (RFC 9111 section 4.4).

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Uri, header};

/// The URIs that `Location` and `Content-Location` name, as far as they are of the target's own
/// origin: another origin's entries are not this answer's to touch.
pub(crate) fn also_invalidated<'a>(
    target: &'a Uri,
    response: &'a HeaderMap,
    same_host: impl Fn(&Authority, &Authority) -> bool + 'a,
) -> impl Iterator<Item = Uri> + 'a {
    [header::LOCATION, header::CONTENT_LOCATION]
        .into_iter()
        .filter_map(|name| resolve(target, response.get(name)?))
        .filter(move |uri| {
            uri.scheme() == target.scheme()
                && uri
                    .authority()
                    .zip(target.authority())
                    .is_some_and(|(one, other)| same_host(one, other))
        })
}

/// A reference to an absolute URI (RFC 3986 section 5.2); `None` for what is not one, and for
/// references with dot segments, which a MAY is not worth.
fn resolve(base: &Uri, reference: &HeaderValue) -> Option<Uri> {
    let reference = reference.to_str().ok()?;
    let reference = reference
        .split_once('#')
        .map_or(reference, |(before, _)| before);
    let mut parts = base.clone().into_parts();
    if let Ok(uri) = reference.parse::<Uri>()
        && uri.scheme().is_some()
    {
        return Some(uri);
    }
    if let Some(rest) = reference.strip_prefix("//") {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        parts.authority = Some(rest[..end].parse().ok()?);
        parts.path_and_query = Some(path(&rest[end..])?);
    } else if reference.starts_with('/') {
        parts.path_and_query = Some(path(reference)?);
    } else if reference.starts_with('?') {
        parts.path_and_query = Some(path(&format!("{}{reference}", base.path()))?);
    } else if reference.split('/').next()?.contains(':') {
        // A scheme, by its looks; no URI of ours.
        return None;
    } else if !reference.is_empty() {
        let directory = &base.path()[..=base.path().rfind('/')?];
        parts.path_and_query = Some(path(&format!("{directory}{reference}"))?);
    }
    Uri::from_parts(parts).ok()
}

fn path(text: &str) -> Option<PathAndQuery> {
    let path = text.split('?').next()?;
    let dots = path
        .split('/')
        .any(|segment| segment == "." || segment == "..");
    if dots {
        None
    } else if text.is_empty() {
        "/".parse().ok()
    } else {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(location: &str) -> Vec<String> {
        let target = "http://a:80/dir/page?q".parse().unwrap();
        let response = HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())]);
        also_invalidated(&target, &response, |one, other| one.host() == other.host())
            .map(|uri| uri.to_string())
            .collect()
    }

    #[test]
    fn references_of_the_same_origin() {
        for (location, uri) in [
            ("http://a/x#y", "http://a/x"),
            ("//a/x", "http://a/x"),
            ("//a", "http://a/"),
            ("/x?y", "http://a:80/x?y"),
            ("x", "http://a:80/dir/x"),
            ("x/y", "http://a:80/dir/x/y"),
            ("?z", "http://a:80/dir/page?z"),
            ("", "http://a:80/dir/page?q"),
            ("#z", "http://a:80/dir/page?q"),
        ] {
            assert_eq!(named(location), [uri], "{location}");
        }
    }

    #[test]
    fn other_origins_and_nonsense() {
        for location in [
            "http://b/x",
            "https://a/x",
            "//b/x",
            "/../x",
            "./x",
            "a b",
            "http://",
        ] {
            assert_eq!(named(location), [""; 0], "{location}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(location in "[ -~]{0,40}") {
            named(&location);
        }
    }
}
