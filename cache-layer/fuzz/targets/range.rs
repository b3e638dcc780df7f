//! `Range`, `Content-Range` and `If-Range`.
#![no_main]

use cache_layer::fuzzing::{
    ContentRange, Requested, Resolved, content_range, content_range_value, http_date,
    if_range_holds, range_request, strong_validator,
};
use cache_layer_fuzz::{fields, lines, number, split, with_values};
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, SystemTime};

/// From this octet to that one, or to the end; or so many at the end.
#[derive(Debug, Clone, Copy)]
enum Spec {
    From(u128, Option<u128>),
    Last(u128),
}

/// The one line of a field.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all: Vec<_> = headers.get_all(name).into_iter().collect();
    match all[..] {
        [one] => one.to_str().ok(),
        _ => None,
    }
}

fn digits(text: &str) -> Option<u128> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What no length can be is beyond every end.
    all_digits.then(|| text.parse().unwrap_or(u128::MAX).min(u64::MAX.into()))
}

fn requested_model(headers: &HeaderMap) -> Option<Vec<Spec>> {
    let (unit, set) = only(headers, "range")?.split_once('=')?;
    let specs = split(set.as_bytes(), b',').into_iter().map(|member| {
        let (first, last) = str::from_utf8(&member).ok()?.split_once('-')?;
        match (first, last) {
            ("", length) => Some(Spec::Last(digits(length)?)),
            (first, "") => Some(Spec::From(digits(first)?, None)),
            (first, last) => {
                let (first, last) = (digits(first)?, digits(last)?);
                (first <= last).then_some(Spec::From(first, Some(last)))
            }
        }
    });
    let specs: Vec<_> = specs.collect::<Option<_>>()?;
    (unit.eq_ignore_ascii_case("bytes") && (1..=16).contains(&specs.len())).then_some(specs)
}

/// Joins stretches, as long as any two have an octet in common or none between them.
fn resolve_model(specs: &[Spec], complete: u64) -> Resolved {
    let complete = u128::from(complete);
    let mut there: Vec<(u128, u128)> = Vec::new();
    for spec in specs {
        let (from, to) = match *spec {
            Spec::From(first, last) => {
                (first, last.map_or(complete, |last| complete.min(last + 1)))
            }
            Spec::Last(length) => (complete - length.min(complete), complete),
        };
        if from < to {
            there.push((from, to));
        }
    }
    let mut joined: Vec<(u128, u128)> = Vec::new();
    while let Some((mut from, mut to)) = there.pop() {
        if let Some(at) = joined
            .iter()
            .position(|other| from <= other.1 && other.0 <= to)
        {
            let other = joined.swap_remove(at);
            (from, to) = (from.min(other.0), to.max(other.1));
            there.push((from, to));
        } else {
            joined.push((from, to));
        }
    }
    let suffix_of_nothing =
        complete == 0 && specs.iter().any(|spec| matches!(spec, Spec::Last(1..)));
    let octet = |at| u64::try_from(at).expect("within the whole");
    match joined[..] {
        [] if suffix_of_nothing => Resolved::Many,
        [] => Resolved::Unsatisfiable,
        [(from, to)] => Resolved::One(octet(from), octet(to - 1)),
        _ => Resolved::Many,
    }
}

fn content_range_model(headers: &HeaderMap) -> Option<ContentRange> {
    let mut rest = only(headers, "content-range")?;
    let mut until = |mark| {
        let (before, after) = rest.split_once(mark)?;
        rest = after;
        Some(before)
    };
    let (unit, first, last) = (until(' ')?, digits(until('-')?)?, digits(until('/')?)?);
    let complete = if rest == "*" {
        None
    } else {
        Some(digits(rest)?)
    };
    let is_octet = |at: u128| at < u128::from(u64::MAX);
    let fits = complete.is_none_or(|complete| last < complete && is_octet(complete));
    let octet = |at| u64::try_from(at).expect("no more than fits");
    (unit.eq_ignore_ascii_case("bytes") && first <= last && is_octet(last) && fits)
        .then(|| (octet(first), octet(last), complete.map(octet)))
}

/// The fields of one answer, as far as they can be a strong validator: a tag, else a date.
fn validators(headers: &HeaderMap) -> [Option<&HeaderValue>; 2] {
    let tag = only(headers, "etag")
        .filter(|tag| is_strong(tag))
        .and(headers.get("etag"));
    let moment = |name| http_date(headers.get(name)?, SystemTime::UNIX_EPOCH + FIFTY_YEARS);
    let modified = only(headers, "last-modified").and(headers.get("last-modified"));
    let is_strong = moment("last-modified").zip(moment("date"));
    let is_strong =
        is_strong.is_some_and(|(modified, date)| modified + Duration::from_secs(1) <= date);
    [tag, modified.filter(|_| is_strong)]
}

const FIFTY_YEARS: Duration = Duration::from_secs(50 * 31_556_952);

fn is_strong(tag: &str) -> bool {
    let mut quotes = tag.match_indices('"').map(|(at, _)| at);
    (quotes.next(), quotes.next(), quotes.next())
        == (Some(0), Some(tag.len().wrapping_sub(1)), None)
        && !tag.contains(' ')
}

fuzz_target!(|input: &[u8]| {
    let headers = fields(input);
    let complete = number(&headers, "length").unwrap_or(26);

    let requested = Requested::of(&headers);
    let model = requested_model(&headers);
    assert_eq!(requested.is_some(), model.is_some(), "{model:?}");
    if let (Some(requested), Some(specs)) = (requested, model) {
        let resolved = requested.resolve(complete);
        assert_eq!(resolved, resolve_model(&specs, complete), "{specs:?}");
        if let Resolved::One(first, last) = resolved {
            assert!(first <= last && last < complete);
            let value = range_request(first, last, Some(complete)).expect("a stretch of the whole");
            let printed = HeaderMap::from_iter([(header::RANGE, value)]);
            assert_eq!(Requested::of(&printed).unwrap().resolve(complete), resolved);
        }
        let upper = with_values(&headers, |_, value| value.to_ascii_uppercase());
        assert_eq!(Requested::of(&upper), Some(requested));
    }

    let range = content_range(&headers);
    assert_eq!(range, content_range_model(&headers));
    if let Some(range) = range {
        let value = content_range_value(range).expect("what was read can be written");
        let printed = HeaderMap::from_iter([(header::CONTENT_RANGE, value)]);
        assert_eq!(content_range(&printed), Some(range));
    }

    // What is strong holds for itself; nothing else holds, and no tag for a date.
    let [tag, modified] = validators(&headers);
    let has_tag = headers.contains_key("etag");
    assert_eq!(
        strong_validator(&headers),
        if has_tag { tag } else { modified }
    );
    let conditions: Vec<_> = lines(&headers, "if-range").collect();
    let holds = match conditions[..] {
        [] => true,
        [one] => [tag, modified]
            .into_iter()
            .flatten()
            .any(|validator| validator.as_bytes() == one),
        _ => false,
    };
    assert_eq!(if_range_holds(&headers, &headers), holds);
    for validator in [tag, modified].into_iter().flatten() {
        let condition = HeaderMap::from_iter([(header::IF_RANGE, validator.clone())]);
        assert!(if_range_holds(&condition, &headers));
    }
});
