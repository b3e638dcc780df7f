use super::*;
use proptest::prelude::*;

fn parse(range: &str) -> Option<Requested> {
    requested(&HeaderMap::from_iter([(
        header::RANGE,
        range.parse().unwrap(),
    )]))
}

fn content_range(value: &str) -> Option<ContentRange> {
    let value = HeaderValue::from_str(value).unwrap();
    ContentRange::parse(&HeaderMap::from_iter([(header::CONTENT_RANGE, value)]))
}

fn one(first: u64, last: u64) -> Resolved {
    Resolved::One(Span { first, last })
}

#[test]
fn what_is_asked_for_of_ten_octets() {
    use Resolved::{Many, Unsatisfiable};
    for (range, expected) in [
        ("bytes=0-0", one(0, 0)),
        ("BYTES=2-4", one(2, 4)),
        ("bytes=2-", one(2, 9)),
        ("bytes=-3", one(7, 9)),
        ("bytes=-30", one(0, 9)),
        ("bytes=8-99999999999999999999999", one(8, 9)),
        ("bytes=10-", Unsatisfiable),
        ("bytes=99999999999999999999999-", Unsatisfiable),
        ("bytes=-0", Unsatisfiable),
        ("bytes=10-,-0", Unsatisfiable),
        ("bytes=0-1,4-5", Many),
        ("bytes=0-1, 10-", one(0, 1)),
        ("bytes= ,4-5 ,, 0-3", one(0, 5)),
        ("bytes=0-8,2-3,-1", one(0, 9)),
        ("bytes=0-3,5-7,-1", Many),
    ] {
        assert_eq!(parse(range).unwrap().resolve(10), expected, "{range}");
    }
}

#[test]
fn an_empty_representation_has_no_positions() {
    for (range, expected) in [
        ("bytes=0-", Resolved::Unsatisfiable),
        ("bytes=-0", Resolved::Unsatisfiable),
        ("bytes=-1", Resolved::Many),
    ] {
        assert_eq!(parse(range).unwrap().resolve(0), expected, "{range}");
    }
}

#[test]
fn what_is_to_be_ignored() {
    let crowd = vec!["0-"; MAX_RANGES].join(",");
    assert!(parse(&format!("bytes={crowd}")).is_some());
    for range in [
        "lines=0-1",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=3-2",
        "bytes=a-b",
        "bytes=0x1-",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes =1-2",
        "bytes=0-1;2-3",
        "bytes=0-1,x",
        "bytes=0--1",
        &format!("bytes={crowd},0-"),
    ] {
        assert_eq!(parse(range), None, "{range}");
    }
    let mut twice = HeaderMap::new();
    assert_eq!(requested(&twice), None);
    twice.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
    twice.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
    assert_eq!(requested(&twice), None);
}

#[test]
fn a_single_member_is_told_from_several() {
    assert_eq!(parse("bytes=-2").unwrap().single(), Some(Spec::Suffix(2)));
    assert_eq!(parse("bytes=0-,-2").unwrap().single(), None);
}

#[test]
fn what_was_sent() {
    let span = Span { first: 4, last: 9 };
    for (value, complete) in [
        ("bytes 4-9/10", Some(10)),
        ("Bytes 4-9/*", None),
        ("bytes 4-9/99", Some(99)),
    ] {
        let expected = Some(ContentRange { span, complete });
        assert_eq!(content_range(value), expected, "{value}");
    }
    for value in [
        "bytes 4-9/9",
        "bytes 9-4/10",
        "bytes */10",
        "bytes 4-9",
        "bytes=4-9/10",
        "bytes  4-9/10",
        "lines 4-9/10",
        "bytes 4-/10",
        "bytes -4/10",
        "bytes 4-9/",
        "bytes 4-9/1x",
        "bytes 0-4/99999999999999999999999",
        "bytes 0-99999999999999999999999/*",
        "",
    ] {
        assert_eq!(content_range(value), None, "{value}");
    }
    let mut twice = HeaderMap::new();
    for _ in 0..2 {
        twice.append(header::CONTENT_RANGE, "bytes 4-9/10".parse().unwrap());
    }
    assert_eq!(ContentRange::parse(&twice), None);
}

#[test]
fn what_is_printed() {
    assert_eq!(ContentRange::unsatisfied(10), "bytes */10");
    let span = Span { first: 5, last: 9 };
    assert_eq!(span.request(Some(10)), "bytes=5-");
    assert_eq!(span.request(Some(11)), "bytes=5-9");
    assert_eq!(span.request(None), "bytes=5-9");
}

proptest! {
    #[test]
    fn nothing_panics(text in "(bytes[= ])?[-0-9,/* a]{0,60}", complete: u64) {
        if let Some(requested) = parse(&text) {
            requested.resolve(complete);
            requested.resolve(u64::MAX);
        }
        content_range(&text);
    }

    #[test]
    fn what_is_printed_is_parsed_alike(first: u64, last: u64, complete: Option<u64>) {
        let (first, last) = (first.min(last), first.max(last));
        if let Some(span) = Span::new(first, last)
            && complete.is_none_or(|length| length > last && length < u64::MAX)
        {
            let range = ContentRange { span, complete };
            prop_assert_eq!(content_range(range.value().to_str().unwrap()), Some(range));
            let again = parse(span.request(None).to_str().unwrap()).unwrap();
            prop_assert_eq!(again.single(), Some(Spec::From(first, Some(last))));
        }
    }

    #[test]
    fn one_stretch_is_the_union_of_its_members(
        members in proptest::collection::vec((0u64..12, 0u64..12), 1..6), complete in 1u64..12,
    ) {
        let text = members.iter().map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
        let text = format!("bytes={}", text.collect::<Vec<_>>().join(","));
        let asked = |at| members.iter().any(|(a, b)| (*a.min(b)..=*a.max(b)).contains(&at));
        let union: Vec<u64> = (0..complete).filter(|at| asked(*at)).collect();
        let stretches = union.windows(2).filter(|pair| pair[0] + 1 < pair[1]).count() + 1;
        let expected = match (&union[..], stretches) {
            ([], _) => Resolved::Unsatisfiable,
            ([first, .., last], 1) => one(*first, *last),
            ([only], _) => one(*only, *only),
            _ => Resolved::Many,
        };
        prop_assert_eq!(parse(&text).unwrap().resolve(complete), expected);
    }
}
