//! `Connection`: fields that it takes away from the next one, or from the cache.

use super::HOP_BY_HOP;
use crate::attack::{Answers, Attack, ECHOED, Sends, TRUSTED, get};

/// The lines reach nobody, or their sender alone.
macro_rules! taken_away {
    ($source:expr, $line:literal $(, $more:literal)*) => {
        Attack {
            name: concat!($line $(, " and ", $more)*),
            source: $source,
            gateway: TRUSTED,
            first: Sends::Each(&[get!("/", $line $(, $more)*)]),
            ..ECHOED
        }
    };
}

/// The upstream's lines stay on its connection.
macro_rules! stays {
    ($lines:literal) => {
        Attack {
            name: $lines,
            source: "RFC 9111 section 3.1",
            origin: Answers::Exact(&[concat!(
                "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n",
                $lines,
                "\r\nhi"
            )]),
            first: Sends::Each(&[get!("/")]),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    taken_away!(
        HOP_BY_HOP,
        "Connection: X-Forwarded-Host",
        "X-Forwarded-Host: marked"
    ),
    taken_away!(
        HOP_BY_HOP,
        "Connection: X-Forwarded-For",
        "X-Forwarded-For: marked"
    ),
    taken_away!(
        HOP_BY_HOP,
        "Connection: close, X-Original-URL",
        "X-Original-URL: /marked"
    ),
    taken_away!(
        HOP_BY_HOP,
        "Connection: Authorization",
        "Authorization: Bearer marked"
    ),
    taken_away!(HOP_BY_HOP, "Connection: Cookie", "Cookie: session=marked"),
    taken_away!(HOP_BY_HOP, "Connection: Vary, X-Any", "X-Any: marked"),
    taken_away!(
        "CVE-2022-45059 (Varnish)",
        "Connection: Host",
        "X-Host: marked"
    ),
    taken_away!(
        HOP_BY_HOP,
        "Connection: Cache-Control, Via, X-Host",
        "X-Host: marked"
    ),
    taken_away!(HOP_BY_HOP, "Keep-Alive: marked"),
    taken_away!(HOP_BY_HOP, "Proxy-Connection: marked"),
    taken_away!(HOP_BY_HOP, "Proxy-Authorization: Basic marked"),
    taken_away!(HOP_BY_HOP, "TE: marked"),
    taken_away!(HOP_BY_HOP, "Upgrade: marked"),
    stays!("connection: x-marked\r\nx-marked: 1\r\n"),
    stays!("keep-alive: marked\r\n"),
    stays!("proxy-authenticate: Basic realm=marked\r\n"),
    stays!("proxy-authentication-info: marked\r\n"),
    stays!("proxy-connection: marked\r\n"),
    stays!("upgrade: marked\r\n"),
];
