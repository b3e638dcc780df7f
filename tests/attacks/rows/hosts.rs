//! Whose page is it? Authority, `Host` and absolute-form, in conflict and in other spellings.

use super::{CRACKING, ENTANGLEMENT, HOST_OF_TROUBLES, RESPONSIBLE};
use crate::attack::{Attack, ECHOED, Holds, Sends, get};

/// A request whose target or host lines are these; it says nothing to those who ask for the row's host.
macro_rules! named {
    ($name:literal, $source:expr, $request:literal) => {
        named!($name, $source, $request, "marked")
    };
    ($name:literal, $source:expr, $request:literal, $mark:literal) => {
        Attack {
            name: $name,
            source: $source,
            first: Sends::Each(&[concat!($request, "connection: close\r\n\r\n").as_bytes()]),
            mark: $mark,
            ..ECHOED
        }
    };
}

macro_rules! refused {
    ($name:literal, $source:expr, $request:literal) => {
        Attack {
            holds: Holds::Refused,
            ..named!($name, $source, $request)
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    named!(
        "another host",
        "CVE-2026-2836 (Pingora)",
        "GET / HTTP/1.1\r\nhost: marked.{host}\r\n"
    ),
    named!(
        "another port",
        ENTANGLEMENT,
        "GET / HTTP/1.1\r\nhost: {host}:1337\r\n",
        ":1337"
    ),
    named!(
        "port 0",
        ENTANGLEMENT,
        "GET / HTTP/1.1\r\nhost: {host}:0\r\n",
        "{host}:0"
    ),
    named!(
        "the port of https",
        ENTANGLEMENT,
        "GET / HTTP/1.1\r\nhost: {host}:443\r\n",
        ":443"
    ),
    named!(
        "the default port, said",
        RESPONSIBLE,
        "GET / HTTP/1.1\r\nhost: {host}:80\r\n",
        "{host}:80"
    ),
    named!(
        "a port with leading zeros",
        RESPONSIBLE,
        "GET / HTTP/1.1\r\nhost: {host}:00080\r\n",
        "{host}:000"
    ),
    named!(
        "an empty port",
        "RFC 9110 section 4.2.3",
        "GET / HTTP/1.1\r\nhost: {host}:\r\n",
        "{host}:"
    ),
    named!(
        "a dot at the end",
        ENTANGLEMENT,
        "GET / HTTP/1.1\r\nhost: {host}.\r\n",
        "{host}."
    ),
    Attack {
        then: Sends::Each(&[
            b"GET / HTTP/1.1\r\nhost: {host}.example\r\nconnection: close\r\n\r\n",
        ]),
        ..named!(
            "capitals",
            ENTANGLEMENT,
            "GET / HTTP/1.1\r\nhost: {host}.EXAMPLE\r\n",
            "EXAMPLE"
        )
    },
    named!(
        "absolute-form before Host",
        "CVE-2016-4553 (Squid)",
        "GET http://{host}/ HTTP/1.1\r\nhost: marked.{host}\r\n"
    ),
    named!(
        "Host behind absolute-form",
        HOST_OF_TROUBLES,
        "GET http://marked.{host}/ HTTP/1.1\r\nhost: {host}\r\n"
    ),
    named!(
        "absolute-form of a bare host",
        "VSV00018 (Varnish 2026)",
        "GET http://marked.{host} HTTP/1.1\r\nhost: {host}\r\n"
    ),
    named!(
        "absolute-form of https",
        HOST_OF_TROUBLES,
        "GET https://{host}/ HTTP/1.1\r\nhost: {host}\r\n",
        "https"
    ),
    Attack {
        then: Sends::Each(&[get!("/marked.{host}/x")]),
        ..named!(
            "a path like an authority",
            CRACKING,
            "GET //marked.{host}/x HTTP/1.1\r\nhost: {host}\r\n",
            "//marked"
        )
    },
    refused!(
        "absolute-form of no web scheme",
        HOST_OF_TROUBLES,
        "GET marked://{host}/ HTTP/1.1\r\nhost: {host}\r\n"
    ),
    refused!(
        "absolute-form with a user",
        CRACKING,
        "GET http://marked@{host}/ HTTP/1.1\r\nhost: {host}\r\n"
    ),
    refused!(
        "absolute-form and no Host",
        "RFC 9112 section 3.2",
        "GET http://{host}/?marked HTTP/1.1\r\n"
    ),
    refused!(
        "a path without a slash",
        CRACKING,
        "GET @marked.{host}/ HTTP/1.1\r\nhost: {host}\r\n"
    ),
    refused!(
        "two Hosts",
        HOST_OF_TROUBLES,
        "GET / HTTP/1.1\r\nhost: {host}\r\nhost: marked.{host}\r\n"
    ),
    refused!(
        "two Hosts, the other way round",
        HOST_OF_TROUBLES,
        "GET / HTTP/1.1\r\nhost: marked.{host}\r\nhost: {host}\r\n"
    ),
    refused!(
        "a Host twice",
        "RFC 9112 section 3.2",
        "GET /?marked HTTP/1.1\r\nhost: {host}\r\nHost: {host}\r\n"
    ),
    refused!(
        "a Host line with a space before it",
        HOST_OF_TROUBLES,
        "GET / HTTP/1.1\r\n host: marked.{host}\r\nhost: {host}\r\n"
    ),
    refused!(
        "a Host line behind one with a space",
        HOST_OF_TROUBLES,
        "GET / HTTP/1.1\r\nhost: {host}\r\n host: marked.{host}\r\n"
    ),
    refused!(
        "a Host on two lines",
        HOST_OF_TROUBLES,
        "GET / HTTP/1.1\r\nhost: {host}\r\n marked\r\n"
    ),
    refused!(
        "a space before the colon",
        HOST_OF_TROUBLES,
        "GET / HTTP/1.1\r\nhost : marked.{host}\r\nhost: {host}\r\n"
    ),
    refused!(
        "a comma in Host",
        HOST_OF_TROUBLES,
        "GET / HTTP/1.1\r\nhost: {host}, marked.{host}\r\n"
    ),
    refused!(
        "a space in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host} marked\r\n"
    ),
    refused!(
        "a tab in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}\tmarked\r\n"
    ),
    refused!(
        "a user in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}@marked.example\r\n"
    ),
    refused!(
        "a port and a user in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}:80@marked.example\r\n"
    ),
    refused!(
        "a port that is none",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}:marked\r\n"
    ),
    refused!(
        "a path in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}/marked\r\n"
    ),
    refused!(
        "a query in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}?marked\r\n"
    ),
    refused!(
        "a fragment in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}#marked\r\n"
    ),
    refused!(
        "a backslash in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}\\marked\r\n"
    ),
    refused!(
        "markup in Host",
        CRACKING,
        "GET / HTTP/1.1\r\nhost: {host}\"><marked\r\n"
    ),
    refused!(
        "no octet in Host",
        "RFC 9112 section 3.2",
        "GET /?marked=of.{host} HTTP/1.1\r\nhost:\r\n"
    ),
    refused!(
        "no Host",
        "RFC 9112 section 3.2",
        "GET /?marked=of.{host} HTTP/1.1\r\n"
    ),
    Attack {
        name: "two authorities in HTTP/2",
        source: "RFC 9113 section 8.3.1",
        first: Sends::Http2(
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "{host}"),
                ("host", "marked.{host}"),
            ],
            "",
        ),
        holds: Holds::Refused,
        ..ECHOED
    },
];
