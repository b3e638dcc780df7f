//! Variants: fields that are named, too many of them, and too many values.

use super::PRACTICAL;
use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, get};

/// The field reaches only who sends the same, as the origin names it so.
macro_rules! named {
    ($source:expr, $vary:literal, $line:literal) => {
        Attack {
            name: concat!($line, " under ", $vary),
            source: $source,
            origin: Answers::Echo(concat!("cache-control: max-age=60\r\n", $vary, "\r\n")),
            first: Sends::Each(&[get!("/", $line)]),
            ..ECHOED
        }
    };
}

/// Nothing is stored, though the same comes again.
macro_rules! unstored {
    ($source:expr, $vary:literal, $line:literal) => {
        Attack {
            then: Sends::Each(&[get!("/", $line)]),
            holds: Holds::Asked,
            ..named!($source, $vary, $line)
        }
    };
}

fn one_of_many(number: usize) -> String {
    format!("GET / HTTP/1.1\r\nhost: {{host}}\r\nx-any: {number}\r\n\r\n")
}

pub(crate) const ROWS: &[Attack] = &[
    named!("RFC 9111 section 4.1", "vary: x-any", "x-any: marked"),
    named!(
        "RFC 9111 section 4.1",
        "vary: x-other\r\nvary: X-Any",
        "x-any: marked"
    ),
    named!(
        "RFC 9111 section 4.1",
        "vary: x-other,,\tx-any ,",
        "x-any: marked"
    ),
    named!("RFC 9111 section 4.1", "vary: *", "x-any: marked"),
    named!("RFC 9111 section 4.1", "vary: accept, *", "x-any: marked"),
    named!(
        "RFC 9111 section 4.1",
        "vary: x-other, (*)",
        "x-any: marked"
    ),
    named!("RFC 9111 section 4.1", "vary: \"x-any\"", "x-any: marked"),
    named!(
        "RFC 9111 section 4.1",
        "vary: x-any; x-other",
        "x-any: marked"
    ),
    named!(PRACTICAL, "vary: user-agent", "user-agent: marked"),
    named!(
        PRACTICAL,
        "vary: x-forwarded-host",
        "x-any: 1\r\nx-forwarded-host: marked"
    ),
    Attack {
        then: Sends::Each(&[get!("/", "x-any: a")]),
        ..named!(
            "RFC 9111 section 4.1",
            "vary: x-any",
            "x-any: a\r\nx-any: marked"
        )
    },
    Attack {
        then: Sends::Each(&[get!("/", "x-any: a, b")]),
        mark: "A, B",
        ..named!(
            "RFC 9111 section 4.1: values are not to be changed",
            "vary: x-any",
            "x-any: A, B"
        )
    },
    Attack {
        then: Sends::Each(&[get!("/", "x-any: a", "x-other: bc")]),
        mark: "x-any: ab",
        ..named!(
            "key injection: where one value ends",
            "vary: x-any, x-other",
            "x-any: ab\r\nx-other: c"
        )
    },
    Attack {
        then: Sends::Each(&[get!("/")]),
        mark: "x-any:",
        ..named!(
            "RFC 9111 section 4.1: empty is not absent",
            "vary: x-any",
            "x-any:"
        )
    },
    unstored!("RFC 9110 section 12.5.5", "vary: *", "x-any: 1"),
    unstored!("standing advice of caches", "vary: cookie", "x-any: 1"),
    unstored!(
        "standing advice of caches",
        "vary: authorization",
        "x-any: 1"
    ),
    unstored!("standing advice of caches", "vary: user-agent", "x-any: 1"),
    unstored!("standing advice of caches", "vary: x-api-key", "x-any: 1"),
    unstored!(
        "RFC 9111 section 4.1: each name multiplies the variants",
        "vary: a, b, c, d, e, f, g, h, i",
        "x-any: 1"
    ),
    Attack {
        gateway: &["--max-vary-names", "1"],
        ..unstored!(
            "RFC 9111 section 4.1: each name multiplies the variants",
            "vary: a, b",
            "x-any: 1"
        )
    },
    Attack {
        name: "150 values of one field, again and again",
        source: PRACTICAL,
        origin: Answers::Echo("cache-control: max-age=60\r\nvary: x-any\r\n"),
        first: Sends::Many(150, one_of_many),
        then: Sends::Many(150, one_of_many),
        holds: Holds::Hits(0, 64),
        ..ECHOED
    },
    Attack {
        name: "codings that there are not cost the one that there is one request at most",
        source: "CVE-2024-35296 (Apache Traffic Server)",
        origin: Answers::Echo("cache-control: max-age=60\r\nvary: accept-encoding\r\n"),
        first: Sends::Many(101, |number| match number {
            0 => get_coded("gzip"),
            number => get_coded(&format!("none-{number}")),
        }),
        then: Sends::Many(2, |_| get_coded("gzip")),
        holds: Holds::Hits(1, 2),
        harmless: Some("it keys by path alone"),
        ..ECHOED
    },
];

fn get_coded(coding: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: {{host}}\r\naccept-encoding: {coding}\r\n\r\n")
}
