//! Cache poisoning by query, by parameter cloaking, and by content where none belongs.

use super::{CLOAKING, ENTANGLEMENT, PRACTICAL};
use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, get};

/// A target that must not fill the place of another one.
macro_rules! apart {
    ($source:expr, $first:literal, $then:literal) => {
        apart!($source, $first, $then, "marked")
    };
    ($source:expr, $first:literal, $then:literal, $mark:literal) => {
        Attack {
            name: concat!($first, " for ", $then),
            source: $source,
            first: Sends::Each(&[get!($first)]),
            then: Sends::Each(&[get!($then)]),
            mark: $mark,
            ..ECHOED
        }
    };
}
pub(super) use apart;

/// Content with a method that has none.
macro_rules! fat {
    ($name:literal, $request:literal) => {
        Attack {
            name: $name,
            source: ENTANGLEMENT,
            first: Sends::Each(&[$request.as_bytes()]),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    apart!(ENTANGLEMENT, "/?marked", "/"),
    apart!(ENTANGLEMENT, "/?utm_content=marked", "/"),
    apart!(ENTANGLEMENT, "/?callback=a&utm_content=b;callback=marked", "/?callback=a&utm_content=b"),
    apart!("CVE-2021-23336 (Python)", "/?a=1;a=marked", "/?a=1"),
    apart!("CVE-2020-28473 (Bottle)", "/?a=1&utm_source=b;a=marked", "/?a=1&utm_source=b"),
    apart!(ENTANGLEMENT, "/?a=1&a=marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/?a=marked&a=1", "/?a=1"),
    apart!(ENTANGLEMENT, "/?a=1&a[]=marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/?a=1,marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/?a=1?a=marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/??a=marked", "/?"),
    apart!(ENTANGLEMENT, "/?%61=marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/?A=marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/?a%5B%5D=marked", "/?a[]=1"),
    apart!(ENTANGLEMENT, "/?a=1%26a=marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/?a=1%3Ba=marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/?a=1%23marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/%3Fa=marked", "/?a=1"),
    apart!(ENTANGLEMENT, "/?_method=marked", "/"),
    apart!(CLOAKING, "/?a=1%00marked", "/?a=1"),
    apart!(CLOAKING, "/?a=1%0D%0Amarked", "/?a=1"),
    apart!(CLOAKING, "/?a=%6d", "/?a=m", "%6d"),
    apart!(CLOAKING, "/?a=b%2Fc", "/?a=b%2fc", "%2F"),
    apart!(CLOAKING, "/?a=b%20c", "/?a=b+c", "%20"),
    apart!(CLOAKING, "/?b=2&a=1", "/?a=1&b=2", "?b=2"),
    apart!(CLOAKING, "/?a=1&", "/?a=1", "a=1&"),
    apart!(CLOAKING, "/?&a=1", "/?a=1", "?&"),
    apart!("RFC 9110 section 4.2.3", "/?", "/", "/? "),
    apart!("CVE-2021-27577 (Apache Traffic Server)", "/?a=1#marked", "/?a=1"),
    fat!(
        "content with GET",
        "GET / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 6\r\nconnection: close\r\n\r\nmarked"
    ),
    fat!(
        "a form with GET",
        "GET / HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: 8\r\nconnection: close\r\n\r\na=marked"
    ),
    fat!(
        "chunked content with GET",
        "GET / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n6\r\nmarked\r\n0\r\n\r\n"
    ),
    fat!(
        "no content, and trailers, with GET",
        "GET / HTTP/1.1\r\nhost: {host}\r\nte: trailers\r\ntrailer: x\r\ntransfer-encoding: chunked\r\n\
         connection: te, close\r\n\r\n0\r\nx: marked\r\n\r\n"
    ),
    fat!(
        "content with GET that asks for another method",
        "GET / HTTP/1.1\r\nhost: {host}\r\nx-http-method-override: POST\r\ncontent-length: 6\r\n\
         connection: close\r\n\r\nmarked"
    ),
    fat!(
        "content with GET that is expected",
        "GET / HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 6\r\nconnection: close\r\n\r\nmarked"
    ),
    fat!(
        "content with HEAD",
        "HEAD / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 6\r\nconnection: close\r\n\r\nmarked"
    ),
    fat!(
        "content with POST",
        "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 6\r\nconnection: close\r\n\r\nmarked"
    ),
    Attack {
        name: "a POST that names its target as what it answers with",
        source: "RFC 9110 section 9.3.3",
        origin: Answers::Echo("cache-control: max-age=60\r\ncontent-location: /\r\n"),
        first: Sends::Each(&[
            b"POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 6\r\nconnection: close\r\n\r\nmarked",
        ]),
        holds: Holds::Shared("the origin's, which calls it the answer to GET"),
        ..ECHOED
    },
    Attack {
        name: "a cookie that is reflected",
        source: PRACTICAL,
        first: Sends::Each(&[get!("/", "cookie: lang=marked")]),
        ..ECHOED
    },
];
