//! Two requests match under a `Vary` if, and only if, the nominated fields mean the same in both, or
//! what came for the one is what the other wants most.
#![no_main]

use cache_layer::fuzzing::{Selection, nominated};
use cache_layer_fuzz::{fields, lines, sections, split, stretches};
use http::{HeaderMap, HeaderName, header};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

/// Longer values of fields with weights are compared as they are.
const MAX_LENGTH: usize = 512;

fn nominated_model(answer: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for name in lines(answer, "vary").flat_map(|line| split(line, b',')) {
        let name = HeaderName::from_bytes(&name).ok()?;
        if ["*", "cookie", "authorization", "user-agent"].contains(&name.as_str()) {
            return None;
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (names.len() <= 8).then_some(names)
}

/// A name in lower case, and its weight in thousandths.
type Weighed = BTreeSet<(String, u16)>;

/// What a field says.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Absent,
    Weighed(Weighed),
    Text(Vec<u8>),
}

impl Meaning {
    fn of(name: &HeaderName, request: &HeaderMap) -> Self {
        let all: Vec<_> = lines(request, name.as_str())
            .map(<[u8]>::trim_ascii)
            .collect();
        if all.is_empty() {
            return Self::Absent;
        }
        let value = all.join(&b", "[..]);
        let has_weights =
            ["accept-language", "accept-encoding", "accept-charset"].contains(&name.as_str());
        match weighed(&value) {
            Some(weighed) if has_weights => Self::Weighed(weighed),
            _ => Self::Text(stretches(&value, b',').join(&b","[..])),
        }
    }
}

fn weighed(value: &[u8]) -> Option<Weighed> {
    let value = str::from_utf8(value).ok()?.to_ascii_lowercase();
    let members = value
        .split(',')
        .map(str::trim)
        .filter(|member| !member.is_empty());
    members
        .map(|member| {
            let (name, weight) = match member.split_once(';') {
                Some((name, parameter)) => (name.trim(), parameter.trim().strip_prefix("q=")?),
                None => (member, "1"),
            };
            Some((name.to_owned(), thousandths(weight)?)).filter(|_| is_token(name))
        })
        .collect()
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c))
}

fn thousandths(weight: &str) -> Option<u16> {
    let (whole, behind) = weight.split_once('.').unwrap_or((weight, ""));
    let is_right = ["0", "1"].contains(&whole) && behind.len() <= 3;
    let digits = format!("{whole}{behind:0<3}");
    let thousandths = digits.parse().ok().filter(|_| !digits.contains('+'))?;
    (is_right && thousandths <= 1000).then_some(thousandths)
}

/// The one language or coding of an answer.
fn served(name: &HeaderName, answer: &HeaderMap) -> Option<String> {
    let field = match *name {
        header::ACCEPT_LANGUAGE => "content-language",
        header::ACCEPT_ENCODING => "content-encoding",
        _ => return None,
    };
    let all: Vec<_> = lines(answer, field)
        .map(<[u8]>::to_ascii_lowercase)
        .collect();
    match &all[..] {
        [] => (field == "content-encoding").then(|| "identity".to_owned()),
        [one] => {
            let one = str::from_utf8(one).ok()?.trim();
            is_token(one).then(|| second_name(one).to_owned())
        }
        _ => None,
    }
}

fn second_name(coding: &str) -> &str {
    match coding {
        "x-gzip" => "gzip",
        "x-compress" => "compress",
        other => other,
    }
}

fn is_wanted_most(name: &HeaderName, wanted: &Weighed, served: &str) -> bool {
    if *name == header::ACCEPT_ENCODING && served == "identity" {
        let (refused, accepted): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|(_, weight)| *weight == 0);
        let is_refused = |coding| refused.iter().any(|(name, _)| name == coding);
        let is_last_resort = !is_refused("*") || !accepted.is_empty();
        return accepted.iter().all(|(name, _)| name == served)
            && !is_refused(served)
            && is_last_resort;
    }
    let (own, others): (Vec<_>, Vec<_>) = wanted
        .iter()
        .partition(|(name, _)| second_name(name) == served);
    let least = own.iter().map(|(_, weight)| *weight).min().unwrap_or(0);
    let all_alike = own.iter().all(|(_, weight)| *weight == least);
    least > 0 && all_alike && served != "*" && others.iter().all(|(_, weight)| *weight < least)
}

fuzz_target!(|input: &[u8]| {
    if input.len() > MAX_LENGTH {
        return;
    }
    let mut sections = sections(input).map(fields);
    let mut next = || sections.next().unwrap_or_default();
    let (answer, one, other) = (next(), next(), next());

    let names = nominated(&answer);
    assert_eq!(names, nominated_model(&answer));
    let Some(names) = names else {
        return;
    };
    let meaning = |request| {
        names
            .iter()
            .map(|name| Meaning::of(name, request))
            .collect::<Vec<_>>()
    };
    let (meant, other_meant) = (meaning(&one), meaning(&other));
    let same = meant == other_meant;
    let [of_one, of_other] = [&one, &other].map(|request| Selection::of(&names, request, &answer));

    // Reflexive, symmetric, and the same as equality of selections.
    assert!(of_one.matches_exactly(&one) && of_one.matches(&one));
    assert_eq!(
        [
            of_one.matches_exactly(&other),
            of_other.matches_exactly(&one)
        ],
        [same; 2]
    );
    assert_eq!(of_one == of_other, same);

    // Fields that are not nominated do not count, nor does how a field is cut into lines.
    let mut only_nominated = HeaderMap::new();
    for name in &names {
        let all: Vec<_> = lines(&other, name.as_str()).collect();
        if !all.is_empty() {
            let value = all.join(&b" , "[..]);
            only_nominated.insert(name, value.try_into().expect("lines make a line"));
        }
    }
    let squeezes =
        |meaning: &Meaning| !matches!(meaning, Meaning::Text(text) if text.contains(&b'"'));
    if other_meant.iter().all(squeezes) {
        assert_eq!(of_one.matches_exactly(&only_nominated), same);
        assert_eq!(of_one.matches(&only_nominated), of_one.matches(&other));
    }

    let suits = |(name, (meant, other_meant)): (&HeaderName, (&Meaning, &Meaning))| {
        let is_wanted = |served: String| match other_meant {
            Meaning::Weighed(wanted) => is_wanted_most(name, wanted, &served),
            _ => false,
        };
        meant == other_meant || served(name, &answer).is_some_and(is_wanted)
    };
    let suit = names.iter().zip(meant.iter().zip(&other_meant)).all(suits);
    assert_eq!(of_one.matches(&other), suit);
});
