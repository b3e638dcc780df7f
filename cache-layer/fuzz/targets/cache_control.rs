//! `Cache-Control`, of requests and of answers, and the fields that replace it for some caches.
#![no_main]

use cache_layer::fuzzing::{
    Argument, Directives, explicit_lifetime, request_directives, response_directives, stated,
};
use cache_layer_fuzz::{MOST_SECONDS, fields, is_open, lines, split, with_values};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use sfv::{BareItem, Dictionary, ListEntry, Parser};
use std::cmp::{max, min};
use std::time::{Duration, SystemTime};

const TARGETS: [HeaderName; 2] = [
    HeaderName::from_static("own-cache-control"),
    HeaderName::from_static("cdn-cache-control"),
];

const FLAGS: [&str; 6] = [
    "no-store",
    "public",
    "must-revalidate",
    "proxy-revalidate",
    "must-understand",
    "immutable",
];
const SCOPES: [&str; 2] = ["no-cache", "private"];
const TIMES: [&str; 4] = [
    "max-age",
    "s-maxage",
    "stale-while-revalidate",
    "stale-if-error",
];

/// `Cache-Control` of an answer, by a model.
fn response_model(headers: &HeaderMap) -> Directives {
    let mut all = Directives::new();
    for (name, argument) in members(headers, "cache-control") {
        if let Some(name) = known(&FLAGS, &name) {
            all.insert(name, Argument::None);
        }
        if let Some(name) = known(&SCOPES, &name) {
            let names = argument.as_ref().and_then(|list| {
                let names = split(list, b',').into_iter();
                names
                    .map(|name| HeaderName::from_bytes(&name).ok())
                    .collect::<Option<Vec<_>>>()
            });
            let wider = match (all.remove(name), names.unwrap_or_default()) {
                (Some(Argument::Fields(old)), new) if !new.is_empty() => [old, new].concat(),
                (None, new) => new,
                _ => Vec::new(),
            };
            all.insert(name, of_fields(wider));
        }
        if let Some(name) = known(&TIMES, &name) {
            let new = argument.and_then(|argument| delta(&argument)).unwrap_or(0);
            strictest(&mut all, name, new, min);
        }
    }
    all
}

/// The plain form, should there be none.
fn of_fields(mut names: Vec<HeaderName>) -> Argument {
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    if names.is_empty() {
        Argument::None
    } else {
        Argument::Fields(names)
    }
}

/// `Cache-Control` or `Pragma` of a request, by a model.
fn request_model(headers: &HeaderMap) -> Directives {
    let mut all = Directives::new();
    if !headers.contains_key("cache-control") {
        let mut pragma = members(headers, "pragma").into_iter();
        if pragma.any(|(name, _)| name == b"no-cache") {
            all.insert("no-cache", Argument::None);
        }
        return all;
    }
    for (name, argument) in members(headers, "cache-control") {
        let time = argument.as_deref().and_then(delta);
        match &name[..] {
            b"no-store" => drop(all.insert("no-store", Argument::None)),
            b"no-cache" => drop(all.insert("no-cache", Argument::None)),
            b"only-if-cached" => drop(all.insert("only-if-cached", Argument::None)),
            b"max-age" => strictest(&mut all, "max-age", time.unwrap_or(0), min),
            b"stale-if-error" => strictest(&mut all, "stale-if-error", time.unwrap_or(0), min),
            b"min-fresh" => time
                .into_iter()
                .for_each(|time| strictest(&mut all, "min-fresh", time, max)),
            b"max-stale" if argument.is_none() => {
                all.entry("max-stale").or_insert(Argument::None);
            }
            b"max-stale" => strictest(&mut all, "max-stale", time.unwrap_or(0), min),
            _ => {}
        }
    }
    all
}

fn strictest(all: &mut Directives, name: &'static str, new: u64, choose: fn(u64, u64) -> u64) {
    let strictest = match all.get(name) {
        Some(Argument::Seconds(old)) => choose(*old, new),
        _ => new,
    };
    all.insert(name, Argument::Seconds(strictest));
}

fn known(names: &[&'static str], name: &[u8]) -> Option<&'static str> {
    names.iter().copied().find(|known| known.as_bytes() == name)
}

/// Names in lower case, and what stands behind the sign.
fn members(headers: &HeaderMap, field: &str) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let all = lines(headers, field).flat_map(|line| split(line, b','));
    all.map(|member| {
        let mut halves = member.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default().to_ascii_lowercase();
        let argument = halves.next().map(|argument| match argument {
            [b'"', inside @ .., b'"'] => inside.to_vec(),
            token => token.to_vec(),
        });
        (name, argument)
    })
    .collect()
}

fn delta(argument: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(argument).ok()?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX).min(MOST_SECONDS))
}

/// What the first targeted field says that says anything, read by another parser.
fn targeted_model(headers: &HeaderMap) -> Option<Directives> {
    let members = TARGETS.iter().find_map(|name| {
        let all: Vec<_> = lines(headers, name.as_str()).collect();
        let members = Parser::new(&all.join(&b", "[..]))
            .parse::<Dictionary>()
            .ok();
        members.filter(|members| !all.is_empty() && !members.is_empty())
    })?;
    let mut all = Directives::new();
    for (key, entry) in &members {
        let item = match entry {
            ListEntry::Item(item) => Some(&item.bare_item),
            ListEntry::InnerList(_) => None,
        };
        let (yes, no) = (BareItem::Boolean(true), BareItem::Boolean(false));
        let (is_yes, is_no) = (item == Some(&yes), item == Some(&no));
        let key = key.as_str().as_bytes();
        let flag = known(&FLAGS, key).or(known(&SCOPES, key));
        let permits = ["public", "must-understand", "immutable"];
        if let Some(name) = flag.filter(|name| {
            if permits.contains(name) {
                is_yes
            } else {
                !is_no
            }
        }) {
            all.insert(name, Argument::None);
        }
        if let Some(name) = known(&TIMES, key) {
            let seconds = match item {
                Some(BareItem::Integer(number)) => u64::try_from(i64::from(*number)).unwrap_or(0),
                _ => 0,
            };
            all.insert(name, Argument::Seconds(seconds.min(MOST_SECONDS)));
        }
    }
    Some(all)
}

fuzz_target!(|input: &[u8]| {
    let headers = fields(input);
    let both = |headers: &_| [response_directives(headers), request_directives(headers)];
    let said = both(&headers);
    assert_eq!(said, [response_model(&headers), request_model(&headers)]);

    // By neither case, nor order, nor lines.
    let upper = with_values(&headers, |_, value| value.to_ascii_uppercase());
    assert_eq!(both(&upper), said);
    let backwards = with_values(&headers, |_, value| {
        let mut members = split(value, b',');
        // A string that is open at the end can go nowhere else.
        let fixed = usize::from(is_open(value));
        let movable = members.len().saturating_sub(fixed);
        members[..movable].reverse();
        members.join(&b" ,\t"[..])
    });
    assert_eq!(both(&backwards), said);
    assert_eq!(both(&in_one_line(&headers)), said);

    // What is printed is read alike.
    for (one, read) in said.iter().zip([response_directives, request_directives]) {
        let printed = HeaderMap::from_iter([(header::CACHE_CONTROL, print(one))]);
        assert_eq!(read(&printed), *one);
    }

    // A targeted field replaces all of it, and must be right to the letter.
    let (counts, is_targeted) = stated(&headers, &TARGETS);
    let model = targeted_model(&headers);
    assert_eq!(is_targeted, model.is_some());
    assert_eq!(counts, model.unwrap_or_else(|| said[0].clone()));

    for argument in said.iter().chain([&counts]).flat_map(Directives::values) {
        assert!(
            !matches!(argument, Argument::Seconds(MOST..)),
            "{argument:?}"
        );
    }
    let lifetime = explicit_lifetime(&headers, SystemTime::UNIX_EPOCH);
    assert!(lifetime.is_none_or(|lifetime| lifetime <= Duration::from_secs(MOST_SECONDS)));
});

const MOST: u64 = MOST_SECONDS + 1;

/// The lines of each field as one, where none leaves a string open.
fn in_one_line(headers: &HeaderMap) -> HeaderMap {
    let mut joined = HeaderMap::new();
    for name in headers.keys() {
        let all: Vec<_> = lines(headers, name.as_str()).collect();
        if all.iter().any(|line| is_open(line)) {
            return headers.clone();
        }
        let value = HeaderValue::from_bytes(&all.join(&b", "[..]));
        joined.insert(name, value.expect("lines make a line"));
    }
    joined
}

fn print(directives: &Directives) -> HeaderValue {
    let member = |(name, argument): (&&str, &Argument)| match argument {
        Argument::None => (*name).to_owned(),
        Argument::Seconds(seconds) => format!("{name}=\"{seconds}\""),
        Argument::Fields(names) => {
            let names: Vec<_> = names.iter().map(HeaderName::as_str).collect();
            format!("{name}=\"{}\"", names.join(" , "))
        }
    };
    let members: Vec<_> = directives.iter().map(member).collect();
    members
        .join(",")
        .parse()
        .expect("names and digits are a valid value")
}
