//! Room: a flood of keys that nobody asks for twice, and keys and answers out of all proportion.

use super::{CPDOS, ENTANGLEMENT};
use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, answer};

/// There is room for them, here and in the naive cache.
const HOT: usize = 40;

/// Several times the room.
const COLD: usize = 800;

fn page(_: &str, _: usize) -> String {
    answer(
        "200 OK",
        "cache-control: max-age=60\r\n",
        &"x".repeat(4 << 10),
    )
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: {{host}}\r\n\r\n")
}

/// The hot ones, five times each, then a flood of others.
fn hot_before(cold: fn(usize) -> String) -> impl Fn(usize) -> String {
    move |number| match number.checked_sub(5 * HOT) {
        None => get(&format!("/hot/{}", number % HOT)),
        Some(number) => cold(number),
    }
}

/// A flood after which what is asked for again and again is still there; in a cache of its own.
macro_rules! flood {
    ($name:literal, $bytes:literal, $cold:expr) => {
        Attack {
            name: $name,
            source: "cache pollution: locality disruption (Deng, Gao, Kuzmanovic 2006)",
            gateway: &["--cache-bytes", $bytes],
            origin: Answers::By(page),
            first: Sends::Many(5 * HOT + COLD, |number| hot_before($cold)(number)),
            then: Sends::Many(HOT, |number| get(&format!("/hot/{number}"))),
            holds: Holds::Hits(HOT * 9 / 10, HOT),
            ..ECHOED
        }
    };
}

/// What is not kept, though it comes twice.
macro_rules! unkept {
    ($name:literal, $source:expr, $request:expr) => {
        Attack {
            name: $name,
            source: $source,
            origin: Answers::By(page),
            first: Sends::Many(1, $request),
            then: Sends::Many(1, $request),
            holds: Holds::Hits(0, 0),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    flood!("paths that nobody asks for twice", "512KiB", |number| get(
        &format!("/cold/{number}")
    )),
    Attack {
        harmless: Some("it keys by path alone"),
        ..flood!(
            "queries that nobody asks for twice",
            "513KiB",
            |number| get(&format!("/hot/1?{number}"))
        )
    },
    unkept!("a target of 9,000 octets", "RFC 9110 section 4.1", |_| get(
        &format!("/{}", "x".repeat(9_000))
    )),
    unkept!("a query of 9,000 octets", "RFC 9110 section 4.1", |_| get(
        &format!("/?{}", "x".repeat(9_000))
    )),
    unkept!("a host of 256 octets", "RFC 1035 section 2.3.4", |_| {
        let label = "x".repeat(62);
        format!("GET / HTTP/1.1\r\nhost: {{host}}.{label}.{label}.{label}.{label}\r\n\r\n")
    }),
    Attack {
        name: "targets that differ in their last octet, beyond any length that is kept",
        source: ENTANGLEMENT,
        first: Sends::Many(1, |_| get(&format!("/{}marked", "x".repeat(9_000)))),
        then: Sends::Many(1, |_| get(&format!("/{}", "x".repeat(9_000)))),
        harmless: Some("it keys by the whole path"),
        ..ECHOED
    },
    Attack {
        name: "targets that differ in their last octet, within what is kept",
        source: ENTANGLEMENT,
        first: Sends::Many(1, |_| get(&format!("/{}m", "x".repeat(8_190)))),
        then: Sends::Many(1, |_| get(&format!("/{}n", "x".repeat(8_190)))),
        mark: "xm",
        harmless: Some("it keys by the whole path"),
        ..ECHOED
    },
    Attack {
        origin: Answers::By(|_, _| {
            let value = "x".repeat(40 << 10);
            answer(
                "200 OK",
                &format!("cache-control: max-age=60\r\nx-large: {value}\r\n"),
                "",
            )
        }),
        ..unkept!(
            "an answer whose fields take 40 KiB",
            "CPDoS (Nguyen et al. 2019): heads out of proportion",
            |_| get("/")
        )
    },
    Attack {
        gateway: &["--max-entry-bytes", "512"],
        ..unkept!(
            "an answer over the limit",
            "cache pollution (Deng, Gao, Kuzmanovic 2006)",
            |_| get("/")
        )
    },
    Attack {
        gateway: &["--max-entry-bytes", "512"],
        origin: Answers::By(|_, _| {
            let chunk = "x".repeat(8 << 10);
            format!(
                "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n\
                 2000\r\n{chunk}\r\n0\r\n\r\n"
            )
        }),
        ..unkept!(
            "an answer over the limit that does not say so",
            "cache pollution (Deng, Gao, Kuzmanovic 2006)",
            |_| get("/")
        )
    },
    Attack {
        gateway: &["--max-header-bytes", "1KiB"],
        origin: Answers::By(|_, _| {
            let value = "x".repeat(2 << 10);
            answer(
                "200 OK",
                &format!("cache-control: max-age=60\r\nx-large: {value}\r\n"),
                "",
            )
        }),
        ..unkept!("an answer whose fields are over the limit", CPDOS, |_| get(
            "/"
        ))
    },
];
