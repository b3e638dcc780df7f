//! Paths as keys: one path is one key, however it is written.

use super::*;

fn at(path: &str) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = path.parse().unwrap();
    request
}

#[test]
fn one_path_is_one_key() {
    let hash = |path| hashed(&ClientPath::new(), &at(path)).unwrap();
    for (path, others) in [
        (
            "/login",
            &[
                "/login/",
                "//login",
                "/%6Cogin",
                "/%6cog%69n",
                "/./login",
                "/login/.",
                "/x/../login",
                "/x/y/../../login",
                "/../login",
                "/x/%2e%2E/login",
                "/x/.%2e/login",
                "/login?user=a",
                "http://host:80/login",
            ][..],
        ),
        (
            "/",
            &[
                "//",
                "/.",
                "/..",
                "/x/..",
                "/x/y/../..",
                "/?a",
                "http://host",
            ],
        ),
        ("/a%2Fb", &["/a%2fb"]),
        ("/caf%C3%A9", &["/caf%c3%a9"]),
    ] {
        for other in others {
            assert_eq!(hash(path), hash(other), "{path} {other}");
        }
    }
    let different = [
        "/",
        "/login",
        "/Login",
        "/login;v=1",
        "/logi",
        "/login/x",
        "/x/login",
        "/a/b",
        "/a%2Fb",
        "/b/a",
        "/ab",
        "/...",
        "/a%00",
        "/a%252Fb",
    ];
    for (index, path) in different.iter().enumerate() {
        for other in &different[..index] {
            assert_ne!(hash(path), hash(other), "{path} {other}");
        }
    }
}

#[test]
fn segments_are_counted_from_the_left() {
    let hash = |most, path| hashed(&ClientPath::new().segments(most), &at(path)).unwrap();
    let whole = |path| hashed(&ClientPath::new(), &at(path)).unwrap();
    for (most, path, counts) in [
        (1, "/users/1/posts", "/users"),
        (2, "/users/1/posts", "/users/1"),
        (3, "/users/1/posts", "/users/1/posts"),
        (9, "/users/1/posts", "/users/1/posts"),
        (1, "/", "/"),
        (1, "//x/../users/1", "/users"),
        (1, "/users/../x", "/x"),
    ] {
        assert_eq!(hash(most, path), whole(counts), "{most} {path}");
    }
}

#[test]
#[should_panic(expected = "0 segments of a path")]
fn no_segments_are_no_key() {
    let _ = ClientPath::new().segments(0);
}

#[test]
fn paths_are_named_as_they_count() {
    let name = |path: &str| label(&ClientPath::new(), &at(path)).unwrap();
    for (path, expected) in [
        ("/", "/"),
        ("/x/..//%75sers/1/?q", "/users/1"),
        ("/a%0Ab%20c", "/a%0Ab%20c"),
        ("/a%2fb%25", "/a%2Fb%25"),
        ("/caf%c3%a9%ff", "/caf%C3%A9%FF"),
    ] {
        assert_eq!(name(path), expected);
    }
    assert_eq!(
        label(&ClientPath::new().segments(1), &at("/users/1")).unwrap(),
        "/users"
    );
    let long = name(&format!("/{}", "a/".repeat(10_000)));
    assert!(long.len() == 103 && long.ends_with("/a..."), "{long}");
}

/// A path as the standards resolve it, from the left.
fn resolved(path: &str) -> Vec<Vec<u8>> {
    let mut resolved = Vec::new();
    for segment in path.split('/') {
        let segment: Vec<u8> = percent_encoding::percent_decode_str(segment).collect();
        match &segment[..] {
            b"" | b"." => {}
            b".." => drop(resolved.pop()),
            _ => resolved.push(segment),
        }
    }
    resolved
}

fn path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "/..", "/../", "%2e", "%2F", "%", "%4", "a", "b", "%61", "%00",
        "~", "\u{e9}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Two paths are one key if, and only if, they resolve to the same segments.
    #[test]
    fn paths_that_resolve_alike_are_one_key(one in path(), other in path(), most in 1_usize..5) {
        for (key, most) in [(ClientPath::new(), usize::MAX), (ClientPath::new().segments(most), most)] {
            let of = |path: &str| hashed(&key, &at(path)).unwrap();
            let segments = |path| {
                let mut segments = resolved(path);
                segments.truncate(most);
                segments
            };
            let (a, b) = (of(&one), of(&other));
            prop_assert_eq!(a == b, segments(&one) == segments(&other), "{} {}", one, other);
            prop_assert!(a == b || !a.starts_with(&b));
            // A name is a path of the same key.
            let name = label(&key, &at(&one)).unwrap();
            prop_assert_eq!(of(&name), a);
        }
    }
}
