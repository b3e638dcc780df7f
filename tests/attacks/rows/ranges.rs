//! Parts taken for the whole, and ranges that make more of it than there is.

use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, answer, get};

const WHOLE: &str = "0123456789";

/// Gives the first four octets to whoever asks for a part, and the whole to others.
fn parts(request: &str, _: usize) -> String {
    if request.to_lowercase().contains("\r\nrange:") {
        answer(
            "206 Partial Content",
            "cache-control: max-age=60\r\netag: \"1\"\r\ncontent-range: bytes 0-3/10\r\n",
            "0123",
        )
    } else {
        answer(
            "200 OK",
            "cache-control: max-age=60\r\netag: \"1\"\r\n",
            WHOLE,
        )
    }
}

/// The lines of a request after which the next one still gets the whole.
macro_rules! whole_after {
    ($name:literal, $source:expr, $lines:literal) => {
        Attack {
            name: $name,
            source: $source,
            origin: Answers::By(parts),
            first: Sends::Each(&[get!("/", $lines)]),
            holds: Holds::Content(WHOLE),
            ..ECHOED
        }
    };
}

/// Answers in turn, to requests for a part; the next one gets the whole, which comes last.
macro_rules! answered {
    ($name:literal, $source:expr, $($answer:literal),+) => {
        Attack {
            origin: Answers::Exact(&[$($answer,)+ "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789"]),
            ..whole_after!($name, $source, "range: bytes=0-3")
        }
    };
}

/// The whole is stored; who asks for parts of it in such a way has no more than the whole.
macro_rules! of_the_whole {
    ($name:literal, $source:expr, $line:literal) => {
        Attack {
            name: $name,
            source: $source,
            origin: Answers::By(|_, before| match before {
                0 => answer(
                    "200 OK",
                    "cache-control: max-age=60\r\netag: \"1\"\r\n",
                    WHOLE,
                ),
                _ => answer("200 OK", "", "marked"),
            }),
            first: Sends::Each(&[get!("/")]),
            then: Sends::Each(&[get!("/", $line)]),
            holds: Holds::Content(WHOLE),
            harmless: Some("it knows no ranges"),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    whole_after!("a part", "RFC 9111 section 3.3", "range: bytes=0-3"),
    whole_after!(
        "a part, with a condition",
        "RFC 9110 section 13.1.5",
        "range: bytes=0-3\r\nif-range: \"1\""
    ),
    whole_after!(
        "a part, with a false condition",
        "RFC 9110 section 13.1.5",
        "range: bytes=0-3\r\nif-range: \"marked\""
    ),
    whole_after!(
        "a part of another unit",
        "RFC 9110 section 14.2",
        "range: marked=0-3"
    ),
    whole_after!(
        "the same part twice",
        "RFC 9110 section 14.2",
        "range: bytes=0-3\r\nrange: bytes=0-3"
    ),
    whole_after!(
        "several parts",
        "RFC 9110 section 14.6",
        "range: bytes=0-1,2-3"
    ),
    whole_after!(
        "a field that was Range once",
        "CVE-2011-3192 (Apache): its workaround",
        "request-range: bytes=0-3\r\nrange: x"
    ),
    answered!(
        "a part for who asked for none",
        "RFC 9111 section 3.3",
        "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\n0123"
    ),
    answered!(
        "parts in one, stored as the whole",
        "RFC 9110 section 14.6",
        "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\n\
         content-type: multipart/byteranges; boundary=x\r\ncontent-length: 4\r\n\r\n0123"
    ),
    answered!(
        "a part longer than it says",
        "RFC 9110 section 14.4",
        "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\netag: \"1\"\r\n\
         content-range: bytes 0-9/10\r\ncontent-length: 4\r\n\r\n0123"
    ),
    answered!(
        "a part beyond the whole",
        "CVE-2017-7529 (nginx)",
        "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\netag: \"1\"\r\n\
         content-range: bytes 0-3/2\r\ncontent-length: 4\r\n\r\n0123"
    ),
    answered!(
        "a part of negative length",
        "CVE-2017-7529 (nginx)",
        "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\netag: \"1\"\r\n\
         content-range: bytes 3-0/10\r\ncontent-length: 4\r\n\r\n0123"
    ),
    answered!(
        "a part of a whole beyond 64 bits",
        "CVE-2017-7529 (nginx)",
        "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\netag: \"1\"\r\n\
         content-range: bytes 0-3/18446744073709551616\r\ncontent-length: 4\r\n\r\n0123"
    ),
    answered!(
        "no such part, which may be stored",
        "RFC 9110 section 15.5.17",
        "HTTP/1.1 416 Range Not Satisfiable\r\ncache-control: max-age=60\r\ncontent-length: 6\r\n\r\nmarked"
    ),
    Attack {
        first: Sends::Each(&[get!("/", "range: bytes=0-3"), get!("/", "range: bytes=4-9")]),
        ..answered!(
            "parts of two things, put together",
            "RFC 9111 section 3.4",
            "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\netag: \"x\"\r\n\
             content-range: bytes 0-3/10\r\ncontent-length: 4\r\n\r\nmark",
            "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\netag: \"y\"\r\n\
             content-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\nedeked"
        )
    },
    Attack {
        first: Sends::Each(&[get!("/", "range: bytes=0-3"), get!("/", "range: bytes=4-9")]),
        ..answered!(
            "parts under a weak tag, put together",
            "RFC 9111 section 3.4",
            "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\netag: W/\"x\"\r\n\
             content-range: bytes 0-3/10\r\ncontent-length: 4\r\n\r\nmark",
            "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\netag: W/\"x\"\r\n\
             content-range: bytes 4-9/10\r\ncontent-length: 6\r\n\r\nedeked"
        )
    },
    of_the_whole!(
        "a great many ranges",
        "CVE-2011-3192 (Apache)",
        "range: bytes=0-,0-1,0-2,0-3,0-4,0-5,0-6,0-7,0-8,0-9,0-,0-1,0-2,0-3,0-4,0-5,0-6,0-7,0-8,0-9"
    ),
    of_the_whole!(
        "ranges that overlap",
        "CVE-2018-8005 (Apache Traffic Server)",
        "range: bytes=0-9,0-9,0-9"
    ),
    of_the_whole!(
        "a range beyond 64 bits",
        "CVE-2015-1635 (Windows)",
        "range: bytes=0-18446744073709551615"
    ),
    of_the_whole!(
        "a suffix beyond the whole",
        "CVE-2017-7529 (nginx)",
        "range: bytes=-9223372036854775608"
    ),
    of_the_whole!(
        "suffixes that overflow",
        "CVE-2017-7529 (nginx)",
        "range: bytes=-9223372036854775608,-9223372036854774586"
    ),
    of_the_whole!(
        "a range of no sense",
        "RFC 9110 section 14.1.1",
        "range: bytes=9-0"
    ),
    of_the_whole!(
        "a range with signs",
        "RFC 9110 section 14.1.1",
        "range: bytes=+0-+3"
    ),
    of_the_whole!(
        "a condition that does not hold",
        "RFC 9110 section 13.1.5",
        "range: bytes=0-3\r\nif-range: \"2\""
    ),
    of_the_whole!(
        "a condition by a weak tag",
        "RFC 9110 section 13.1.5",
        "range: bytes=0-3\r\nif-range: W/\"1\""
    ),
    of_the_whole!(
        "a condition by a date that is none",
        "RFC 9110 section 13.1.5",
        "range: bytes=0-3\r\nif-range: marked"
    ),
];
