use super::*;
use proptest::prelude::*;

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, value.parse().unwrap());
    }
    map
}

type Fields = [(&'static str, &'static str)];

/// What is nominated where up to eight may be, and none of those that most caches refuse.
fn names(fields: &Fields) -> Result<SmallVec<[HeaderName; 2]>, Unmatchable> {
    nominated(&map(fields), 8, |name| REFUSED.contains(name))
}

fn selection(vary: &'static str, request: &Fields, response: &Fields) -> Selection {
    let names = names(&[("vary", vary)]).unwrap();
    Selection::of(&names, &map(request)).answered_by(&map(response))
}

fn is_same(vary: &'static str, original: &Fields, later: &Fields) -> bool {
    let (one, other) = (selection(vary, original, &[]), selection(vary, later, &[]));
    let same = one.matches_exactly(&map(later));
    assert_eq!(other.matches_exactly(&map(original)), same);
    assert_eq!(one == other, same, "equal selections match alike");
    same
}

#[test]
fn every_nominated_field_must_match() {
    let original = [("accept", "a"), ("x", "1")];
    for (vary, later, expected) in [
        ("Accept, X", &original[..], true),
        ("Accept, X", &[("accept", "a"), ("x", "2")], false),
        ("Accept, X", &[("accept", "a")], false),
        ("Accept", &[("accept", "a"), ("x", "2")], true),
        ("", &[], true),
    ] {
        assert_eq!(
            is_same(vary, &original, later),
            expected,
            "{vary} {later:?}"
        );
    }
}

#[test]
fn absent_is_not_empty() {
    for name in ["x", "accept-language"] {
        assert!(!is_same(name, &[(name, "")], &[]));
        assert!(!is_same(name, &[], &[(name, "")]));
        assert!(is_same(name, &[(name, "")], &[(name, " ")]));
        assert!(is_same(name, &[], &[]));
    }
}

#[test]
fn unknown_fields_differ_by_all_but_lines_and_white_space() {
    for (one, other, expected) in [
        (&["1, 2"][..], &["1", "2"][..], true),
        (&["1,2"], &[" 1, 2 "], true),
        (&["1 \t,\t 2"], &["1", "2"], true),
        (&["1", "2"], &["1"], false),
        (&["1", "2"], &["2", "1"], false),
        (&["1,2"], &["1,,2"], false),
        (&["1,"], &["1"], false),
        (&["1 2"], &["1  2"], false),
        (&["a"], &["A"], false),
        (&["\"1, 2\""], &["\"1,2\""], false),
        (&["\"1\\\", 2\""], &["\"1\\\",2\""], false),
        (&["\"1\\\\\", 2"], &["\"1\\\\\",2"], true),
        (&["\"1\" , \"2\""], &["\"1\"", "\"2\""], true),
    ] {
        let fields =
            |lines: &[&'static str]| lines.iter().map(|line| ("x", *line)).collect::<Vec<_>>();
        assert_eq!(
            is_same("x", &fields(one), &fields(other)),
            expected,
            "{one:?} {other:?}"
        );
    }
}

#[test]
fn known_fields_differ_by_what_they_mean() {
    for (name, one, other, expected) in [
        ("accept-language", "en, de", "de, en", true),
        ("accept-language", "en, de", "eN, De", true),
        ("accept-language", "en, de", " en ,   de", true),
        (
            "accept-language",
            "en, de;q=0.50",
            "de;q=0.5, en;q=1.0",
            true,
        ),
        ("accept-language", "en, de;q=0", "en", false),
        ("accept-language", "en, de;q=x", "de;q=x,en", false),
        ("accept-encoding", "gzip, br", "BR,gzip", true),
        ("accept-charset", "utf-8, *;q=0.1", "*;q=0.1,UTF-8", true),
        ("accept", "a/b, c/d", "a/b,c/d", true),
        ("accept", "a/b, c/d", "c/d, a/b", false),
    ] {
        assert_eq!(
            is_same(name, &[(name, one)], &[(name, other)]),
            expected,
            "{one} {other}"
        );
    }
}

#[test]
fn what_came_serves_whoever_wants_it_most() {
    let vary = "accept-language, accept-encoding, x";
    let original = [
        ("accept-language", "en, de"),
        ("accept-encoding", "gzip, br"),
        ("x", "1"),
    ];
    let german = [("content-language", "de"), ("content-encoding", "gzip")];
    let stored = selection(vary, &original, &german);
    for (language, encoding, x, expected) in [
        ("fr;q=0.5, de;q=1.0", "gzip, br;q=0.9", "1", true),
        ("fr;q=0.5, de;q=1.0", "br, gzip", "1", true),
        ("de, en", "gzip", "1", true),
        ("fr;q=0.5, de;q=1.0", "br", "1", false),
        ("fr, de", "gzip", "1", false),
        ("de", "gzip", "2", false),
    ] {
        let later = map(&[
            ("accept-language", language),
            ("accept-encoding", encoding),
            ("x", x),
        ]);
        assert_eq!(
            stored.matches_by_preference(&later),
            expected,
            "{language} {encoding} {x}"
        );
        assert!(!stored.matches_exactly(&later));
        assert_eq!(stored.matches(&later), expected);
    }
    let unknown = selection(vary, &original, &[]);
    let later = map(&[
        ("accept-language", "de"),
        ("accept-encoding", "gzip"),
        ("x", "1"),
    ]);
    assert!(!unknown.matches(&later));
    assert!(unknown.matches(&map(&original)) && stored == unknown);
}

#[test]
fn star_secrets_nonsense_and_crowds_are_refused() {
    for vary in [
        "*",
        "accept, *",
        "Cookie",
        "authorization",
        "user-agent",
        "a b",
        "(x)",
        "a,b,c,d,e,f,g,h,i",
    ] {
        assert_eq!(names(&[("vary", vary)]), Err(Unmatchable), "{vary}");
    }
    assert_eq!(names(&[("vary", "a"), ("vary", "*")]), Err(Unmatchable));
    assert_eq!(
        names(&[("vary", "a, A"), ("vary", "b")]).unwrap()[..],
        ["a", "b"]
    );
    assert_eq!(names(&[("vary", "a,b,c,d,e,f,g,h,H")]).unwrap().len(), 8);
    let none = |fields: &Fields| nominated(&map(fields), 0, |_| false);
    assert!(none(&[("vary", "a")]).is_err() && none(&[("vary", "")]).is_ok());
    // A star is no name, whatever is allowed.
    assert!(nominated(&map(&[("vary", "*")]), 8, |_| false).is_err());
}

fn white_space() -> impl Strategy<Value = String> {
    "[ \t]{0,3}"
}

proptest! {
    #[test]
    fn nothing_panics_and_all_match_themselves(
        name in prop::sample::select(vec!["x", "accept-language", "accept-encoding"]),
        lines in proptest::collection::vec("[a-c\"\\\\,;=q0-9. \t]{0,20}", 0..3),
    ) {
        let mut request = HeaderMap::new();
        for line in &lines {
            request.append(name, line.parse().unwrap());
        }
        let selection = Selection::of(&[name.parse().unwrap()], &request);
        prop_assert!(selection.matches_exactly(&request));
        if let Some(joined) = joined(&request, &name.parse().unwrap()) {
            let name = name.parse().unwrap();
            prop_assert!(is_joined(&joined, &request, &name));
            let normal = normal(&name, &joined);
            prop_assert_eq!(super::normal(&name, &normal), normal);
        }
    }

    #[test]
    fn white_space_around_commas_is_all_that_goes(
        members in proptest::collection::vec("[a-c]( ?[a-c])?|\"[a-c, ]{0,4}\"|", 1..5),
        spaces in proptest::collection::vec((white_space(), white_space()), 5),
    ) {
        let spaced = members.iter().zip(&spaces);
        let spaced = spaced.map(|(member, (before, after))| format!("{before}{member}{after}"));
        let spaced = spaced.collect::<Vec<_>>().join(",");
        let squeezed = squeezed(spaced.trim_ascii().as_bytes());
        prop_assert_eq!(squeezed.to_vec(), members.join(",").into_bytes());
    }
}
