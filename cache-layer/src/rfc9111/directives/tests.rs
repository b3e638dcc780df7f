use super::*;
use http::HeaderValue;
use proptest::prelude::*;

fn response(lines: &[&str]) -> ResponseDirectives {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(header::CACHE_CONTROL, line.parse().unwrap());
    }
    ResponseDirectives::parse(&headers)
}

fn seconds(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n))
}

#[test]
fn names_are_case_insensitive_and_lines_are_joined() {
    let all = response(&["Max-Age=10 , PUBLIC", "s-MaxAge=\"20\",must-revalidate"]);
    assert_eq!((all.max_age, all.s_maxage), (seconds(10), seconds(20)));
    assert!(all.public && all.must_revalidate && !all.no_store);
}

#[test]
fn quoted_commas_do_not_split() {
    let all = response(&[r#"ext="no-store, private, \", no-cache", max-age=5"#]);
    assert_eq!(
        all,
        ResponseDirectives {
            max_age: seconds(5),
            ..Default::default()
        }
    );
}

#[test]
fn qualified_forms_name_fields_and_the_plain_form_wins() {
    let names = |scope: &Scope| {
        scope
            .fields()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let all = response(&[
        r#"private="Set-Cookie, x", no-cache=etag"#,
        r#"private="y""#,
    ]);
    assert_eq!(names(&all.private), ["set-cookie", "x", "y"]);
    assert_eq!(names(&all.no_cache), ["etag"]);
    for line in [
        r#"private="x", private"#,
        r#"private, private="x""#,
        r#"private="""#,
        r#"private="a b""#,
        "private=",
    ] {
        assert!(response(&[line]).private.is_whole(), "{line}");
    }
}

#[test]
fn a_client_puts_up_with_the_least_staleness_it_names() {
    let max_stale = |line: &'static str| {
        let headers =
            HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(line))]);
        RequestDirectives::parse(&headers).max_stale
    };
    let within = |n| Some(MaxStale::Within(Duration::from_secs(n)));
    for (line, expected) in [
        ("max-stale", Some(MaxStale::Any)),
        ("max-stale=5", within(5)),
        ("max-stale, max-stale=\"7\"", within(7)),
        ("max-stale=9, max-stale, max-stale=8", within(8)),
        ("max-stale=x", within(0)),
        ("max-age=1", None),
    ] {
        assert_eq!(max_stale(line), expected, "{line}");
    }
}

#[test]
fn numbers_overflow_to_two_to_the_31_and_nonsense_is_stale() {
    for (line, expected) in [
        ("max-age=99999999999999999999999", 1 << 31),
        ("max-age=2147483648", 1 << 31),
        ("max-age=-1", 0),
        ("max-age=1.5", 0),
        ("max-age", 0),
        ("max-age=", 0),
        ("max-age=60, max-age=7", 7),
        ("max-age=60, max-age=x", 0),
    ] {
        assert_eq!(response(&[line]).max_age, seconds(expected), "{line}");
    }
}

#[test]
fn pragma_counts_only_without_cache_control() {
    let mut headers = HeaderMap::new();
    headers.insert(header::PRAGMA, HeaderValue::from_static("No-Cache"));
    assert!(RequestDirectives::parse(&headers).no_cache);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3"));
    let all = RequestDirectives::parse(&headers);
    assert!(!all.no_cache && all.max_age == seconds(3));
}

proptest! {
    #[test]
    fn no_line_panics(line in proptest::collection::vec(32u8..=255, 0..80)) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            headers.insert(header::CACHE_CONTROL, value);
        }
        ResponseDirectives::parse(&headers);
        RequestDirectives::parse(&headers);
    }

    #[test]
    fn a_directive_is_found_among_any_others(
        before in "[a-z]{1,9}(=[a-z0-9]{1,5})?", after in "[a-z]{1,9}(=\"[a-z ,=]{0,9}\")?",
    ) {
        let all = response(&[&format!("{before} ,\t no-store,{after}")]);
        prop_assert!(all.no_store);
    }
}
