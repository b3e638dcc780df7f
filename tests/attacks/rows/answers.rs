//! What the upstream's answers may do to those of others: split, out of step, with claims of their own.

use super::{RESPONSE_SMUGGLING, RESPONSE_SPLITTING};
use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, get};

const PLAIN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nwelcome";

/// The first answer is so, the others are plain; who comes second has a plain one.
macro_rules! first {
    ($name:literal, $source:expr, $answer:expr) => {
        Attack {
            name: $name,
            source: $source,
            origin: Answers::Exact(&[$answer, PLAIN]),
            first: Sends::Each(&[get!("/")]),
            then: Sends::Each(&[get!("/"), get!("/other")]),
            holds: Holds::Content("welcome"),
            ..ECHOED
        }
    };
}

/// An answer that may be stored, with this in its head.
macro_rules! head {
    ($name:literal, $source:expr, $lines:literal) => {
        first!(
            $name,
            $source,
            concat!(
                "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n",
                $lines,
                "content-length: 6\r\n\r\nmarked"
            )
        )
    };
}

/// What is stored comes without what is marked.
macro_rules! stored_without {
    ($name:literal, $source:expr, $answer:expr) => {
        Attack {
            then: Sends::Each(&[get!("/", "te: trailers", "connection: te")]),
            holds: Holds::Clean,
            ..first!($name, $source, $answer)
        }
    };
}

/// Whatever the first one says of itself, it is not to be used for long, or at all.
macro_rules! not_fresh {
    ($source:expr, $lines:literal) => {
        Attack {
            name: $lines,
            ..head!("", $source, $lines)
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    first!(
        "an answer behind the answer",
        RESPONSE_SMUGGLING,
        "HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 2\r\n\r\nhi\
         HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 6\r\n\r\nmarked"
    ),
    first!(
        "an answer behind an answer without content",
        RESPONSE_SMUGGLING,
        "HTTP/1.1 204 No Content\r\n\r\n\
         HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 6\r\n\r\nmarked"
    ),
    Attack {
        harmless: Some("it takes what follows for the answer's content"),
        first: Sends::Each(&[b"HEAD /x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"]),
        ..first!(
            "an answer in the content of an answer to HEAD",
            RESPONSE_SMUGGLING,
            "HTTP/1.1 200 OK\r\ncontent-length: 69\r\n\r\n\
             HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 6\r\n\r\nmarked"
        )
    },
    first!(
        "content with a length and a coding",
        RESPONSE_SMUGGLING,
        "HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\n\r\n"
    ),
    first!(
        "two lengths",
        RESPONSE_SMUGGLING,
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 6\r\ncontent-length: 2\r\n\r\nmarked"
    ),
    first!(
        "a length with a sign",
        "CVE-2021-32715 (hyper)",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: +6\r\n\r\nmarked"
    ),
    first!(
        "a length beyond the content",
        "RFC 9111 section 3.3",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: close\r\ncontent-length: 100\r\n\r\nmarked"
    ),
    first!(
        "chunks without an end",
        "RFC 9111 section 3.3",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n6\r\nmarked\r\n"
    ),
    first!(
        "content that ends where its connection does, cut short or not",
        "RFC 9112 section 6.3",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: close\r\n\r\nmarked"
    ),
    first!(
        "a protocol that nobody asked for",
        "RFC 9110 section 15.2.2",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: marked\r\nconnection: upgrade\r\n\r\n"
    ),
    first!(
        "an interim answer that may be stored",
        "RFC 9111 section 3",
        "HTTP/1.1 103 Early Hints\r\ncache-control: max-age=60\r\nlink: <marked>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
    ),
    head!(
        "a cookie behind a line feed",
        RESPONSE_SPLITTING,
        "x: y\nset-cookie: a=b\r\n"
    ),
    head!(
        "a cookie behind a return",
        RESPONSE_SPLITTING,
        "x: y\rset-cookie: a=b\r\n"
    ),
    head!("a null in a field", RESPONSE_SPLITTING, "x: y\0\r\n"),
    head!("a space before a colon", RESPONSE_SPLITTING, "x : y\r\n"),
    stored_without!(
        "an answer in the trailers",
        RESPONSE_SPLITTING,
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\ntrailer: set-cookie\r\n\r\n\
         2\r\nhi\r\n0\r\nset-cookie: id=marked\r\n\r\n"
    ),
    stored_without!(
        "a location in the trailers",
        "RFC 9110 section 6.5.1",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\ntrailer: location\r\n\r\n\
         2\r\nhi\r\n0\r\nlocation: marked\r\n\r\n"
    ),
    not_fresh!("RFC 9111 section 4.2.3", "age: 61\r\n"),
    not_fresh!("RFC 9111 section 4.2.3", "age: 99999999999999999999\r\n"),
    not_fresh!(
        "RFC 9111 section 4.2.3",
        "date: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
    ),
    not_fresh!("RFC 9111 section 5.2.2.5", "cache-control: no-store\r\n"),
    not_fresh!("RFC 9111 section 5.2.2.5", "cache-control: NO-STORE\r\n"),
    not_fresh!("RFC 9111 section 5.2.2.7", "cache-control: private\r\n"),
    Attack {
        harmless: Some("it asks, as this is the one lifetime that it heeds"),
        ..not_fresh!("RFC 9111 section 4.2.1", "cache-control: max-age=0\r\n")
    },
    not_fresh!("RFC 9111 section 5.2.2.4", "cache-control: no-cache\r\n"),
    not_fresh!("RFC 9213 section 2.2", "cdn-cache-control: no-store\r\n"),
    first!(
        "a word for caches that Connection takes away",
        "RFC 9110 section 7.6.1",
        "HTTP/1.1 200 OK\r\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\r\ncache-control: private\r\n\
         connection: cache-control\r\ncontent-length: 6\r\n\r\nmarked"
    ),
    first!(
        "a choice by language that Connection takes away",
        "RFC 9110 section 7.6.1",
        "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nvary: *\r\nconnection: vary\r\ncontent-length: 6\r\n\r\nmarked"
    ),
];
