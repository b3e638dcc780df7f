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

/// A reference to an absolute URI (RFC 3986 section 5.2); `None` for what is not one.
pub(crate) fn resolve(base: &Uri, reference: &HeaderValue) -> Option<Uri> {
    let reference = reference.to_str().ok()?;
    let reference = reference
        .split_once('#')
        .map_or(reference, |(before, _)| before);
    let mut parts = base.clone().into_parts();
    if let Ok(uri) = reference.parse::<Uri>()
        && uri.scheme().is_some()
    {
        parts = uri.into_parts();
        parts.path_and_query = Some(path(parts.path_and_query?.as_str())?);
    } else if let Some(rest) = reference.strip_prefix("//") {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        parts.authority = Some(rest[..end].parse().ok()?);
        parts.path_and_query = Some(path(&rest[end..])?);
    } else if reference.starts_with('/') {
        parts.path_and_query = Some(path(reference)?);
    } else if reference.starts_with('?') {
        // The base's own path stands as it was asked for.
        parts.path_and_query = format!("{}{reference}", base.path()).parse().ok();
    } else if reference.split(['/', '?']).next()?.contains(':') {
        // A scheme, by its looks; no URI of ours.
        return None;
    } else if !reference.is_empty() {
        let directory = &base.path()[..=base.path().rfind('/')?];
        parts.path_and_query = Some(path(&format!("{directory}{reference}"))?);
    }
    Uri::from_parts(parts).ok()
}

/// A path with its query, without dot segments (RFC 3986 section 5.2.4).
fn path(text: &str) -> Option<PathAndQuery> {
    let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
        // What a dot segment names is a directory.
        if matches!(segment, "." | "..") && segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named_at(target: &str, location: &str) -> Vec<String> {
        let target = target.parse().unwrap();
        let response = HeaderMap::from_iter([(header::LOCATION, location.parse().unwrap())]);
        also_invalidated(&target, &response, |one, other| one.host() == other.host())
            .map(|uri| uri.to_string())
            .collect()
    }

    fn named(location: &str) -> Vec<String> {
        named_at("http://a:80/dir/page?q", location)
    }

    #[test]
    fn references_of_the_same_origin() {
        for (location, uri) in [
            ("http://a/x#y", "http://a/x"),
            ("http://a/x/../y?z/../z", "http://a/y?z/../z"),
            ("//a/x", "http://a/x"),
            ("//a/./x", "http://a/x"),
            ("//a", "http://a/"),
            ("//a?x", "http://a/?x"),
            ("/x?y", "http://a:80/x?y"),
            ("/../x", "http://a:80/x"),
            ("x", "http://a:80/dir/x"),
            ("x/y", "http://a:80/dir/x/y"),
            ("x?y:z", "http://a:80/dir/x?y:z"),
            ("./x", "http://a:80/dir/x"),
            ("./x:y", "http://a:80/dir/x:y"),
            ("../x", "http://a:80/x"),
            ("%2e%2e/x", "http://a:80/dir/%2e%2e/x"),
            ("?z", "http://a:80/dir/page?z"),
            ("", "http://a:80/dir/page?q"),
            ("#z", "http://a:80/dir/page?q"),
        ] {
            assert_eq!(named(location), [uri], "{location}");
        }
    }

    #[test]
    fn the_examples_of_rfc_3986() {
        for (reference, uri) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x?y#s", "http://a/b/c/g;x?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("../../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            (".g", "http://a/b/c/.g"),
            ("g..", "http://a/b/c/g.."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
        ] {
            assert_eq!(
                named_at("http://a/b/c/d;p?q", reference),
                [uri],
                "{reference}"
            );
        }
    }

    #[test]
    fn other_origins_and_nonsense() {
        for location in [
            "http://b/x",
            "https://a/x",
            "//b/x",
            "a b",
            "http://",
            "g:h",
            "g:",
        ] {
            assert_eq!(named(location), [""; 0], "{location}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(location in "[ -~]{0,40}") {
            named(&location);
        }

        #[test]
        fn no_dot_segment_is_left(location in "(//a|http://a)?(/?[.a]{1,3}){1,6}/?") {
            for uri in named(&location) {
                prop_assert!(uri.starts_with("http://a"));
                let dots = uri.split('/').any(|segment| segment == "." || segment == "..");
                prop_assert!(!dots, "{}", uri);
            }
        }
    }
}
