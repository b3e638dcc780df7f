//! Parts of the alphabet, put together, against a model that knows of each letter whether it is held.
//!
//! The first letter of an input says how many may be held. What follows is read three octets at a
//! time: a sign, and the first and the last letter that it is about.
#![no_main]

use cache_layer::fuzzing::{Gaps, Parts, Requested};
use http::{HeaderMap, header};
use libfuzzer_sys::fuzz_target;
use std::ops::Range;

const ALPHABET: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

#[derive(Debug, Clone, Copy)]
enum Step {
    /// `+`: a part of the alphabet. `~`: a part of who knows how many letters. `!`: it ends with this one.
    Part(Option<usize>),
    /// `-`: half of what it says has come.
    Ragged,
    /// `?`: from the first to the last. `>`: from the first on. `<`: so many at the end. `&`: these two.
    Asked(fn(usize, usize) -> String),
}

impl Step {
    fn of(sign: u8, last: usize) -> Self {
        const SIGNS: &[u8] = b"+~!-?><&";
        let known = SIGNS.contains(&sign);
        match if known {
            sign
        } else {
            SIGNS[usize::from(sign) % SIGNS.len()]
        } {
            b'+' => Self::Part(Some(ALPHABET.len())),
            b'~' => Self::Part(None),
            b'!' => Self::Part(Some(last + 1)),
            b'-' => Self::Ragged,
            b'?' => Self::Asked(|first, last| format!("bytes={first}-{last}")),
            b'>' => Self::Asked(|first, _| format!("bytes={first}-")),
            b'<' => Self::Asked(|_, last| format!("bytes=-{}", last + 1)),
            _ => Self::Asked(|first, last| format!("bytes={first}-{first},{last}-{last}")),
        }
    }
}

/// The place of a letter; any octet is one.
fn place(octet: u8) -> usize {
    let letter = octet.to_ascii_lowercase().wrapping_sub(b'a');
    usize::from(letter) % ALPHABET.len()
}

/// What is held.
#[derive(Debug, Clone)]
struct Held {
    letters: [bool; 26],
    complete: Option<usize>,
    /// In place of letters: the stretch that came for another.
    ragged: Option<(Range<usize>, Range<usize>)>,
}

impl Held {
    fn new(said: Range<usize>, came: Range<usize>, complete: Option<usize>) -> Self {
        let is_ragged = said != came;
        Self {
            letters: std::array::from_fn(|at| came.contains(&at) && !is_ragged),
            complete,
            ragged: is_ragged.then_some((said, came)),
        }
    }

    /// The same with another part, unless something speaks against that.
    fn with(&self, other: &Self, most: usize) -> Option<Self> {
        let letters: [bool; 26] = std::array::from_fn(|at| self.letters[at] || other.letters[at]);
        let complete = self.complete.or(other.complete);
        let agree = other.complete.is_none_or(|length| complete == Some(length));
        let fits = complete.is_none_or(|length| !letters[length..].contains(&true));
        let few = letters.iter().filter(|held| **held).count() <= most;
        let whole = self.ragged.is_none() && other.ragged.is_none();
        (agree && fits && few && whole).then_some(Self {
            letters,
            complete,
            ragged: None,
        })
    }

    fn has(&self, stretch: Range<usize>) -> bool {
        !self.letters[stretch].contains(&false)
    }

    fn missing(&self, stretch: Range<usize>) -> Gaps {
        let letters = |stretch: Range<usize>| ALPHABET[stretch].to_vec().into();
        let mut missing = stretch.clone().filter(|at| !self.letters[*at]);
        let Some(first) = missing.next() else {
            return Gaps::No(letters(stretch));
        };
        let last = missing.next_back().unwrap_or(first);
        if (first..last).any(|at| self.letters[at]) {
            return Gaps::Several;
        }
        let (before, after) = (
            letters(stretch.start..first),
            letters(last + 1..stretch.end),
        );
        Gaps::One(before, first as u64, last as u64, after)
    }

    /// The stretch of the 206 to a request, and its letters.
    fn answer(&self, range: &str) -> Option<(Range<usize>, &'static [u8])> {
        let set = range.strip_prefix("bytes=")?;
        let mut asked = Vec::new();
        for member in set.split(',') {
            let (first, last) = member.split_once('-')?;
            let [first, last] = [first, last].map(|digits| digits.parse::<usize>().ok());
            asked.push(match (first, last, self.complete) {
                (Some(first), Some(last), None) => first..last + 1,
                (Some(first), last, Some(length)) => {
                    first..last.map_or(length, |last| length.min(last + 1))
                }
                (None, Some(count), Some(length)) => length.saturating_sub(count)..length,
                _ => return None,
            });
        }
        asked.retain(|stretch| !stretch.is_empty());
        let (start, end) = (asked.first()?.start, asked.last()?.end);
        let is_one = asked.windows(2).all(|pair| pair[0].end >= pair[1].start);
        let by_places = self.complete.is_some() || !set.contains(',');
        if !is_one || !by_places {
            return None;
        }
        match &self.ragged {
            None => self
                .has(start..end)
                .then(|| (start..end, &ALPHABET[start..end])),
            Some((said, came)) if said.start <= start && end <= said.end => {
                if set.starts_with('-') {
                    // The last that came are the last there are.
                    let lag = said.end - came.end;
                    let came = (start.checked_sub(lag)?..end - lag).clone();
                    (came.start >= said.start).then(|| (start..end, &ALPHABET[came]))
                } else {
                    let end = end.min(came.end);
                    (start < end).then(|| (start..end, &ALPHABET[start..end]))
                }
            }
            Some(_) => None,
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((limit, steps)) = input.split_first() else {
        return;
    };
    let most = place(*limit) + 1;
    let mut state: Option<(Parts, Held)> = None;
    for step in steps.as_chunks().0 {
        let [sign, one, other] = *step;
        let (one, other) = (place(one), place(other));
        let (first, last) = (one.min(other), one.max(other));
        let (from, to) = (first as u64, last as u64);
        let said = first..last + 1;
        let (came, complete) = match (Step::of(sign, last), &state) {
            (Step::Part(complete), _) => (said.clone(), complete),
            (Step::Ragged, _) => (first..first + said.len().div_ceil(2), Some(ALPHABET.len())),
            (Step::Asked(range), Some((parts, held))) => {
                let range = range(first, last);
                let headers = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
                let requested = Requested::of(&headers).expect("a range that counts");
                let answer = parts
                    .answer(&requested)
                    .map(|((first, last, complete), octets)| {
                        assert_eq!(complete, held.complete.map(|length| length as u64));
                        (first as usize..last as usize + 1, octets)
                    });
                let answer = answer
                    .as_ref()
                    .map(|(stretch, octets)| (stretch.clone(), &octets[..]));
                assert_eq!(answer, held.answer(&range), "{range} of {held:?}");
                assert_eq!(parts.missing(from, to), Some(held.missing(said)));
                continue;
            }
            (Step::Asked(_), None) => continue,
        };
        let body = ALPHABET[came.clone()].to_vec().into();
        let range = (from, to, complete.map(|length| length as u64));
        let new =
            Parts::new(range, body, most as u64).expect("it has letters, and no more than it says");
        let new_held = Held::new(said, came, complete);
        let Some((parts, held)) = &mut state else {
            state = Some((new, new_held));
            continue;
        };
        let with = held.with(&new_held, most);
        assert_eq!(parts.add(&new), with.is_some(), "{new_held:?} to {held:?}");
        *held = with.unwrap_or_else(|| held.clone());
        let (complete, whole) = parts.whole();
        assert_eq!(complete, held.complete.map(|length| length as u64));
        let letters = held.complete.filter(|length| held.has(0..*length));
        assert_eq!(whole.as_deref(), letters.map(|length| &ALPHABET[..length]));
    }
});
