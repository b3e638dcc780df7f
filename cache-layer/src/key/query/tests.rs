use super::*;
use proptest::prelude::*;

fn applied(policy: &QueryPolicy, query: &str) -> Option<String> {
    policy.apply(query).map(Cow::into_owned)
}

#[test]
fn exact_is_what_it_was() {
    for query in ["", "a", "b&a", "a=1&&=2&a", "%61=%2f", "a;b?c"] {
        assert_eq!(
            applied(&QueryPolicy::exact(), query).as_deref(),
            Some(query)
        );
    }
}

#[test]
fn to_ignore_nothing_is_exact() {
    let nothing: [&str; 0] = [];
    assert_eq!(QueryPolicy::ignoring(nothing), QueryPolicy::exact());
    assert!(QueryPolicy::exact().is_exact() && !QueryPolicy::exact().sorted().is_exact());
}

#[test]
fn parameters_are_ignored_by_their_names() {
    let policy = QueryPolicy::ignoring(["utm", "gclid", "a.b"]);
    for (query, counts) in [
        ("utm=1", None),
        ("utm", None),
        ("utm=1&gclid=2&utm=", None),
        ("a=1&utm=2&b=3", Some("a=1&b=3")),
        ("b&utm=1&a", Some("b&a")),
        ("UTM=1", Some("UTM=1")),
        ("utm2=1&xutm=1", Some("utm2=1&xutm=1")),
        ("%75tm=1&ut%6D=1&u+tm=1", Some("%75tm=1&ut%6D=1&u+tm=1")),
        ("a=1&amp=utm", Some("a=1&amp=utm")),
        ("a.b=1&a=utm=1", Some("a=utm=1")),
        ("utm[]=1", Some("utm[]=1")),
        ("utm=1&", Some("")),
        ("&", Some("&")),
        ("", Some("")),
    ] {
        assert_eq!(applied(&policy, query).as_deref(), counts, "{query}");
    }
}

#[test]
fn only_named_parameters_are_kept() {
    let policy = QueryPolicy::keeping(["id", "q"]);
    for (query, counts) in [
        ("id=1", Some("id=1")),
        ("x=1&q=2&id=1&q=3", Some("q=2&id=1&q=3")),
        ("%69d=1", None),
        ("ID=1&&x", None),
        ("", None),
    ] {
        assert_eq!(applied(&policy, query).as_deref(), counts, "{query}");
    }
    assert_eq!(
        applied(&QueryPolicy::keeping([""]), "=1&a&").as_deref(),
        Some("=1&")
    );
}

#[test]
fn sorting_is_by_name_and_keeps_the_order_of_values() {
    let policy = QueryPolicy::exact().sorted();
    for (query, counts) in [
        ("b=1&a=2&b=0&a=1", "a=2&a=1&b=1&b=0"),
        ("b&a&=1&", "=1&&a&b"),
        ("a=2&A=1&%61=3", "%61=3&A=1&a=2"),
        ("ab=1&a=2&a", "a=2&a&ab=1"),
    ] {
        assert_eq!(applied(&policy, query).as_deref(), Some(counts), "{query}");
    }
    let policy = QueryPolicy::ignoring(["b"]).sorted();
    assert_eq!(applied(&policy, "c&b=1&a").as_deref(), Some("a&c"));
}

#[test]
fn what_some_services_split_elsewhere_stays_as_it_is() {
    for policy in [
        QueryPolicy::ignoring(["utm"]),
        QueryPolicy::keeping(["id"]),
        QueryPolicy::exact().sorted(),
    ] {
        for query in ["utm=1;id=2", "z=1&utm=a;b", "utm=x?id=1", "?b&a", "b&a;"] {
            assert_eq!(applied(&policy, query).as_deref(), Some(query));
        }
    }
}

fn policies() -> impl Strategy<Value = QueryPolicy> {
    let names = || proptest::collection::vec("[a-c]?", 0..3);
    let policy = prop_oneof![
        Just(QueryPolicy::exact()),
        names().prop_map(QueryPolicy::ignoring),
        names().prop_map(QueryPolicy::keeping),
    ];
    (policy, any::<bool>())
        .prop_map(|(policy, sorted)| if sorted { policy.sorted() } else { policy })
}

proptest! {
    #[test]
    fn what_counts_is_a_part_and_counts_as_it_is(policy in policies(), query in "[a-c=&;?]{0,12}") {
        let Some(once) = applied(&policy, &query) else { return Ok(()) };
        prop_assert_eq!(applied(&policy, &once), Some(once.clone()));
        let mut left: Vec<&str> = query.split('&').collect();
        for parameter in once.split('&') {
            let place = left.iter().position(|one| *one == parameter);
            prop_assert!(place.is_some(), "{} of {}", parameter, query);
            left.remove(place.unwrap());
        }
    }
}
