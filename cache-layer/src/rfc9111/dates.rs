//! HTTP dates, read as tolerantly as a recipient should (RFC 9110 section 5.6.7).

use http::{HeaderMap, HeaderValue, header};
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
/// Of the Gregorian calendar, on average.
const YEAR: Duration = Duration::from_secs(31_556_952);

/// The `Date` field, if it is one.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    headers.get(header::DATE).and_then(http_date)
}

/// Any of the three formats, for fields that speak of the past: `Date`, `Last-Modified`,
/// `If-Modified-Since`. No such date with two digits for its year is from before 1970, so the
/// fifty-year rule of [`http_date_at`] needs no clock for them.
pub(crate) fn http_date(value: &HeaderValue) -> Option<SystemTime> {
    http_date_at(value, SystemTime::UNIX_EPOCH + 50 * YEAR)
}

/// Any of the three formats. Names count in any case, and a weekday that is not the date's is
/// ignored: it says nothing that the date does not. Zones other than GMT are invalid.
pub(crate) fn http_date_at(value: &HeaderValue, now: SystemTime) -> Option<SystemTime> {
    let text = value.to_str().ok()?.trim();
    let line = text.as_bytes();
    if is_like(line, b"___, __ ___ ____ __:__:__ GMT") && is_day(&line[..3]) {
        // As good as always it is written as it should be.
        let exact = || httpdate::parse_http_date(text).ok();
        exact().or_else(|| date_of(&line[5..7], &line[8..11], &line[12..16], &line[17..25]))
    } else if is_like(line, b"___ ___ __ __:__:__ ____") && is_day(&line[..3]) {
        let day = [if line[8] == b' ' { b'0' } else { line[8] }, line[9]];
        date_of(&day, &line[4..7], &line[20..24], &line[11..19])
    } else {
        let (day_name, line) = text.split_once(", ")?;
        let line = line.as_bytes();
        let is_day = DAYS.iter().any(|day| day.eq_ignore_ascii_case(day_name));
        if !is_day || !is_like(line, b"__-___-__ __:__:__ GMT") {
            return None;
        }
        let in_century = |century: u64| {
            let century = format!("{century:02}");
            let year = [century.as_bytes(), &line[7..9]].concat();
            date_of(&line[..2], &line[3..6], &year, &line[10..18])
        };
        // What appears to be more than 50 years ahead is the latest such year in the past.
        let elapsed = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let century = 19 + (elapsed.as_secs() / YEAR.as_secs() + 70) / 100;
        (century - 1..=century + 1)
            .rev()
            .filter_map(in_century)
            .find(|date| *date <= now + 50 * YEAR)
    }
}

/// Whether the text has these octets, letters in any case; `_` stands for any octet.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let fits = |(octet, wanted): (&u8, &u8)| *wanted == b'_' || octet.eq_ignore_ascii_case(wanted);
    text.len() == pattern.len() && text.iter().zip(pattern).all(fits)
}

fn is_day(short: &[u8]) -> bool {
    DAYS.iter()
        .any(|day| day.as_bytes()[..3].eq_ignore_ascii_case(short))
}

/// The date as its one right spelling, whichever weekday it falls on.
fn date_of(day: &[u8], month: &[u8], year: &[u8], time: &[u8]) -> Option<SystemTime> {
    // `httpdate` knows no leap seconds; the grammar does.
    let (time, leap) = match time {
        b"23:59:60" => (&b"23:59:59"[..], 1),
        time => (time, 0),
    };
    let mut text = *b"___, __ ___ ____ __:__:__ GMT";
    for (at, part) in [(5, day), (8, month), (12, year), (17, time)] {
        text.get_mut(at..at + part.len())?.copy_from_slice(part);
    }
    text[8].make_ascii_uppercase();
    text[9..11].make_ascii_lowercase();
    let date = DAYS.iter().find_map(|day| {
        text[..3].copy_from_slice(&day.as_bytes()[..3]);
        httpdate::parse_http_date(str::from_utf8(&text).ok()?).ok()
    })?;
    Some(date + Duration::from_secs(leap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// 24 November 2026.
    const NOW: u64 = 1_795_500_000;

    fn parse(text: &str) -> Option<u64> {
        let value = HeaderValue::from_str(text).unwrap();
        let date = http_date_at(&value, at(NOW))?;
        Some(date.duration_since(at(0)).unwrap().as_secs())
    }

    #[test]
    fn three_formats_in_any_case_on_any_weekday() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "SUN, 06 NOV 1994 08:49:37 gmt",
            "sUNDAY, 06-nOV-94 08:49:37 gMT",
            "sun nov  6 08:49:37 1994",
            "Tue, 06 Nov 1994 08:49:37 GMT",
            "Tuesday, 06-Nov-94 08:49:37 GMT",
            "Tue Nov  6 08:49:37 1994",
            "Tue Nov 06 08:49:37 1994",
            " Sun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(parse(text), Some(784_111_777), "{text}");
        }
        let far = "Sun, 21 Nov 2286 04:46:39 GMT";
        assert_eq!(parse(far), Some(10_000_039_599));
        assert_eq!(parse("Thu Aug  8 02:01:18 2050"), Some(2_543_536_878));
        assert_eq!(parse("Fri, 30 Jun 1972 23:59:60 GMT"), Some(78_796_800));
    }

    #[test]
    fn nonsense_and_other_zones() {
        for text in [
            "",
            "0",
            "-1",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 2050 02:01:18 +0000",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18-Aug-50 02:01:18 GMT",
            "Thursday, 18-Aug-2050 02:01:18 GMT",
            "Thursday, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu,  8 Aug 2050 02:01:18 GMT",
            "Xyz, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Foo 2050 02:01:18 GMT",
            "Thu, 31 Jun 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:60 GMT",
            "Thu, 18 Aug 1950 02:01:18 GMT",
            "Thu, +8 Aug 2050 02:01:18 GMT",
            "Thu Aug  8 02:01:18 2050 GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn two_digits_are_at_most_fifty_years_ahead() {
        for (text, year) in [
            ("Thursday, 18-Aug-50 02:01:18 GMT", "2050"),
            ("Thursday, 18-Aug-76 02:01:18 GMT", "2076"),
            ("Thursday, 18-Aug-77 02:01:18 GMT", "1977"),
            ("Thursday, 18-Aug-99 02:01:18 GMT", "1999"),
            ("Thursday, 18-Aug-00 02:01:18 GMT", "2000"),
        ] {
            let expected = parse(&format!("Thu, 18 Aug {year} 02:01:18 GMT"));
            assert!(expected.is_some() && parse(text) == expected, "{text}");
        }
        let epoch = HeaderValue::from_static("Thursday, 01-Jan-70 00:00:00 GMT");
        assert_eq!(http_date(&epoch), Some(at(0)));
        let in_2150 = at(5_680_281_600);
        assert_eq!(http_date_at(&epoch, in_2150), Some(at(6_311_433_600)));
    }

    proptest! {
        #[test]
        fn nothing_panics(
            text in "(Mon|Sunday),? [-0-9A-Za-z :]{0,26}( GMT)?", now in 0..1u64 << 40,
            two_digits in "Sunday, [0-9]{2}-(Feb|Xyz)-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
        ) {
            for text in [text, two_digits] {
                http_date_at(&HeaderValue::from_str(&text).unwrap(), at(now));
            }
        }

        #[test]
        fn what_is_printed_is_parsed_alike(seconds in 0..253_402_300_800u64, wrong in 0..7usize) {
            let printed = httpdate::fmt_http_date(at(seconds));
            prop_assert_eq!(parse(&printed), Some(seconds));
            let (date, time) = (&printed[5..16], &printed[17..25]);
            let (day, month, year) = (&date[..2], &date[3..6], &date[7..]);
            let other = &DAYS[wrong][..3];
            let imf = format!("{other}, {date} {time} GMT").to_uppercase();
            prop_assert_eq!(parse(&imf), Some(seconds));
            let asctime = format!("{other} {month} {day} {time} {year}");
            prop_assert_eq!(parse(&asctime), Some(seconds));
            let two = format!("{}, {day}-{month}-{} {time} GMT", DAYS[wrong], &year[2..]);
            // Within 49 years of now the two digits say it all.
            if seconds.abs_diff(NOW) < 49 * YEAR.as_secs() {
                prop_assert_eq!(parse(&two), Some(seconds));
            }
        }
    }
}
