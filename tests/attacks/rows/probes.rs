//! Questions to the cache itself: what it has, what it keys by, what it may be made to do.

use super::PRACTICAL;
use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, TRUSTED, get};

/// Answers to such a line that tell how a key is made.
macro_rules! tells_no_key {
    ($line:literal) => {
        Attack {
            name: $line,
            source: PRACTICAL,
            origin: Answers::Exact(&[
                "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nhi",
            ]),
            first: Sends::Each(&[get!("/some/path", $line)]),
            then: Sends::Each(&[get!("/some/path", $line)]),
            mark: "some/path",
            harmless: Some("it tells nothing of itself"),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    tells_no_key!("Pragma: akamai-x-cache-on, akamai-x-get-cache-key, akamai-x-get-true-cache-key"),
    tells_no_key!("Fastly-Debug: 1"),
    tells_no_key!("X-Cache-Debug: 1"),
    tells_no_key!("Surrogate-Capability: abc=\"Surrogate/1.0 ESI/1.0\""),
    Attack {
        name: "a look into the cache, which is empty",
        source: "RFC 9111 section 5.2.1.7",
        first: Sends::Each(&[
            get!("/", "cache-control: only-if-cached"),
            get!("/", "cache-control: ONLY-IF-CACHED, max-stale"),
        ]),
        holds: Holds::Refused,
        ..ECHOED
    },
    Attack {
        name: "a look into the cache does not fill it with its own answer",
        source: "CPDoS (Nguyen et al. 2019): errors of the cache's own",
        origin: Answers::Exact(&[
            "HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 6\r\n\r\nmarked",
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nwelcome",
        ]),
        first: Sends::Each(&[get!("/", "cache-control: only-if-cached"), get!("/")]),
        holds: Holds::Content("welcome"),
        ..ECHOED
    },
    Attack {
        name: "Pragma that makes it ask, and fill, anew",
        source: "RFC 9111 section 5.4",
        gateway: TRUSTED,
        first: Sends::Each(&[get!("/", "pragma: no-cache", "x-forwarded-host: marked")]),
        ..ECHOED
    },
    Attack {
        name: "Cache-Control that makes it ask, and fill, anew",
        source: "RFC 9111 section 5.2.1.4",
        gateway: TRUSTED,
        first: Sends::Each(&[get!(
            "/",
            "cache-control: no-cache",
            "x-forwarded-host: marked"
        )]),
        ..ECHOED
    },
    Attack {
        name: "claims of what a cache before it has done",
        source: "RFC 9211 section 6",
        first: Sends::Each(&[get!(
            "/",
            "cache-status: x; hit; key=\"marked\"",
            "age: 5",
            "x-cache: marked"
        )]),
        then: Sends::Each(&[get!("/"), get!("/")]),
        origin: Answers::By(|request, _| {
            let claimed = request.contains("x-cache");
            crate::attack::answer("200 OK", "", if claimed { "marked" } else { "welcome" })
        }),
        ..ECHOED
    },
];
