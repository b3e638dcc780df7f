use super::*;
use proptest::prelude::*;

fn of(value: &str) -> Option<String> {
    normal(&header::ACCEPT_LANGUAGE, value.as_bytes())
        .map(|normal| String::from_utf8(normal).unwrap())
}

#[test]
fn one_spelling_for_one_meaning() {
    for (value, expected) in [
        ("en, de", "de,en"),
        ("de,en", "de,en"),
        (" eN ,   De", "de,en"),
        ("en;q=1.0, de;q=1", "de,en"),
        ("en;q=0.50", "en;q=0.5"),
        ("en ; Q=0.500", "en;q=0.5"),
        ("en;q=0.", "en;q=0"),
        ("en;q=0.005", "en;q=0.005"),
        ("*;q=0, en", "*;q=0,en"),
        ("en, en,, en;q=0.5", "en;q=0.5,en"),
        ("", ""),
        (",", ""),
    ] {
        assert_eq!(of(value).as_deref(), Some(expected), "{value}");
    }
}

#[test]
fn what_cannot_be_read() {
    for value in [
        "en;q=2",
        "en;q=1.1",
        "en;q=0.1234",
        "en;q=.5",
        "en;q=-1",
        "en;q=",
        "en;q",
        "en;x=1",
        "en;q=0.5;x=1",
        "e n",
        "\"en\"",
        "en;",
        ";q=1",
        "q=1",
    ] {
        assert_eq!(of(value), None, "{value}");
    }
    assert_eq!(of(&"a".repeat(MAX_LENGTH + 1)), None);
    assert_eq!(normal(&header::ACCEPT, b"text/html"), None);
    assert!(normal(&header::ACCEPT_CHARSET, b"utf-8").is_some());
}

#[test]
fn what_an_answer_is_in() {
    let served = |name: HeaderName, fields: &[(&'static str, &'static str)]| {
        let mut answer = HeaderMap::new();
        for (name, value) in fields {
            answer.append(*name, value.parse().unwrap());
        }
        served(&name, &answer).map(|served| String::from_utf8(served.into()).unwrap())
    };
    for (value, expected) in [("De-AT", Some("de-at")), ("de, en", None), ("", None)] {
        let fields = [("content-language", value)];
        assert_eq!(
            served(header::ACCEPT_LANGUAGE, &fields).as_deref(),
            expected,
            "{value}"
        );
        assert_eq!(served(header::ACCEPT, &fields), None);
    }
    assert_eq!(served(header::ACCEPT_LANGUAGE, &[]), None);
    for (value, expected) in [
        ("GZIP", Some("gzip")),
        ("x-gzip", Some("gzip")),
        ("br, gzip", None),
    ] {
        let fields = [("content-encoding", value)];
        assert_eq!(
            served(header::ACCEPT_ENCODING, &fields).as_deref(),
            expected,
            "{value}"
        );
    }
    assert_eq!(served(header::ACCEPT_ENCODING, &[]).unwrap(), "identity");
    let twice = [("content-encoding", "br"), ("content-encoding", "br")];
    assert_eq!(served(header::ACCEPT_ENCODING, &twice), None);
}

#[test]
fn the_language_that_is_wanted_most() {
    for (value, expected) in [
        ("fr;q=0.5, de;q=1.0", true),
        ("DE", true),
        ("de;q=0.1", true),
        ("de, de", true),
        ("de, *;q=0.9", true),
        ("de, de-at;q=0.9", true),
        ("en, de", false),
        ("*, de", false),
        ("*", false),
        ("de-at", false),
        ("de-at, de;q=0.9", false),
        ("de;q=0", false),
        ("de, de;q=0.5", false),
        ("de;q=x", false),
        ("", false),
    ] {
        assert_eq!(
            prefers(&header::ACCEPT_LANGUAGE, value.as_bytes(), b"de"),
            expected,
            "{value}"
        );
    }
}

#[test]
fn the_coding_that_is_wanted_most() {
    for (value, by_gzip, by_identity) in [
        ("gzip", true, false),
        ("X-Gzip", true, false),
        ("gzip, x-gzip", true, false),
        ("gzip, br;q=0.9, *;q=0.1", true, false),
        ("gzip, br", false, false),
        ("br", false, false),
        ("identity", false, true),
        ("identity;q=0.5, *;q=0", false, true),
        ("identity, gzip;q=0.5", false, false),
        ("", false, true),
        ("gzip;q=0", false, true),
        ("*;q=0", false, false),
        ("identity;q=0", false, false),
        ("*", false, false),
    ] {
        let prefers = |served| prefers(&header::ACCEPT_ENCODING, value.as_bytes(), served);
        assert_eq!(prefers(b"gzip"), by_gzip, "{value}");
        assert_eq!(prefers(IDENTITY), by_identity, "{value}");
    }
}

fn weights() -> impl Strategy<Value = Vec<(String, u16)>> {
    let weight = prop_oneof![0..=1000u16, prop::sample::select(vec![0, 5, 500, 1000])];
    proptest::collection::vec(("[ab]", weight), 0..4)
}

fn spelled(members: &[(String, u16)]) -> String {
    let member = |(name, weight): &(String, u16)| {
        format!(
            " {} ;\tq={}.{:03}",
            name.to_uppercase(),
            weight / 1000,
            weight % 1000
        )
    };
    members.iter().map(member).collect::<Vec<_>>().join(",")
}

proptest! {
    #[test]
    fn nothing_panics(value in "[a-z0-9;q=., *]{0,40}", served in "[a-z]{0,3}") {
        prefers(&header::ACCEPT_ENCODING, value.as_bytes(), served.as_bytes());
        if let Some(normal) = of(&value) {
            prop_assert_eq!(of(&normal), Some(normal));
        }
    }

    #[test]
    fn the_same_members_and_no_others_have_one_spelling(one in weights(), other in weights()) {
        let set = |members: &[(String, u16)]| {
            members.iter().cloned().collect::<std::collections::BTreeSet<_>>()
        };
        let alike = of(&spelled(&one)).unwrap() == of(&spelled(&other)).unwrap();
        prop_assert_eq!(alike, set(&one) == set(&other));
        let reversed: Vec<_> = one.iter().rev().cloned().collect();
        prop_assert_eq!(of(&spelled(&one)), of(&spelled(&reversed)));
    }

    #[test]
    fn only_the_highest_weight_is_preferred(members in weights()) {
        for (name, weight) in &members {
            let value = spelled(&members);
            if prefers(&header::ACCEPT_LANGUAGE, value.as_bytes(), name.as_bytes()) {
                let others = members.iter().filter(|(other, _)| other != name);
                prop_assert!(others.into_iter().all(|(_, other)| other < weight));
            }
        }
    }
}
