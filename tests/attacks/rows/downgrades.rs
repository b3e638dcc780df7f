//! HTTP/2 written down as HTTP/1.1: what the one can say and the other cannot.

use super::HTTP2_SEQUEL;
use crate::attack::{Attack, ECHOED, Holds, Sends, get};

/// A request of these fields that must become one request or none.
macro_rules! downgraded {
    ($name:literal, $source:expr, $content:literal, $($field:literal = $value:literal),+) => {
        Attack {
            name: $name,
            source: $source,
            first: Sends::Http2(&[$(($field, $value)),+], $content),
            then: Sends::Each(&[get!("/x")]),
            holds: Holds::InStep,
            ..ECHOED
        }
    };
}

/// A usual request with one field more.
macro_rules! with {
    ($name:literal, $source:expr, $content:literal, $field:literal = $value:literal) => {
        downgraded!(
            $name,
            $source,
            $content,
            ":method" = "POST",
            ":scheme" = "http",
            ":path" = "/x",
            ":authority" = "{host}",
            $field = $value
        )
    };
}

macro_rules! gets {
    ($name:literal, $field:literal = $value:literal) => {
        downgraded!(
            $name,
            HTTP2_SEQUEL,
            "",
            ":method" = "GET",
            ":scheme" = "http",
            ":path" = "/x",
            ":authority" = "{host}",
            $field = $value
        )
    };
}

pub(crate) const ROWS: &[Attack] = &[
    with!(
        "a length of nothing, and content",
        HTTP2_SEQUEL,
        "GET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n",
        "content-length" = "0"
    ),
    Attack {
        harmless: Some("it waits for the rest"),
        ..with!(
            "a length beyond the content",
            HTTP2_SEQUEL,
            "marked",
            "content-length" = "100"
        )
    },
    with!(
        "a coding",
        HTTP2_SEQUEL,
        "0\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n",
        "transfer-encoding" = "chunked"
    ),
    with!(
        "a coding behind a line end",
        HTTP2_SEQUEL,
        "0\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n",
        "x" = "y\r\ntransfer-encoding: chunked"
    ),
    with!(
        "a coding within a name",
        HTTP2_SEQUEL,
        "0\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n",
        "transfer-encoding: chunked\r\nx" = "y"
    ),
    with!(
        "a coding that Connection names",
        HTTP2_SEQUEL,
        "0\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n",
        "connection" = "transfer-encoding"
    ),
    gets!(
        "a request in a value",
        "x" = "y\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\nz: "
    ),
    gets!(
        "a request in a name",
        "x: y\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\nz" = "y"
    ),
    gets!("a colon in a name", "x-host: marked, x" = "y"),
    gets!("a line feed in a value", "x" = "y\nhost: marked.{host}"),
    gets!("a return in a value", "x" = "y\rhost: marked.{host}"),
    gets!("a null in a value", "x" = "y\0z"),
    gets!("capitals in a name", "X-Forwarded-Host\0" = "marked"),
    gets!("a space in a name", "x y" = "z"),
    gets!("an upgrade", "upgrade" = "marked"),
    gets!("an expectation", "expect" = "100-continue"),
    Attack {
        harmless: Some("it takes the first one"),
        ..gets!("a second path", ":path" = "/marked y")
    },
    gets!("a second host", "host" = "marked.{host}"),
    downgraded!(
        "a line in the path",
        HTTP2_SEQUEL,
        "",
        ":method" = "GET",
        ":scheme" = "http",
        ":path" = "/x HTTP/1.1\r\nx-host: marked",
        ":authority" = "{host}"
    ),
    downgraded!(
        "a request in the path",
        HTTP2_SEQUEL,
        "",
        ":method" = "GET",
        ":scheme" = "http",
        ":path" = "/x HTTP/1.1\r\nhost: {host}\r\n\r\nGET /marked HTTP/1.1\r\nx: ",
        ":authority" = "{host}"
    ),
    downgraded!(
        "a space in the path",
        HTTP2_SEQUEL,
        "",
        ":method" = "GET",
        ":scheme" = "http",
        ":path" = "/x /marked",
        ":authority" = "{host}"
    ),
    downgraded!(
        "another target in the path",
        HTTP2_SEQUEL,
        "",
        ":method" = "GET",
        ":scheme" = "http",
        ":path" = "http://marked.{host}/x",
        ":authority" = "{host}"
    ),
    downgraded!(
        "a request in the method",
        HTTP2_SEQUEL,
        "",
        ":method" = "GET /marked HTTP/1.1\r\nhost: {host}\r\n\r\nGET",
        ":scheme" = "http",
        ":path" = "/x",
        ":authority" = "{host}"
    ),
    downgraded!(
        "a field in the authority",
        HTTP2_SEQUEL,
        "",
        ":method" = "GET",
        ":scheme" = "http",
        ":path" = "/x",
        ":authority" = "{host}\r\nx-forwarded-host: marked\r\nhost: {host}"
    ),
    downgraded!(
        "a user in the authority",
        HTTP2_SEQUEL,
        "",
        ":method" = "GET",
        ":scheme" = "http",
        ":path" = "/x",
        ":authority" = "marked@{host}\r\n"
    ),
];
