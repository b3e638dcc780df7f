//! Dates in their three formats, and the lifetimes and ages that are counted from them.
#![no_main]

use cache_layer::fuzzing::{explicit_lifetime, heuristic_lifetime, http_date, initial_age};
use cache_layer_fuzz::{MOST_SECONDS, fields, lines, number, split};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use std::time::{Duration, SystemTime};

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const YEAR: u64 = 31_556_952;
/// The clock stands before 2150.
const CLOCK_END: u64 = 5_680_000_000;
const YEAR_10000: u64 = 253_402_300_800;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Seconds since 1970, of a date in any of the formats.
fn moment(value: &HeaderValue, now: u64) -> Option<u64> {
    let text = value.to_str().ok()?.trim().to_ascii_lowercase();
    let is_short =
        |text: &str| text.len() == 3 && DAYS.iter().any(|day| day.to_lowercase()[..3] == *text);
    let is_long = |text: &str| DAYS.iter().any(|day| day.to_lowercase() == text);
    let words: Vec<_> = text.split(' ').collect();
    match words[..] {
        [day, date, month, year, time, "gmt"] if is_short(day.strip_suffix(',')?) => {
            seconds(number_of(year, 4)?, month, number_of(date, 2)?, time)
        }
        [day, date, time, "gmt"] if is_long(day.strip_suffix(',')?) => {
            let date: Vec<_> = date.split('-').collect();
            let [date, month, year] = date[..] else {
                return None;
            };
            let (date, year) = (number_of(date, 2)?, number_of(year, 2)?);
            // The last such year that is not more than fifty ahead.
            let years = (1970..2300)
                .rev()
                .filter(|candidate| candidate % 100 == year);
            let mut moments = years.filter_map(|year| seconds(year, month, date, time));
            moments.find(|moment| *moment <= now + 50 * YEAR)
        }
        [day, month, "", date, time, year] if is_short(day) => {
            seconds(number_of(year, 4)?, month, number_of(date, 1)?, time)
        }
        [day, month, date, time, year] if is_short(day) => {
            seconds(number_of(year, 4)?, month, number_of(date, 2)?, time)
        }
        _ => None,
    }
}

fn number_of(text: &str, digits: usize) -> Option<u64> {
    let all_digits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok())?
}

fn seconds(year: u64, month: &str, date: u64, time: &str) -> Option<u64> {
    let month = MONTHS.iter().position(|name| *name == month)?;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let parts: Vec<_> = time
        .split(':')
        .map(|part| number_of(part, 2))
        .collect::<Option<_>>()?;
    let [hour, minute, second] = parts[..] else {
        return None;
    };
    let is_time = hour < 24 && minute < 60 && second < 60 || (hour, minute, second) == (23, 59, 60);
    if year < 1970 || !(1..=lengths[month]).contains(&date) || !is_time {
        return None;
    }
    let days = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum::<u64>()
        + lengths[..month].iter().sum::<u64>()
        + date
        - 1;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The same moment in all three formats, on any weekday.
fn formats(moment: u64, weekday: usize) -> [String; 3] {
    let day = DAYS[weekday % DAYS.len()];
    let imf = httpdate::fmt_http_date(at(moment));
    let (date, month, year, time) = (&imf[5..7], &imf[8..11], &imf[12..16], &imf[17..25]);
    [
        format!("{}, {date} {month} {year} {time} GMT", &day[..3]),
        format!("{} {month} {date} {time} {year}", &day[..3]),
        format!("{day}, {date}-{month}-{} {time} GMT", &year[2..]),
    ]
}

fuzz_target!(|input: &[u8]| {
    let headers = fields(input);
    let milliseconds = number(&headers, "received").unwrap_or(784_111_777_000) % (1000 * CLOCK_END);
    let received = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
    let now = milliseconds / 1000;

    for value in ["date", "expires", "last-modified"]
        .iter()
        .filter_map(|name| headers.get(*name))
    {
        let parsed = http_date(value, at(now));
        assert_eq!(parsed, moment(value, now).map(at));
        let parsed = parsed.map(|parsed| parsed.duration_since(at(0)).unwrap().as_secs());
        // Nothing prints the leap second at the end of the year 9999.
        if let Some(parsed) = parsed.filter(|parsed| *parsed < YEAR_10000) {
            let formats = formats(parsed, input.len());
            let read = |text: &String| http_date(&text.parse().unwrap(), at(now));
            assert_eq!(
                [read(&formats[0]), read(&formats[1])],
                [Some(at(parsed)); 2]
            );
            assert_eq!(read(&formats[1].to_uppercase()), Some(at(parsed)));
            // Within 49 years two digits say it all.
            if parsed.abs_diff(now) < 49 * YEAR {
                assert_eq!(read(&formats[2]), Some(at(parsed)));
            }
        }
    }

    let first = |name| headers.get(name).and_then(|value| moment(value, 50 * YEAR));
    let (date, modified) = (first("date"), first("last-modified"));
    let from = Duration::from_millis(date.map_or(milliseconds, |date| 1000 * date));

    if !headers.contains_key("cache-control") {
        let expires: Vec<_> = headers.get_all("expires").into_iter().collect();
        let until = match expires[..] {
            [one] => moment(one, now).map(Duration::from_secs),
            _ => None,
        };
        let lifetime = until.unwrap_or_default().saturating_sub(from);
        let lifetime = lifetime.min(Duration::from_secs(MOST_SECONDS));
        let lifetime = (!expires.is_empty()).then_some(lifetime);
        assert_eq!(explicit_lifetime(&headers, received), lifetime);
    }

    let unchanged = modified.and_then(|modified| from.checked_sub(Duration::from_secs(modified)));
    let lifetime = unchanged.map(|unchanged| (unchanged / 10).min(Duration::from_secs(86_400)));
    assert_eq!(heuristic_lifetime(&headers, received), lifetime);

    let delay = Duration::from_millis(number(&headers, "delay").unwrap_or(0) % (1 << 40));
    let apparent = Duration::from_secs(date.map_or(0, |date| now.saturating_sub(date)));
    let age = initial_age(&headers, received, delay);
    assert_eq!(age, apparent.max(stated_age(&headers) + delay));
    assert!(age >= delay);
    let a_year_later = received + Duration::from_secs(YEAR);
    assert!(initial_age(&headers, a_year_later, delay) >= age);
});

fn stated_age(headers: &HeaderMap) -> Duration {
    let line = lines(headers, "age").next().unwrap_or_default();
    let seconds = split(line, b',').first().and_then(|member| {
        let digits = str::from_utf8(member).ok()?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().unwrap_or(MOST_SECONDS).min(MOST_SECONDS))
    });
    Duration::from_secs(seconds.unwrap_or(0))
}
