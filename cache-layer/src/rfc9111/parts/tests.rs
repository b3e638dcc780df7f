use super::*;
use crate::rfc9111::range::requested;
use http::{HeaderMap, header};
use proptest::prelude::*;

const OCTETS: &[u8] = b"0123456789";

fn span(first: u64, last: u64) -> Span {
    Span::new(first, last).unwrap()
}

/// The octets of that span, as a 206 to a request for it.
fn part(first: u64, last: u64, complete: Option<u64>) -> Parts {
    let octets = Bytes::from_static(&OCTETS[first as usize..=last as usize]);
    let span = span(first, last);
    Parts::new(ContentRange { span, complete }, octets).unwrap()
}

fn joined(parts: &[(u64, u64)]) -> Parts {
    let mut parts = parts
        .iter()
        .map(|(first, last)| part(*first, *last, Some(10)));
    let mut all = parts.next().unwrap();
    assert!(parts.all(|part| all.add(&part)));
    all
}

fn answer(parts: &Parts, range: &str) -> Option<(String, Bytes)> {
    let headers = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
    let (range, octets) = parts.answer(&requested(&headers).unwrap())?;
    assert_eq!(range.span.length(), octets.len() as u64);
    Some((range.value().to_str().unwrap().to_owned(), octets))
}

fn assert_answers(parts: &Parts, expected: &[(&str, Option<(&str, &str)>)]) {
    for (range, expected) in expected {
        let expected = expected
            .map(|(range, octets)| (range.to_owned(), Bytes::copy_from_slice(octets.as_bytes())));
        assert_eq!(answer(parts, range), expected, "{range}");
    }
}

#[test]
fn a_part_answers_for_what_it_holds() {
    let last_six = part(4, 9, Some(10));
    assert_answers(
        &last_six,
        &[
            ("bytes=4-9", Some(("bytes 4-9/10", "456789"))),
            ("bytes=6-8", Some(("bytes 6-8/10", "678"))),
            ("bytes=6-", Some(("bytes 6-9/10", "6789"))),
            ("bytes=6-99", Some(("bytes 6-9/10", "6789"))),
            ("bytes=-1", Some(("bytes 9-9/10", "9"))),
            ("bytes=-6", Some(("bytes 4-9/10", "456789"))),
            ("bytes=5-6,7-8", Some(("bytes 5-8/10", "5678"))),
            ("bytes=5-6,8-9", None),
            ("bytes=3-8", None),
            ("bytes=-7", None),
            ("bytes=10-", None),
        ],
    );
}

#[test]
fn without_the_length_of_the_whole_both_ends_must_be_named() {
    assert_answers(
        &part(4, 9, None),
        &[
            ("bytes=6-8", Some(("bytes 6-8/*", "678"))),
            ("bytes=6-10", None),
            ("bytes=6-", None),
            ("bytes=-1", None),
            ("bytes=5-6,7-8", None),
        ],
    );
}

#[test]
fn a_body_short_of_its_content_range_is_read_from_its_front_or_for_its_end() {
    let range = ContentRange {
        span: span(4, 9),
        complete: Some(10),
    };
    let mut ragged = Parts::new(range, Bytes::from_static(b"01234")).unwrap();
    let expected = [
        ("bytes=-5", Some(("bytes 5-9/10", "01234"))),
        ("bytes=6-8", Some(("bytes 6-8/10", "234"))),
        ("bytes=6-", Some(("bytes 6-8/10", "234"))),
        ("bytes=-1", Some(("bytes 9-9/10", "4"))),
        ("bytes=4-", Some(("bytes 4-8/10", "01234"))),
        ("bytes=9-", None),
        ("bytes=-6", None),
        ("bytes=3-5", None),
    ];
    assert_answers(&ragged, &expected);
    assert_eq!(ragged.slice(span(4, 5)), None);
    let all_of_it = Gaps::One {
        before: Bytes::new(),
        gap: span(0, 9),
        after: Bytes::new(),
    };
    assert_eq!(ragged.missing(span(0, 9)), all_of_it);
    assert!(!ragged.add(&part(0, 9, Some(10))));
    assert!(!part(0, 9, Some(10)).add(&ragged));
    assert_answers(&ragged, &expected);
}

#[test]
fn a_body_of_nothing_or_too_much_is_no_part() {
    let range = ContentRange {
        span: span(4, 5),
        complete: None,
    };
    assert!(Parts::new(range, Bytes::new()).is_none());
    assert!(Parts::new(range, Bytes::from_static(b"456")).is_none());
}

#[test]
fn parts_join_to_the_whole_in_any_order() {
    for parts in [
        &[(0, 4), (5, 9)][..],
        &[(5, 9), (0, 4)],
        &[(0, 1), (8, 9), (2, 7)],
        &[(0, 1), (8, 9), (1, 8)],
        &[(3, 4), (0, 9)],
        &[(0, 9), (3, 4)],
        &[(0, 5), (0, 9), (0, 0)],
    ] {
        let all = joined(parts);
        assert_eq!(all.whole().unwrap(), OCTETS, "{parts:?}");
        assert_eq!(all.pieces.len(), 1, "{parts:?}");
    }
    assert_eq!(joined(&[(0, 4), (6, 9)]).whole(), None);
    assert_eq!(joined(&[(1, 9)]).whole(), None);
}

#[test]
fn what_contradicts_is_not_taken_in() {
    let mut parts = part(0, 4, Some(10));
    assert!(!parts.add(&part(5, 9, Some(11))));
    let mut open = part(0, 9, None);
    assert!(!open.add(&part(0, 1, Some(5))));
    assert_eq!(
        (open.complete(), open.slice(span(0, 9)).is_some()),
        (None, true)
    );
    assert!(open.add(&part(0, 1, Some(10))));
    assert_eq!(open.whole().unwrap(), OCTETS);
}

#[test]
fn pieces_are_bounded() {
    let octet = |at| {
        let range = ContentRange {
            span: span(at, at),
            complete: None,
        };
        Parts::new(range, Bytes::from_static(b"x")).unwrap()
    };
    let mut parts = octet(0);
    for number in 1..MAX_PIECES as u64 {
        assert!(parts.add(&octet(2 * number)));
    }
    let before = parts.bytes();
    assert!(!parts.add(&octet(2 * MAX_PIECES as u64)));
    assert!(parts.bytes() == before && parts.add(&octet(1)));
}

#[test]
fn gaps_and_what_is_around_them() {
    let parts = joined(&[(1, 2), (6, 8)]);
    let gap = |first, last, before: &'static str, after: &'static str| Gaps::One {
        before: before.into(),
        gap: span(first, last),
        after: after.into(),
    };
    for (asked, expected) in [
        (span(1, 2), Gaps::No("12".into())),
        (span(1, 8), gap(3, 5, "12", "678")),
        (span(2, 6), gap(3, 5, "2", "6")),
        (span(3, 5), gap(3, 5, "", "")),
        (span(4, 7), gap(4, 5, "", "67")),
        (span(7, 9), gap(9, 9, "78", "")),
        (span(0, 1), gap(0, 0, "", "1")),
        (span(0, 6), Gaps::Several),
        (span(0, 9), Gaps::Several),
    ] {
        assert_eq!(parts.missing(asked), expected, "{asked:?}");
    }
}

proptest! {
    #[test]
    fn what_is_held_is_what_came_and_nothing_twice(
        octets in proptest::collection::vec(any::<u8>(), 1..40),
        cuts in proptest::collection::vec((any::<usize>(), any::<usize>(), any::<bool>()), 1..12),
    ) {
        let complete = octets.len() as u64;
        let mut held = vec![false; octets.len()];
        let mut all: Option<Parts> = None;
        for (one, other, says_complete) in cuts {
            let (one, other) = (one % octets.len(), other % octets.len());
            let (first, last) = (one.min(other), one.max(other));
            held[first..=last].fill(true);
            let range = ContentRange {
                span: span(first as u64, last as u64),
                complete: says_complete.then_some(complete),
            };
            let part = Parts::new(range, Bytes::copy_from_slice(&octets[first..=last])).unwrap();
            match &mut all {
                Some(all) => prop_assert!(all.add(&part)),
                None => all = Some(part),
            }
        }
        let all = all.unwrap();
        let kept: usize = all.pieces.iter().map(|piece| piece.octets.len()).sum();
        prop_assert_eq!(kept, held.iter().filter(|held| **held).count());
        for first in 0..octets.len() {
            for last in first..octets.len() + 3 {
                let asked = span(first as u64, last as u64);
                let here = held.get(first..=last).is_some_and(|held| held.iter().all(|held| *held));
                let expected = here.then(|| Bytes::copy_from_slice(&octets[first..=last]));
                prop_assert_eq!(all.slice(asked), expected);
                match all.missing(asked) {
                    Gaps::No(slice) => prop_assert!(here && slice == octets[first..=last]),
                    Gaps::One { before, gap, after } => {
                        let (from, to) = (gap.first() as usize, gap.last() as usize);
                        prop_assert!(!held.get(from..=to).is_some_and(|gap| gap.contains(&true)));
                        prop_assert_eq!(&before[..], &octets[first..from]);
                        prop_assert_eq!(&after[..], octets.get(to + 1..=last).unwrap_or_default());
                    }
                    Gaps::Several => prop_assert!(!here),
                }
            }
        }
    }

    #[test]
    fn an_answer_is_all_that_was_asked_for(
        length in 1u64..12, first in 0u64..12, last in 0u64..12,
        range in "bytes=(-[0-9]{1,2}|[0-9]{1,2}-[0-9]{0,2})",
    ) {
        let headers = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
        let (first, last) = (first.min(last) % length, first.max(last) % length);
        let (first, last) = (first.min(last), first.max(last));
        let octets = Bytes::copy_from_slice(&b"0123456789ab"[first as usize..=last as usize]);
        let range = ContentRange { span: span(first, last), complete: Some(length) };
        let parts = Parts::new(range, octets).unwrap();
        if let Some(requested) = requested(&headers) {
            let expected = match requested.resolve(length) {
                Resolved::One(asked) if asked.common(range.span) == Some(asked) => Some(asked),
                _ => None,
            };
            let answer = parts.answer(&requested);
            prop_assert_eq!(answer.as_ref().map(|(range, _)| range.span), expected);
            if let Some((range, octets)) = answer {
                let (first, last) = (range.span.first() as usize, range.span.last() as usize);
                prop_assert_eq!(&octets[..], &b"0123456789ab"[first..=last]);
            }
        }
    }
}
