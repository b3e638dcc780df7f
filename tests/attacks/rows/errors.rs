//! Cache-poisoned denial of service: one client provokes an error, and the others are served it.

use super::{CPDOS, OVERRIDDEN, RESPONSIBLE};
use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, answer, get};

/// Whoever sends an `X-Trigger` is refused so; the others are served.
macro_rules! provoked {
    ($source:expr, $status:literal, $lines:literal) => {
        Attack {
            name: concat!($status, ", ", $lines),
            source: $source,
            origin: Answers::By(|request, _| {
                let refused = request.contains("x-trigger");
                refuse_if(refused, $status, $lines)
            }),
            first: Sends::Each(&[get!("/", "x-trigger: 1")]),
            holds: Holds::Content("welcome"),
            ..ECHOED
        }
    };
}

/// As its origin allows it, in so many words.
macro_rules! allowed {
    ($status:literal) => {
        Attack {
            holds: Holds::Shared("the origin's, which gives an error of one request a lifetime"),
            ..provoked!(
                "RFC 9111 section 3",
                $status,
                "cache-control: max-age=60\r\n"
            )
        }
    };
}

/// One of those that RFC 9110 section 15.1 lets caches give a lifetime to, if they look old.
macro_rules! guessed {
    ($source:expr, $status:literal) => {
        Attack {
            holds: Holds::Shared("RFC 9110's, section 15.1, unless --heuristic is off"),
            ..provoked!(
                $source,
                $status,
                "last-modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
            )
        }
    };
}

/// The same where that is switched off.
macro_rules! not_guessed {
    ($source:expr, $status:literal) => {
        Attack {
            gateway: &["--heuristic", "off"],
            ..provoked!(
                $source,
                $status,
                "last-modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
            )
        }
    };
}

/// A request whose line or fields an origin chokes on.
macro_rules! choked_on {
    ($source:expr, $status:literal, $line:literal) => {
        Attack {
            name: concat!($line, " makes ", $status),
            source: $source,
            origin: Answers::By(|request, _| {
                let name = $line.split(':').next().unwrap_or_default().to_lowercase();
                let refused = request.to_lowercase().contains(&format!("\n{name}:"));
                refuse_if(refused, $status, "cache-control: max-age=60\r\n")
            }),
            first: Sends::Each(&[get!("/", $line)]),
            holds: Holds::Content("welcome"),
            ..ECHOED
        }
    };
}

macro_rules! refused {
    ($source:expr, $line:literal) => {
        Attack {
            holds: Holds::Refused,
            ..choked_on!($source, "400 Bad Request", $line)
        }
    };
}

/// A head of so many octets more than usual, which the origin refuses.
macro_rules! oversize {
    ($octets:literal, $status:literal, $lines:literal) => {
        Attack {
            name: concat!(
                "a head of ",
                $octets,
                " octets, answered ",
                $status,
                ", ",
                $lines
            ),
            source: CPDOS,
            origin: Answers::By(|request, _| refuse_if(request.len() > 8_000, $status, $lines)),
            first: Sends::Many(1, |_| {
                let padding = "x".repeat($octets);
                format!("GET / HTTP/1.1\r\nhost: {{host}}\r\nx-padding: {padding}\r\n\r\n")
            }),
            ..ECHOED
        }
    };
}

fn refuse_if(refused: bool, status: &str, lines: &str) -> String {
    if refused {
        answer(status, lines, "marked")
    } else {
        answer("200 OK", "cache-control: max-age=60\r\n", "welcome")
    }
}

pub(crate) const ROWS: &[Attack] = &[
    oversize!(
        20_000,
        "431 Request Header Fields Too Large",
        "cache-control: max-age=60, public\r\n"
    ),
    oversize!(20_000, "400 Bad Request", ""),
    oversize!(
        20_000,
        "400 Bad Request",
        "last-modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
    ),
    oversize!(20_000, "413 Content Too Large", ""),
    oversize!(
        100_000,
        "431 Request Header Fields Too Large",
        "cache-control: max-age=60\r\n"
    ),
    provoked!(CPDOS, "400 Bad Request", ""),
    provoked!(CPDOS, "403 Forbidden", ""),
    provoked!(
        CPDOS,
        "403 Forbidden",
        "last-modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
    ),
    provoked!(CPDOS, "404 Not Found", ""),
    guessed!("CVE-2020-17509 (Apache Traffic Server)", "404 Not Found"),
    not_guessed!("CVE-2020-17509 (Apache Traffic Server)", "404 Not Found"),
    provoked!(CPDOS, "405 Method Not Allowed", ""),
    guessed!(CPDOS, "405 Method Not Allowed"),
    not_guessed!(CPDOS, "405 Method Not Allowed"),
    provoked!(CPDOS, "413 Content Too Large", ""),
    guessed!(CPDOS, "414 URI Too Long"),
    not_guessed!(CPDOS, "414 URI Too Long"),
    provoked!(CPDOS, "500 Internal Server Error", ""),
    provoked!(CPDOS, "501 Not Implemented", ""),
    guessed!(CPDOS, "501 Not Implemented"),
    not_guessed!(CPDOS, "501 Not Implemented"),
    provoked!(RESPONSIBLE, "502 Bad Gateway", ""),
    provoked!(RESPONSIBLE, "503 Service Unavailable", ""),
    provoked!(
        "RFC 9110 section 15.5.17",
        "416 Range Not Satisfiable",
        "cache-control: max-age=60\r\n"
    ),
    provoked!(
        "RFC 6585 section 3",
        "428 Precondition Required",
        "cache-control: public, max-age=60\r\n"
    ),
    provoked!(
        "RFC 6585 section 4",
        "429 Too Many Requests",
        "cache-control: public, max-age=60\r\n"
    ),
    provoked!(
        "RFC 6585 section 5",
        "431 Request Header Fields Too Large",
        "cache-control: public, max-age=60\r\n"
    ),
    provoked!(
        "RFC 6585 section 6",
        "511 Network Authentication Required",
        "cache-control: public, max-age=60\r\n"
    ),
    provoked!("CVE-2025-49826 (Next.js)", "204 No Content", ""),
    allowed!("400 Bad Request"),
    allowed!("404 Not Found"),
    allowed!("503 Service Unavailable"),
    choked_on!(
        OVERRIDDEN,
        "405 Method Not Allowed",
        "X-HTTP-Method-Override: POST"
    ),
    choked_on!(
        OVERRIDDEN,
        "404 Not Found",
        "X-HTTP-Method-Override: DELETE"
    ),
    choked_on!(OVERRIDDEN, "200 OK", "X-HTTP-Method-Override: HEAD"),
    choked_on!(OVERRIDDEN, "501 Not Implemented", "X-HTTP-Method: marked"),
    choked_on!(
        OVERRIDDEN,
        "405 Method Not Allowed",
        "X-Method-Override: PUT"
    ),
    choked_on!(
        OVERRIDDEN,
        "405 Method Not Allowed",
        "X-Original-Method: PUT"
    ),
    choked_on!(
        OVERRIDDEN,
        "405 Method Not Allowed",
        "X_HTTP_Method_Override: PUT"
    ),
    choked_on!(
        RESPONSIBLE,
        "412 Precondition Failed",
        "If-Match: \"marked\""
    ),
    choked_on!(
        RESPONSIBLE,
        "412 Precondition Failed",
        "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"
    ),
    choked_on!(RESPONSIBLE, "426 Upgrade Required", "Upgrade: marked"),
    choked_on!(RESPONSIBLE, "417 Expectation Failed", "Expect: marked"),
    choked_on!(RESPONSIBLE, "400 Bad Request", "TE: marked"),
    choked_on!(
        RESPONSIBLE,
        "407 Proxy Authentication Required",
        "Proxy-Authorization: marked"
    ),
    choked_on!(RESPONSIBLE, "400 Bad Request", "Proxy-Connection: marked"),
    choked_on!(RESPONSIBLE, "400 Bad Request", "Keep-Alive: marked"),
    choked_on!(
        RESPONSIBLE,
        "401 Unauthorized",
        "Authorization: Basic marked"
    ),
    choked_on!(RESPONSIBLE, "400 Bad Request", "Cookie: marked"),
    choked_on!(
        RESPONSIBLE,
        "416 Range Not Satisfiable",
        "Range: bytes=999-"
    ),
    refused!(RESPONSIBLE, "Transfer-Encoding: marked"),
    refused!(CPDOS, "X-Meta: \x01"),
    refused!(CPDOS, "X-Meta: \x07"),
    refused!(CPDOS, "X-Meta: \x08"),
    refused!(CPDOS, "X-Meta: \x0b"),
    refused!(CPDOS, "X-Meta: \x00"),
    refused!(CPDOS, "X-Meta: \x7f"),
    refused!(CPDOS, "X-Meta: a\rb"),
    refused!(CPDOS, "X\x01Meta: a"),
    refused!(CPDOS, "X Meta: a"),
    refused!(CPDOS, "X-Meta(): a"),
    refused!(CPDOS, ": a"),
    refused!(CPDOS, "X-Meta"),
    refused!(CPDOS, "X-Meta: a\r\n folded"),
];
