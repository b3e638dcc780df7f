//! Whatever is asked for in whatever order while the origin changes: what a client gets is one
//! representation's, octet for octet.

use crate::support::*;
use http::StatusCode;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::advance;

/// One state of the origin.
#[derive(Debug, Clone)]
struct Version {
    length: usize,
    validator: Validator,
    cache_control: &'static str,
    /// Whether it does what `Range`, `If-Range` and conditions ask for.
    heeds: [bool; 3],
}

#[derive(Debug, Clone, Copy)]
enum Validator {
    Strong,
    /// The same one for all versions: they mean the same, and differ in their octets.
    Weak,
    None,
}

#[derive(Debug, Clone)]
enum Step {
    Change(Version),
    Wait(u64),
    Ask(Option<String>, Option<usize>),
}

/// Octet `at` of a version: each differs from the same one in any other.
fn octet(version: usize, at: usize) -> u8 {
    (version * 31 + at * 7 + at / 251) as u8
}

fn octets(version: usize, range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(|at| octet(version, at)).collect()
}

fn tag(version: usize, validator: Validator) -> Option<String> {
    match validator {
        Validator::Strong => Some(format!("\"{version}\"")),
        Validator::Weak => Some("W/\"all\"".to_owned()),
        Validator::None => None,
    }
}

/// The one range that the origin understands, within this length.
fn one_range(range: &str, length: usize) -> Option<std::ops::Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let suffix: usize = last.parse().ok()?;
        return Some(length.saturating_sub(suffix)..length);
    }
    let first = first.parse().ok()?;
    let last = last.parse().unwrap_or(usize::MAX).min(length - 1);
    Some(first..last + 1)
}

fn origin(versions: &Arc<Mutex<Vec<Version>>>) -> Origin {
    let versions = Arc::clone(versions);
    Origin::new(move |_, request| {
        let versions = versions.lock().unwrap();
        let number = versions.len() - 1;
        let version = &versions[number];
        let field = |name: &str| {
            request
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        let tag = tag(number, version.validator);
        let mut fields = vec![("cache-control".to_owned(), version.cache_control.to_owned())];
        fields.extend(tag.clone().map(|tag| ("etag".to_owned(), tag)));
        let [ranges, if_range, conditions] = version.heeds;
        let held = field("if-none-match").is_some_and(|held| Some(held) == tag.as_deref());
        let (mut status, mut range) = (StatusCode::OK, 0..version.length);
        let ranged = field("range").and_then(|range| one_range(range, version.length));
        let wants_part =
            !if_range || field("if-range").is_none_or(|held| Some(held) == tag.as_deref());
        if conditions && held {
            (status, range) = (StatusCode::NOT_MODIFIED, 0..0);
        } else if let Some(part) = ranged.filter(|_| ranges && wants_part) {
            if part.is_empty() || part.start >= version.length {
                (status, range) = (StatusCode::RANGE_NOT_SATISFIABLE, 0..0);
            } else {
                let said = format!("bytes {}-{}/{}", part.start, part.end - 1, version.length);
                fields.push(("content-range".to_owned(), said));
                (status, range) = (StatusCode::PARTIAL_CONTENT, part);
            }
        }
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let mut response = answer(&fields, octets(number, range));
        *response.status_mut() = status;
        response
    })
}

/// Which version an answer is of, if it is of any.
fn is_of_one_version(seen: &Seen, versions: &[Version]) -> bool {
    let body = seen.body.as_ref().expect("no body breaks off");
    let said = seen.field("content-range");
    let place = said.map_or(Some((0, None)), |said| {
        let (range, complete) = said.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        (last + 1 - first == body.len()).then_some((first, complete.parse::<usize>().ok()))
    });
    let Some((first, complete)) = place else {
        return false;
    };
    versions.iter().enumerate().any(|(number, version)| {
        let range = first..first + body.len();
        let right_length = match said {
            Some(_) => complete.is_none_or(|complete| complete == version.length),
            None => body.len() == version.length,
        };
        // A 304 may have brought the tag that all weak ones share; a strong one is its version's.
        let right_tag = match version.validator {
            Validator::Strong => seen.field("etag") == Some(&*format!("\"{number}\"")),
            _ => seen.field("etag").is_none_or(|tag| tag.starts_with("W/")),
        };
        right_length && right_tag && *body == octets(number, range)
    })
}

fn version() -> impl Strategy<Value = Version> {
    let validator = prop_oneof![
        3 => Just(Validator::Strong),
        1 => Just(Validator::Weak),
        1 => Just(Validator::None)
    ];
    let said = prop_oneof![
        6 => Just("max-age=10"),
        1 => Just("max-age=10, stale-while-revalidate=20"),
        1 => Just("max-age=0, no-cache"),
        1 => Just("private"),
    ];
    let heeds = prop_oneof![4 => Just([true; 3]), 1 => any::<[bool; 3]>()];
    (20..40usize, validator, said, heeds).prop_map(|(length, validator, cache_control, heeds)| {
        Version {
            length,
            validator,
            cache_control,
            heeds,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let range = prop_oneof![
        2 => Just(None),
        6 => (0..40usize, 0..20usize).prop_map(|(from, more)| Some(format!("bytes={from}-{}", from + more))),
        1 => (0..40usize).prop_map(|from| Some(format!("bytes={from}-"))),
        1 => (1..40usize).prop_map(|suffix| Some(format!("bytes=-{suffix}"))),
        1 => (0..10usize).prop_map(|from| Some(format!("bytes={from}-{from},{}-", from + 5))),
    ];
    let if_range = prop_oneof![4 => Just(None), 1 => (0..3usize).prop_map(Some)];
    prop_oneof![
        1 => version().prop_map(Step::Change),
        1 => (1..15u64).prop_map(Step::Wait),
        8 => (range, if_range).prop_map(|(range, since)| Step::Ask(range, since)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_answer_is_of_two_representations(
        first in version(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let versions = Arc::new(Mutex::new(vec![first]));
            let (cache, handle) = cached(&origin(&versions));
            for step in steps {
                match step {
                    Step::Change(version) => versions.lock().unwrap().push(version),
                    Step::Wait(seconds) => advance(Duration::from_secs(seconds)).await,
                    Step::Ask(range, since) => {
                        let mut asked = get("http://a/x");
                        if let Some(range) = range {
                            asked.headers_mut().insert("range", range.parse().unwrap());
                        }
                        if let Some(version) = since {
                            let tag = format!("\"{version}\"").parse().unwrap();
                            asked.headers_mut().insert("if-range", tag);
                        }
                        let fields = asked.headers().clone();
                        let seen = ask(&cache, asked).await;
                        settle().await;
                        let versions = versions.lock().unwrap();
                        let ranged = fields.contains_key("range");
                        match seen.status {
                            206 | 416 => prop_assert!(ranged, "{seen:?}"),
                            200 => {}
                            _ => prop_assert!(false, "{fields:?} {seen:?}"),
                        }
                        if seen.status != 416 {
                            prop_assert!(is_of_one_version(&seen, &versions), "{fields:?} {seen:?}");
                        }
                    }
                }
            }
            prop_assert_eq!(handle.stats().filling, 0);
            Ok(())
        })?;
    }
}
