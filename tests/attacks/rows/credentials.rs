//! What is one client's: credentials, cookies and answers to them, one after the other and all at once.

use super::COLLAPSED;
use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, answer, get, own_mark};

/// Somebody shows who he is; the next one shows nothing, or somebody else.
macro_rules! shown {
    ($line:literal, $said:literal) => {
        Attack {
            name: concat!($line, ", answered with ", $said),
            source: "RFC 9111 section 3.5",
            origin: Answers::Echo(concat!($said, "\r\n")),
            first: Sends::Each(&[get!("/", $line)]),
            then: Sends::Each(&[
                get!("/"),
                get!("/", "authorization: Basic other"),
                get!("/", "cookie: id=other"),
            ]),
            ..ECHOED
        }
    };
}

/// What the origin says of an answer that has something of one client in it.
macro_rules! said {
    ($source:expr, $lines:literal) => {
        Attack {
            name: concat!("an answer that says: ", $lines),
            source: $source,
            origin: Answers::By(|_, before| match before {
                0 => answer("200 OK", $lines, "marked"),
                _ => answer("200 OK", "", "welcome"),
            }),
            first: Sends::Each(&[get!("/")]),
            holds: Holds::Content("welcome"),
            ..ECHOED
        }
    };
}

/// The answer is for everybody but for one of its fields.
macro_rules! field_of_one {
    ($source:expr, $lines:literal) => {
        Attack {
            holds: Holds::Clean,
            origin: Answers::By(|_, before| match before {
                0 => answer("200 OK", $lines, "welcome"),
                _ => answer("200 OK", "", "welcome"),
            }),
            ..said!($source, $lines)
        }
    };
}

fn client(number: usize, line: &str) -> String {
    let own = own_mark(number);
    format!("GET / HTTP/1.1\r\nhost: {{host}}\r\n{line}{own}\r\nconnection: close\r\n\r\n")
}

/// Many at once, each with such a line of its own, while the first one's answer is on its way.
macro_rules! at_once {
    ($line:literal, $said:literal) => {
        Attack {
            name: concat!("many at once with ", $line, ", answered with ", $said),
            source: COLLAPSED,
            origin: Answers::Echo(concat!($said, "\r\n")),
            first: Sends::Nothing,
            then: Sends::AtOnce(8, |number| client(number, $line)),
            holds: Holds::Own,
            ..ECHOED
        }
    };
}

/// One with credentials, and many without who come while his answer is on its way.
macro_rules! led_by {
    ($line:literal, $said:literal) => {
        Attack {
            then: Sends::AtOnce(8, |number| match number {
                0 => client(0, concat!($line, "\r\nx-client: ")),
                number => client(number, "x-client: "),
            }),
            name: concat!("many behind one with ", $line, ", answered with ", $said),
            ..at_once!("", $said)
        }
    };
}

/// Whoever finds it stale causes a request in the background, which is in nobody's name.
macro_rules! refreshed {
    ($line:literal) => {
        Attack {
            name: concat!("a request in the background, caused by one with ", $line),
            source: "RFC 5861 section 3: not in a client's name",
            origin: Answers::Echo(
                "cache-control: public, max-age=0, stale-while-revalidate=60\r\n",
            ),
            first: Sends::Each(&[get!("/"), get!("/", $line), get!("/"), get!("/")]),
            then: Sends::Each(&[get!("/"), get!("/")]),
            harmless: Some("it asks each time"),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    shown!("Authorization: Bearer marked", "cache-control: max-age=60"),
    shown!("Authorization: Bearer marked", "cache-control: max-age=60, immutable"),
    shown!("Authorization: Bearer marked", "cache-control: max-age=60, proxy-revalidate"),
    shown!("Authorization: Bearer marked", "cache-control: max-age=60, no-transform"),
    shown!("Authorization: Bearer marked", "expires: Fri, 01 Jan 2100 00:00:00 GMT"),
    shown!("Authorization: Bearer marked", "last-modified: Sat, 01 Jan 2000 00:00:00 GMT"),
    shown!("Authorization:\r\nX-Any: marked", "cache-control: max-age=60"),
    shown!("Cookie: session=marked", "cache-control: max-age=60"),
    shown!("Cookie: session=marked", "cache-control: max-age=60, must-revalidate"),
    shown!("Cookie: a=b\r\nCookie: session=marked", "cache-control: max-age=60"),
    shown!("Cookie: session=marked", "expires: Fri, 01 Jan 2100 00:00:00 GMT"),
    shown!("Cookie: session=marked", "last-modified: Sat, 01 Jan 2000 00:00:00 GMT"),
    shown!("X-Api-Key: marked", "cache-control: max-age=60"),
    shown!("Api-Key: marked", "cache-control: max-age=60"),
    shown!("X-Auth-Token: marked", "cache-control: max-age=60"),
    shown!("X-Access-Token: marked", "cache-control: max-age=60"),
    shown!("X_Api_Key: marked", "cache-control: max-age=60"),
    Attack {
        name: "Authorization, answered with s-maxage",
        holds: Holds::Shared("the origin's, which says so (RFC 9111 section 3.5)"),
        ..shown!("Authorization: Bearer marked", "cache-control: s-maxage=60")
    },
    Attack {
        name: "Authorization, answered with s-maxage, where credentials pass by the cache",
        gateway: &["--credentials", "bypass"],
        ..shown!("Authorization: Bearer marked", "cache-control: s-maxage=60")
    },
    Attack {
        name: "a credential of another name",
        gateway: &["--credential-header", "x-session"],
        ..shown!("X-Session: marked", "cache-control: max-age=60")
    },
    Attack {
        name: "Cookie, answered with public",
        holds: Holds::Shared("the origin's, which says so"),
        ..shown!("Cookie: session=marked", "cache-control: public, max-age=60")
    },
    Attack {
        name: "Cookie, answered with public, where cookies pass by the cache",
        gateway: &["--cookie", "bypass"],
        ..shown!("Cookie: session=marked", "cache-control: public, max-age=60")
    },
    said!("RFC 9111 section 5.2.2.7", "cache-control: private, max-age=60\r\n"),
    said!("RFC 9111 section 5.2.2.7", "cache-control: max-age=60\r\nCache-Control: PRIVATE\r\n"),
    said!("RFC 9111 section 5.2.2.5", "cache-control: max-age=60, no-store\r\n"),
    said!("RFC 9213 section 2.2", "cache-control: public, max-age=60\r\ncdn-cache-control: private\r\n"),
    said!("CVE-2022-24894 (Symfony)", "cache-control: max-age=60\r\nset-cookie: id=marked\r\n"),
    said!("CVE-2012-2671 (Rack::Cache)", "cache-control: public, max-age=60\r\nset-cookie: id=marked\r\n"),
    said!("CVE-2022-24894 (Symfony)", "expires: Fri, 01 Jan 2100 00:00:00 GMT\r\nset-cookie: id=marked\r\n"),
    field_of_one!("RFC 9111 section 5.2.2.7", "cache-control: max-age=60, private=\"x-one\"\r\nx-one: marked\r\n"),
    field_of_one!("RFC 9111 section 5.2.2.7", "cache-control: max-age=60, private=\"x, X-One\"\r\nx-one: marked\r\n"),
    field_of_one!("RFC 9111 section 5.2.2.4", "cache-control: max-age=60, no-cache=\"set-cookie\"\r\nset-cookie: marked\r\n"),
    Attack {
        name: "Set-Cookie that is stripped",
        gateway: &["--set-cookie", "strip"],
        ..field_of_one!("CVE-2012-2671 (Rack::Cache)", "cache-control: max-age=60\r\nset-cookie: id=marked\r\n")
    },
    Attack {
        name: "a user in the target",
        source: "RFC 9110 section 4.2.4",
        first: Sends::Each(&[
            b"GET http://marked:marked@{host}/ HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
        ]),
        holds: Holds::Refused,
        ..ECHOED
    },
    Attack {
        name: "no-store in the request",
        source: "RFC 9111 section 5.2.1.5",
        first: Sends::Each(&[get!("/", "cache-control: no-store", "x: marked")]),
        ..ECHOED
    },
    Attack {
        name: "what is stored for those with credentials, from those without",
        source: "RFC 9111 section 5.2.1.7",
        first: Sends::Each(&[get!("/", "authorization: Basic marked"), get!("/", "cache-control: only-if-cached")]),
        ..ECHOED
    },
    at_once!("authorization: Bearer ", "cache-control: max-age=60"),
    at_once!("cookie: session=", "cache-control: max-age=60"),
    at_once!("x-api-key: ", "cache-control: max-age=60"),
    at_once!("x-client: ", "cache-control: private, max-age=60"),
    at_once!("x-client: ", "cache-control: no-store"),
    at_once!("x-client: ", "cache-control: no-cache"),
    at_once!("x-client: ", "expires: 0"),
    at_once!("x-client: ", "cache-control: max-age=60\r\nset-cookie: id=1"),
    at_once!("x-client: ", "cache-control: max-age=60\r\nvary: x-client"),
    at_once!("x-client: ", "cache-control: max-age=60\r\nvary: *"),
    at_once!("x-client: ", "x: y"),
    at_once!("x-host: ", "cache-control: max-age=60"),
    at_once!("range: bytes=0-1\r\nx-client: ", "cache-control: no-store"),
    at_once!("if-none-match: \"1\"\r\nx-client: ", "cache-control: private"),
    at_once!("cache-control: no-cache\r\nx-client: ", "cache-control: private"),
    led_by!("authorization: Bearer x", "cache-control: private"),
    led_by!("x-api-key: x", "cache-control: private"),
    led_by!("cookie: id=x", "cache-control: private"),
    led_by!("cookie: id=x", "cache-control: no-store"),
    led_by!("cookie: id=x", "cache-control: max-age=60\r\nset-cookie: id=1"),
    refreshed!("authorization: Bearer marked"),
    refreshed!("cookie: session=marked"),
    refreshed!("x-api-key: marked"),
    refreshed!("user-agent: marked"),
];
