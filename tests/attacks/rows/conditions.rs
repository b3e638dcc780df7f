//! 304 injection: answers to one client's conditions that reach others, or change what is stored.

use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, answer, get};

const FRESH: &str = "cache-control: max-age=60\r\netag: \"1\"\r\n";

/// Whoever has such a line has nothing new to come.
fn not_modified(request: &str, _: usize) -> String {
    let request = request.to_lowercase();
    if request.contains("\r\nif-none-match:") || request.contains("\r\nif-modified-since:") {
        format!("HTTP/1.1 304 Not Modified\r\nx: marked\r\n{FRESH}\r\n")
    } else {
        answer("200 OK", FRESH, "welcome")
    }
}

/// A condition of a client that is the first to ask; the next one gets the whole.
macro_rules! cold {
    ($line:literal) => {
        Attack {
            name: $line,
            source: "RFC 9111 section 4.3.4",
            origin: Answers::By(not_modified),
            first: Sends::Each(&[get!("/", $line)]),
            holds: Holds::Content("welcome"),
            ..ECHOED
        }
    };
}

/// What is stored has to be asked about; the first answer to that has these lines, and whoever asks
/// again has another one, or the whole.
macro_rules! confirmed {
    ($name:literal, $source:expr, $lines:literal) => {
        Attack {
            name: $name,
            source: $source,
            origin: Answers::By(|request, before| {
                let asks = request.contains("if-none-match:");
                match before {
                    0 => answer(
                        "200 OK",
                        "cache-control: max-age=0\r\netag: \"1\"\r\n",
                        "welcome",
                    ),
                    1 if asks => format!("HTTP/1.1 304 Not Modified\r\n{}\r\n", $lines),
                    _ if asks => "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n".to_owned(),
                    _ => answer("200 OK", "", "welcome"),
                }
            }),
            first: Sends::Each(&[get!("/"), get!("/")]),
            then: Sends::Each(&[get!("/"), get!("/")]),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    cold!("If-None-Match: \"marked\""),
    cold!("If-None-Match: \"1\""),
    cold!("If-None-Match: *"),
    cold!("If-None-Match: marked"),
    cold!("If-None-Match: \"a\", \"b"),
    cold!("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"),
    cold!("If-Modified-Since: marked"),
    cold!("If-None-Match: \"1\"\r\nIf-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT"),
    cold!("If-None-Match: \"1\"\r\nCache-Control: no-cache"),
    cold!("If-None-Match: \"1\"\r\nAuthorization: Basic marked"),
    cold!("If-None-Match: \"1\"\r\nRange: bytes=0-3"),
    Attack {
        name: "a 304 that nobody asked for",
        source: "RFC 9111 section 4.3.4",
        origin: Answers::Exact(&[
            "HTTP/1.1 304 Not Modified\r\ncache-control: max-age=60\r\netag: \"marked\"\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nwelcome",
        ]),
        first: Sends::Each(&[get!("/")]),
        holds: Holds::Content("welcome"),
        ..ECHOED
    },
    confirmed!(
        "a cookie that comes with a 304",
        "CVE-2016-10002 (Squid)",
        "cache-control: max-age=60\r\netag: \"1\"\r\nset-cookie: id=marked\r\n"
    ),
    Attack {
        first: Sends::Each(&[get!("/"), get!("/", "if-none-match: \"1\"")]),
        ..confirmed!(
            "a cookie that comes with a 304 to a client's own condition",
            "CVE-2016-10002 (Squid)",
            "cache-control: max-age=60\r\netag: \"1\"\r\nset-cookie: id=marked\r\n"
        )
    },
    Attack {
        gateway: &["--set-cookie", "strip"],
        ..confirmed!(
            "a cookie that comes with a 304, and is stripped",
            "CVE-2016-10002 (Squid)",
            "cache-control: max-age=60\r\netag: \"1\"\r\nset-cookie: id=marked\r\n"
        )
    },
    confirmed!(
        "a 304 about something else",
        "RFC 9111 section 4.3.4",
        "cache-control: max-age=60\r\netag: \"marked\"\r\nx: marked\r\n"
    ),
    confirmed!(
        "a 304 with a field of the connection",
        "RFC 9111 section 3.2",
        "cache-control: max-age=60\r\netag: \"1\"\r\nconnection: x\r\nx: marked\r\n"
    ),
    confirmed!(
        "a 304 that makes it private",
        "RFC 9111 section 3.2",
        "cache-control: private, max-age=60\r\netag: \"1\"\r\nx: marked\r\n"
    ),
    confirmed!(
        "a 304 that forbids to store it",
        "RFC 9111 section 3.2",
        "cache-control: no-store\r\netag: \"1\"\r\nx: marked\r\n"
    ),
    Attack {
        holds: Holds::Content("welcome"),
        ..confirmed!(
            "a 304 with another length",
            "RFC 9111 section 3.2",
            "cache-control: max-age=60\r\netag: \"1\"\r\ncontent-length: 1\r\n"
        )
    },
    Attack {
        first: Sends::Each(&[get!("/")]),
        then: Sends::Each(&[get!("/", "if-none-match: \"marked\"")]),
        holds: Holds::Content("welcome"),
        harmless: Some("it gives the whole to everybody"),
        ..confirmed!(
            "a 304 that is not for the client's own tag",
            "RFC 9111 section 4.3.2",
            "cache-control: max-age=60\r\netag: \"1\"\r\n"
        )
    },
];
