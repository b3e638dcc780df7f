//! Methods taken for one another: HEAD and GET, names in another case, and what only the owner may do.

use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, TRUSTED, answer, get};

/// Only a plain GET or HEAD is welcome here.
fn welcome(request: &str, _: usize) -> String {
    let whole = answer("200 OK", "cache-control: max-age=60\r\n", "welcome");
    match request.split(' ').next() {
        Some("GET") => whole,
        Some("HEAD") => whole.trim_end_matches("welcome").to_owned(),
        _ => answer("200 OK", "cache-control: max-age=60\r\n", "marked"),
    }
}

/// A request of another method, or none that is known, which does not answer for GET.
macro_rules! for_get {
    ($source:expr, $method:literal) => {
        Attack {
            name: concat!($method, " for GET"),
            source: $source,
            origin: Answers::By(welcome),
            first: Sends::Each(&[concat!(
                $method,
                " / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            .as_bytes()]),
            holds: Holds::Content("welcome"),
            ..ECHOED
        }
    };
}

macro_rules! refused {
    ($source:expr, $method:literal, $target:literal) => {
        Attack {
            name: concat!($method, " ", $target),
            first: Sends::Each(&[concat!(
                $method,
                " ",
                $target,
                " HTTP/1.1\r\nhost: {host}\r\ncookie: id=marked\r\nconnection: close\r\n\r\n"
            )
            .as_bytes()]),
            holds: Holds::Refused,
            ..for_get!($source, "")
        }
    };
}

/// A method of the cache's owner, which an origin refuses to do: what is stored stays.
macro_rules! purges {
    ($method:literal, $lines:literal) => {
        Attack {
            name: concat!($method, " by anybody"),
            source: "Varnish and Squid: PURGE without an access list",
            gateway: TRUSTED,
            origin: Answers::By(|request, before| {
                if request.starts_with("GET") && before == 0 {
                    answer("200 OK", "cache-control: max-age=60\r\n", "welcome")
                } else {
                    answer("405 Method Not Allowed", "", "marked")
                }
            }),
            first: Sends::Each(&[
                get!("/"),
                concat!(
                    $method,
                    " / HTTP/1.1\r\nhost: {host}\r\n",
                    $lines,
                    "connection: close\r\n\r\n"
                )
                .as_bytes(),
            ]),
            holds: Holds::Content("welcome"),
            harmless: Some("it answers all methods alike"),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    for_get!("RFC 9110 section 9.3.2", "HEAD"),
    for_get!("RFC 9110 section 9.1: names are case-sensitive", "get"),
    for_get!("RFC 9110 section 9.1: names are case-sensitive", "Get"),
    for_get!("RFC 9111 section 3", "POST"),
    for_get!("RFC 9111 section 3", "PUT"),
    for_get!("RFC 9111 section 3", "DELETE"),
    for_get!("RFC 9111 section 3", "OPTIONS"),
    for_get!("RFC 9111 section 3", "PROPFIND"),
    for_get!("RFC 9111 section 3", "GETX"),
    for_get!("RFC 10008 section 2.7", "QUERY"),
    Attack {
        name: "GET for HEAD, and HEAD for GET again",
        source: "RFC 9110 section 9.3.2",
        origin: Answers::By(welcome),
        first: Sends::Each(&[
            b"HEAD / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
            get!("/"),
            b"HEAD / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
        ]),
        holds: Holds::Content("welcome"),
        ..ECHOED
    },
    Attack {
        name: "HEAD that is answered with another length",
        source: "RFC 9111 section 4.3.5",
        origin: Answers::By(|request, _| {
            if request.starts_with("HEAD") {
                "HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncache-control: max-age=60\r\n\r\n".to_owned()
            } else {
                answer("200 OK", "cache-control: max-age=60\r\n", "welcome")
            }
        }),
        first: Sends::Each(&[
            b"HEAD / HTTP/1.1\r\nhost: {host}\r\ncache-control: no-cache\r\nconnection: close\r\n\r\n",
            get!("/"),
            b"HEAD / HTTP/1.1\r\nhost: {host}\r\ncache-control: no-cache\r\nconnection: close\r\n\r\n",
        ]),
        holds: Holds::Content("welcome"),
        ..ECHOED
    },
    refused!("Cross-Site Tracing (Grossman 2003)", "TRACE", "/"),
    refused!("CVE-2019-10098 and its kin: an open proxy", "CONNECT", "{host}:80"),
    refused!("RFC 9112 section 3.2.4", "GET", "*"),
    purges!("PURGE", ""),
    purges!("BAN", ""),
    purges!("REFRESH", ""),
    purges!("DELETE", ""),
    purges!("GET", "x-http-method-override: PURGE\r\n"),
    purges!("POST", "content-length: 0\r\n"),
    Attack {
        name: "an answer that invalidates another host's",
        source: "RFC 9111 section 4.4",
        origin: Answers::By(|request, before| {
            if request.starts_with("POST") {
                let host = request.split("host: ").nth(1).unwrap_or_default();
                let host = host.lines().next().unwrap_or_default();
                let other = host.trim_start_matches("other.");
                answer("200 OK", &format!("location: http://{other}/\r\ncontent-location: http://{other}/\r\n"), "")
            } else if before == 0 {
                answer("200 OK", "cache-control: max-age=60\r\n", "welcome")
            } else {
                answer("200 OK", "", "marked")
            }
        }),
        first: Sends::Each(&[
            get!("/"),
            b"POST / HTTP/1.1\r\nhost: other.{host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ]),
        holds: Holds::Content("welcome"),
        harmless: Some("it invalidates nothing"),
        ..ECHOED
    },
];
