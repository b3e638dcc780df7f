//! Request smuggling: what the gateway lets through must not put it out of step with the upstream.
//!
//! The content hides a request, of 43 octets with the chunk before it. Where one side reads it as content
//! and the other one as a request, answers go to the wrong clients, and into the cache.

use super::{BROWSER_POWERED, DESYNC, MUST_DIE, SMUGGLING_2005, SMUGGLING_2020};
use crate::attack::{Attack, ECHOED, Holds, Sends};

/// A POST with these lines, and content that hides a request.
macro_rules! framed {
    ($name:expr, $source:expr, $lines:expr) => {
        framed!(
            $name,
            $source,
            $lines,
            "0\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n"
        )
    };
    ($name:expr, $source:expr, $lines:expr, $content:literal) => {
        raw!(
            $name,
            $source,
            concat!(
                "POST /x HTTP/1.1\r\nhost: {host}\r\n",
                $lines,
                "\r\n\r\n",
                $content
            )
        )
    };
}

macro_rules! raw {
    ($name:expr, $source:expr, $request:expr) => {
        Attack {
            name: $name,
            source: $source,
            first: Sends::Each(&[$request.as_bytes()]),
            holds: Holds::InStep,
            ..ECHOED
        }
    };
}

pub(super) use {framed, raw};

/// A coding that only some understand, beside a length that covers what is hidden.
macro_rules! coded {
    ($source:expr, $line:literal) => {
        framed!($line, $source, concat!("content-length: 43\r\n", $line))
    };
}

/// A length that only some understand.
macro_rules! long {
    ($source:expr, $line:literal) => {
        framed!($line, $source, $line)
    };
}

/// A request line that only some understand.
macro_rules! line {
    ($source:expr, $line:literal) => {
        raw!($line, $source, concat!($line, "\r\nhost: {host}\r\n\r\n"))
    };
}

pub(crate) const ROWS: &[Attack] = &[
    coded!(SMUGGLING_2005, "Transfer-Encoding: chunked"),
    coded!(DESYNC, "Transfer-Encoding: xchunked"),
    coded!(DESYNC, "Transfer-Encoding : chunked"),
    coded!(DESYNC, "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
    coded!(DESYNC, "Transfer-Encoding: x\r\nTransfer-Encoding: chunked"),
    coded!(
        "CVE-2021-21299 (hyper)",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"
    ),
    coded!(DESYNC, "Transfer-Encoding:\tchunked"),
    coded!(DESYNC, "X: y\nTransfer-Encoding: chunked"),
    coded!(DESYNC, "Transfer-Encoding\r\n : chunked"),
    coded!(DESYNC, "X: y\r\n Transfer-Encoding: chunked"),
    coded!(DESYNC, "Transfer-Encoding:\r\n chunked"),
    coded!("CVE-2019-18277 (HAProxy)", "Transfer-Encoding: \x0bchunked"),
    coded!(DESYNC, "Transfer-Encoding: \x0cchunked"),
    coded!(DESYNC, "Transfer-Encoding: chunked\x00"),
    coded!(DESYNC, "Transfer-Encoding: chunked\r\r"),
    coded!(DESYNC, "Transfer-Encoding: \"chunked\""),
    coded!(DESYNC, "Transfer-Encoding: 'chunked'"),
    coded!(DESYNC, "Transfer-Encoding: chunked, identity"),
    coded!(DESYNC, "Transfer-Encoding: identity, chunked"),
    coded!(DESYNC, "Transfer-Encoding: identity, chunked, identity"),
    coded!(DESYNC, "Transfer-Encoding: identity"),
    coded!(DESYNC, "Transfer-Encoding: chunked, chunked"),
    coded!(DESYNC, "Transfer-Encoding: gzip, chunked"),
    coded!(DESYNC, "Transfer-Encoding: ,chunked"),
    coded!(DESYNC, "Transfer-Encoding: chunked,"),
    coded!(DESYNC, "Transfer-Encoding: chunk"),
    coded!(DESYNC, "Transfer-Encoding:"),
    coded!(DESYNC, "Transfer-Encoding: CHUNKED"),
    coded!(DESYNC, "tRANSFER-ENCODING: Chunked"),
    coded!("RFC 9112 section 7.1", "Transfer-Encoding: chunked;a=b"),
    coded!(DESYNC, "Transfer_Encoding: chunked"),
    coded!(DESYNC, "Transfer Encoding: chunked"),
    coded!(SMUGGLING_2020, "Transfer-Encoding x: chunked"),
    coded!(SMUGGLING_2020, "Transfer\\Encoding: chunked"),
    coded!(DESYNC, "X: y\r\n\rTransfer-Encoding: chunked"),
    coded!(DESYNC, "X: y\rTransfer-Encoding: chunked"),
    coded!(DESYNC, "\0Transfer-Encoding: chunked"),
    coded!(
        "CVE-2022-45059 (Varnish)",
        "Connection: transfer-encoding\r\nTransfer-Encoding: chunked"
    ),
    framed!(
        "a coding before the length",
        "CVE-2022-23959 (Varnish)",
        "Transfer-Encoding: chunked\r\nContent-Length: 5"
    ),
    raw!(
        "a coding in HTTP/1.0",
        "CVE-2026-2835 (Pingora)",
        "POST /x HTTP/1.0\r\nhost: {host}\r\nconnection: keep-alive\r\ncontent-length: 43\r\ntransfer-encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n"
    ),
    long!("CVE-2021-32715 (hyper)", "Content-Length: +43"),
    long!(SMUGGLING_2005, "Content-Length: 43\r\nContent-Length: 0"),
    long!(SMUGGLING_2005, "Content-Length: 0\r\nContent-Length: 43"),
    long!(
        "RFC 9110 section 8.6",
        "Content-Length: 43\r\nContent-Length: 43"
    ),
    long!("RFC 9110 section 8.6", "Content-Length: 43, 43"),
    long!("RFC 9110 section 8.6", "Content-Length: 43, 0"),
    long!("RFC 9110 section 8.6", "Content-Length: 0043"),
    long!(DESYNC, "Content-Length: 0x2b"),
    long!(DESYNC, "Content-Length: 4 3"),
    long!(DESYNC, "Content-Length: 4_3"),
    long!(DESYNC, "Content-Length: -43"),
    long!(DESYNC, "Content-Length: 43x"),
    long!(DESYNC, "Content-Length:"),
    long!(DESYNC, "Content-Length: 99999999999999999999999999"),
    long!("CVE-2019-16276 (Go)", "Content-Length : 43"),
    long!(DESYNC, "Content-Length: \x0b43"),
    long!(DESYNC, "Content_Length: 43"),
    long!(MUST_DIE, "X: y\r\n Content-Length: 43"),
    long!(MUST_DIE, "Content-Length:\r\n 43"),
    long!(
        "CVE-2022-45059 (Varnish)",
        "Connection: content-length\r\nContent-Length: 43"
    ),
    long!(MUST_DIE, "Expect: 100-continue\r\nContent-Length: 43"),
    long!(MUST_DIE, "Expect: x 100-continue\r\nContent-Length: 43"),
    long!(
        MUST_DIE,
        "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 43"
    ),
    Attack {
        harmless: Some("it reads all content by its length, as the upstream does"),
        ..framed!(
            "content where none is looked for",
            BROWSER_POWERED,
            "content-length: 43"
        )
    },
    Attack {
        harmless: Some("it reads all content by its length, as the upstream does"),
        ..raw!(
            "content with GET",
            BROWSER_POWERED,
            "GET /x HTTP/1.1\r\nhost: {host}\r\ncontent-length: 38\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n"
        )
    },
    line!("RFC 9112 section 3", "GET  /x HTTP/1.1"),
    line!("RFC 9112 section 3", "GET\t/x HTTP/1.1"),
    line!("RFC 9112 section 3", "GET /x  HTTP/1.1"),
    line!("RFC 9112 section 3", "GET /x HTTP/1.1 "),
    line!("RFC 9112 section 3", " GET /x HTTP/1.1"),
    line!("RFC 9112 section 3", "\r\n\r\nGET /x HTTP/1.1"),
    line!("RFC 9112 section 3", "GET /x HTTP/1.1\r"),
    line!("RFC 9112 section 2.3", "GET /x HTTP/1.10"),
    line!("RFC 9112 section 2.3", "GET /x HTTP/2.0"),
    line!("RFC 9112 section 2.3", "GET /x http/1.1"),
    line!("RFC 9112 section 2.3", "GET /x HTTP/01.1"),
    line!("RFC 9112 section 2.3", "GET /x"),
    line!("CVE-2013-4547 (nginx)", "GET /x \0HTTP/1.1"),
    line!("CVE-2013-4547 (nginx)", "GET /x y HTTP/1.1"),
    line!("RFC 9112 section 3.2", "GET /x\rGET HTTP/1.1"),
    line!("RFC 9112 section 3.2", "GET /\x7f HTTP/1.1"),
    line!("RFC 9112 section 3.2", "GET /\x01 HTTP/1.1"),
    line!("RFC 9110 section 9.1", "G(E)T /x HTTP/1.1"),
    line!("RFC 9112 section 3.2", "GET http://{host}/x HTTP/1.1"),
    raw!(
        "line feeds alone",
        "RFC 9112 section 2.2",
        "GET /x HTTP/1.1\nhost: {host}\n\n"
    ),
    raw!(
        "a request within a field, behind a line feed",
        SMUGGLING_2005,
        "GET /x HTTP/1.1\r\nhost: {host}\r\nx: y\n\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n"
    ),
    raw!(
        "a field within a field, behind a return",
        SMUGGLING_2005,
        "GET /x HTTP/1.1\r\nhost: {host}\r\nx: y\rcontent-length: 5\r\n\r\n"
    ),
    raw!(
        "an upgrade that is none",
        "CVE-2026-2833 (Pingora)",
        "GET /x HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: marked\r\n\r\n\
         GET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n"
    ),
    raw!(
        "an upgrade to HTTP/2",
        "h2c Smuggling (Miller, Bishop Fox 2020)",
        "GET /x HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\
         http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
    ),
    raw!(
        "an upgrade to HTTP/2 that Connection does not name in full",
        "h2c Smuggling (Miller, Bishop Fox 2020)",
        "GET /x HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\
         http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
    ),
    raw!(
        "a socket that is none",
        "websocket-smuggle (Emelianov 2019)",
        "GET /x HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 777\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n"
    ),
    raw!(
        "content for a tunnel that is refused",
        "CVE-2025-4366 (Pingora)",
        "CONNECT {host}:80 HTTP/1.1\r\nhost: {host}:80\r\ncontent-length: 38\r\n\r\n\
         GET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n"
    ),
    raw!(
        "content for what is refused",
        "CVE-2025-4366 (Pingora)",
        "TRACE /x HTTP/1.1\r\nhost: {host}\r\ncontent-length: 38\r\n\r\n\
         GET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n"
    ),
    Attack {
        first: Sends::Each(&[
            b"GET /x HTTP/1.1\r\nhost: {host}\r\n\r\n",
            b"GET /x HTTP/1.1\r\nhost: {host}\r\ncontent-length: 43\r\n\r\n\
              0\r\n\r\nGET /marked HTTP/1.1\r\nhost: {host}\r\n\r\n",
        ]),
        ..raw!("content for what is stored", "CVE-2025-4366 (Pingora)", "")
    },
];
