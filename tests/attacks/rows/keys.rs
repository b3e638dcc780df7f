//! Key injection: a part of a request that tries to pass for another one, or for none.

use super::ENTANGLEMENT;
use crate::attack::{Attack, ECHOED, Sends, TRUSTED, get};

/// Two requests whose parts, put together in some way, are the same.
macro_rules! alike {
    ($name:literal, $mark:literal, $first:expr, $then:expr) => {
        Attack {
            name: $name,
            source: ENTANGLEMENT,
            gateway: TRUSTED,
            first: Sends::Each(&[$first]),
            then: Sends::Each(&[$then]),
            mark: $mark,
            ..ECHOED
        }
    };
}

/// As that, with another path.
macro_rules! alike_elsewhere {
    ($name:literal, $mark:literal, $first:expr, $then:expr) => {
        Attack {
            harmless: Some("it keys by path alone"),
            ..alike!($name, $mark, $first, $then)
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    alike!(
        "a field in the value of another one",
        "x-original-host: b",
        get!("/", "x-host: a", "x-original-host: b"),
        get!("/", "x-host: ax-original-hostb")
    ),
    alike!(
        "a field in the value of another one, behind a separator",
        "x-original-host: b",
        get!("/", "x-host: a", "x-original-host: b"),
        get!("/", "x-host: a|x-original-host:b")
    ),
    alike!(
        "a field in the value of another one, as Akamai writes it",
        "x-original-host: b",
        get!("/", "x-host: a", "x-original-host: b"),
        get!("/", "x-host: a__x-original-host='b'__")
    ),
    alike!(
        "two lines as one",
        "x-host: b",
        get!("/", "x-host: a", "x-host: b"),
        get!("/", "x-host: ab")
    ),
    alike!(
        "where a value ends",
        "x-host: ab",
        get!("/", "x-host: ab", "x-original-host: c"),
        get!("/", "x-host: a", "x-original-host: bc")
    ),
    alike!(
        "where a name ends",
        "x-host: b",
        get!("/", "x-host: b"),
        get!("/", "x-original-host: b")
    ),
    alike!("an empty value", "x-host:", get!("/", "x-host:"), get!("/")),
    alike!(
        "an empty line beside another",
        "x-original-host:",
        get!("/", "x-host: a", "x-original-host:"),
        get!("/", "x-host: a")
    ),
    alike!(
        "a space in a value",
        "a b",
        get!("/", "x-host: a b"),
        get!("/", "x-host: ab")
    ),
    alike!(
        "a pair of Forwarded as a field",
        "forwarded: host",
        get!("/", "forwarded: host=a"),
        get!("/", "x-host: host=a")
    ),
    alike!(
        "two pairs of Forwarded as one",
        "proto=b",
        get!("/", "forwarded: host=a;proto=b"),
        get!("/", "forwarded: host=aproto=c")
    ),
    alike!(
        "values in each other's place",
        "x-host: a",
        get!("/", "x-host: a", "x-original-host: b"),
        get!("/", "x-host: b", "x-original-host: a")
    ),
    alike_elsewhere!(
        "a field in the path",
        "x-host: a",
        get!("/", "x-host: a"),
        get!("/x-hosta")
    ),
    alike_elsewhere!(
        "a path in a field",
        "x-host: a",
        get!("/x", "x-host: a"),
        get!("/", "x-original-url: x", "x-host: b")
    ),
    alike!(
        "lengths in the path",
        "x-host: a",
        get!("/", "x-host: a"),
        get!("/%06%00%00%00x-host%01%00%00%00a")
    ),
    alike_elsewhere!(
        "a host in the path",
        "host: {host}\r\n",
        get!("/b"),
        b"GET / HTTP/1.1\r\nhost: {host}.b\r\nconnection: close\r\n\r\n"
    ),
    alike_elsewhere!(
        "a port in the path",
        "host: {host}:81",
        b"GET /x HTTP/1.1\r\nhost: {host}:81\r\nconnection: close\r\n\r\n",
        get!("/:81/x")
    ),
];
