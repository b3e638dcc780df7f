use super::*;
use proptest::prelude::*;

fn rule(lines: &[&str]) -> Option<Rule> {
    let mut response = HeaderMap::new();
    for line in lines {
        response.append(NO_VARY_SEARCH, line.parse().unwrap());
    }
    Rule::parse(&response)
}

fn names(any_order: bool, only_named: bool, names: &[&str]) -> Option<Rule> {
    Some(Rule {
        any_order,
        only_named,
        names: names.iter().map(ToString::to_string).collect(),
    })
}

#[test]
fn what_the_field_says() {
    for (value, expected) in [
        ("key-order", names(true, false, &[])),
        ("key-order=?1;x=1, unknown=5", names(true, false, &[])),
        (r#"params=("b" "a" "b")"#, names(false, false, &["a", "b"])),
        (r#"except=("x")"#, names(false, true, &["x"])),
        ("except=()", names(false, true, &[])),
        (r#"except=("x"), key-order"#, names(true, true, &["x"])),
        (
            r#"params=("%C3%A9+%E6%B0%97")"#,
            names(false, false, &["é 気"]),
        ),
        (
            r#"key-order, key-order=?0, params=("a")"#,
            names(false, false, &["a"]),
        ),
    ] {
        assert_eq!(rule(&[value]), expected, "{value}");
    }
    assert_eq!(rule(&["key-order", "except=()"]), names(true, true, &[]));
}

#[test]
fn what_has_no_effect() {
    for value in [
        "",
        "unknown",
        "params=()",
        "key-order=?0",
        r#"key-order="not a boolean""#,
        r#"params="not an inner list""#,
        "params=(not-a-string)",
        "params=?0",
        "params=?1",
        "params",
        r#"params, except=("x")"#,
        r#"params=?1, except=("x")"#,
        r#"params=("a"), except=("x")"#,
        r#"except=("x"), params=("a")"#,
        "params=(), except=()",
        r#"except="not an inner list""#,
        "except=(not-a-string)",
        "except=?1",
        "key-order, except=?1",
        r#"params=("%FF")"#,
        r#"params=("a""#,
    ] {
        assert_eq!(rule(&[value]), None, "{value}");
    }
    assert_eq!(rule(&[]), None);
}

#[test]
fn sizes_are_bounded() {
    let list = |count: usize, length: usize| {
        let name = |number| format!("\"{number:0length$}\"");
        format!(
            "params=({})",
            (0..count).map(name).collect::<Vec<_>>().join(" ")
        )
    };
    for (count, length, expected) in [
        (MAX_NAMES, MAX_LENGTH, true),
        (MAX_NAMES + 1, 3, false),
        (1, MAX_LENGTH + 1, false),
    ] {
        assert_eq!(
            rule(&[&list(count, length)]).is_some(),
            expected,
            "{count} of {length}"
        );
    }
}

#[test]
fn queries_that_the_parser_takes_for_the_same() {
    let rule = rule(&["key-order"]).unwrap();
    for (one, other) in [
        (None, Some("")),
        (Some("a=x"), Some("%61=%78")),
        (Some("a=é"), Some("a=%C3%A9")),
        (Some("a=%f6"), Some("a=%ef%bf%bd")),
        (Some("a=x&&&&"), Some("a=x")),
        (Some("a="), Some("a")),
        (Some("a=%20"), Some("a= &")),
        (Some("a=+"), Some("a= &")),
        (Some("b=1&a=2"), Some("a=2&b=1")),
        (Some("a=1=2"), Some("a=1%3D2")),
        (Some("%zz"), Some("%25zz=")),
    ] {
        assert_eq!(
            rule.canonical(one),
            rule.canonical(other),
            "{one:?} {other:?}"
        );
    }
    for (one, other) in [
        ("a=1&a=2", "a=2&a=1"),
        ("a", ""),
        ("a=1&b=2", "a=1%26b=2"),
        ("a=1%3D2", "a%3D1=2"),
        ("a=%2B", "a=+"),
        ("a=A", "a=a"),
        ("=a", "a"),
    ] {
        assert_ne!(
            rule.canonical(Some(one)),
            rule.canonical(Some(other)),
            "{one} {other}"
        );
    }
}

#[test]
fn what_matters_and_what_does_not() {
    for (value, query, expected) in [
        (r#"params=("a" "b")"#, "a=1&c=2&b=3&d=4&a=5", "c=2&d=4"),
        (r#"except=("a" "b")"#, "a=1&c=2&b=3&d=4&a=5", "a=1&b=3&a=5"),
        (
            r#"key-order, except=("a" "b")"#,
            "b=3&a=2&c=4&a=1",
            "a=2&a=1&b=3",
        ),
        ("except=()", "a=1", ""),
        (
            r#"params=("utm source")"#,
            "utm+source=x&q=y%20z",
            "q=y%20z",
        ),
    ] {
        let canonical = rule(&[value]).unwrap().canonical(Some(query));
        assert_eq!(canonical, expected, "{value}");
    }
}

/// Section 6, step by step, for queries of plain letters.
fn equivalent(rule: &Rule, one: &str, other: &str) -> bool {
    let parameters = |query: &str| {
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        let pair = |parameter: &str| match parameter.find('=') {
            Some(at) => (parameter[..at].to_owned(), parameter[at + 1..].to_owned()),
            None => (parameter.to_owned(), String::new()),
        };
        let mut pairs: Vec<_> = parameters.map(pair).collect();
        pairs.retain(|(name, _)| rule.names.contains(name) == rule.only_named);
        if rule.any_order {
            // Any order of names will do.
            pairs.sort_by_key(|(name, _)| std::cmp::Reverse(name.clone()));
        }
        pairs
    };
    parameters(one) == parameters(other)
}

fn rules() -> impl Strategy<Value = Rule> {
    let names = proptest::collection::btree_set("[ab]{0,2}", 0..3);
    (any::<bool>(), any::<bool>(), names).prop_map(|(any_order, only_named, names)| Rule {
        any_order,
        only_named,
        names: names.into_iter().collect(),
    })
}

proptest! {
    #[test]
    fn nothing_panics(value in "[ -~]{0,40}", query in "\\PC{0,40}") {
        if let Some(rule) = rule(&[&value]) {
            rule.canonical(Some(&query));
        }
    }

    #[test]
    fn canonical_forms_are_equal_for_equivalent_queries_only(
        rule in rules(), order in any::<u64>(),
        one in "([ab]{1,2}(=[xy]?)?&?){0,4}", other in "([ab]{1,2}(=[xy]?)?&?){0,4}",
    ) {
        let canonical = |query: &str| rule.canonical(Some(query));
        let mut shuffled: Vec<_> = one.split('&').collect();
        shuffled.sort_by_key(|parameter| (parameter.len() as u64).wrapping_mul(order));
        for other in [other, shuffled.join("&")] {
            let same = canonical(&one) == canonical(&other);
            prop_assert_eq!(same, equivalent(&rule, &one, &other), "{}", other);
        }
    }

    #[test]
    fn a_canonical_form_is_its_own(rule in rules(), query in "[ab&=+%2-6 é]{0,30}") {
        let canonical = rule.canonical(Some(&query));
        prop_assert_eq!(rule.canonical(Some(&canonical)), canonical);
    }
}
