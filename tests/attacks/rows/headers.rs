//! Cache poisoning by header fields that change an answer although no `Vary` names them.

use super::{PARAM_MINER, PRACTICAL, RESPONSIBLE, SPOOFED_WSGI};
use crate::attack::{Answers, Attack, ECHOED, Holds, Sends, TRUSTED, get};

/// Lines from a peer that may write them.
macro_rules! unkeyed {
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

/// The same from anybody.
macro_rules! from_anybody {
    ($source:expr, $line:literal) => {
        Attack {
            name: concat!($line, ", from anybody"),
            gateway: &[],
            ..unkeyed!($source, $line)
        }
    };
}

/// What no cache can know of.
macro_rules! unsaid {
    ($line:literal) => {
        Attack {
            name: concat!($line, ", and no Vary"),
            source: "RFC 9110 section 12.5.5",
            first: Sends::Each(&[get!("/", $line)]),
            holds: Holds::Shared("the origin's, which does not name the field in Vary"),
            ..ECHOED
        }
    };
}

pub(crate) const ROWS: &[Attack] = &[
    unkeyed!(PRACTICAL, "X-Forwarded-Host: marked"),
    unkeyed!(PRACTICAL, "X-Forwarded-Scheme: marked"),
    unkeyed!(
        PRACTICAL,
        "X-Forwarded-Host: {host}",
        "X-Forwarded-Scheme: marked"
    ),
    unkeyed!(
        PRACTICAL,
        "X-Forwarded-Host: {host}",
        "X-Forwarded-Host: marked"
    ),
    unkeyed!(PRACTICAL, "X-Original-URL: /marked"),
    unkeyed!("CVE-2018-14773 (Symfony, Drupal)", "X-Rewrite-URL: /marked"),
    unkeyed!(PRACTICAL, "X-Host: marked"),
    unkeyed!(PRACTICAL, "X-Forwarded-Server: marked"),
    unkeyed!(RESPONSIBLE, "X-Forwarded-Port: marked"),
    unkeyed!(RESPONSIBLE, "X-Forwarded-SSL: marked"),
    unkeyed!("CVE-2020-15129 (Traefik)", "X-Forwarded-Prefix: /marked"),
    unkeyed!(PARAM_MINER, "X-Forwarded-Proto: marked"),
    unkeyed!(PARAM_MINER, "X-Forwarded-Protocol: marked"),
    unkeyed!(PARAM_MINER, "X-Url-Scheme: marked"),
    unkeyed!(PARAM_MINER, "X-Original-Host: marked"),
    unkeyed!(PARAM_MINER, "X-HTTP-Host-Override: marked"),
    unkeyed!(PARAM_MINER, "X-HTTP-Path-Override: /marked"),
    unkeyed!(PARAM_MINER, "X-HTTP-DestinationURL: /marked"),
    unkeyed!(PARAM_MINER, "X-Forward-Proto: marked"),
    unkeyed!(PARAM_MINER, "X-Scheme: marked"),
    unkeyed!(PARAM_MINER, "Front-End-Https: marked"),
    unkeyed!(PARAM_MINER, "X-Proxy-URL: /marked"),
    unkeyed!(PARAM_MINER, "X-Client-Host: marked"),
    unkeyed!(PARAM_MINER, "X-Server-Name: marked"),
    unkeyed!(PARAM_MINER, "X-Server-Port: marked"),
    unkeyed!(PARAM_MINER, "Request-URI: /marked"),
    unkeyed!(
        "Envoy: x-envoy-original-path",
        "X-Envoy-Original-Path: /marked"
    ),
    unkeyed!(
        "CloudFront: CloudFront-Forwarded-Proto",
        "CloudFront-Forwarded-Proto: marked"
    ),
    unkeyed!(
        "RFC 7239 section 5.3",
        "Forwarded: for=192.0.2.1;host=marked"
    ),
    unkeyed!(
        "RFC 7239 section 5.3",
        "Forwarded: for=192.0.2.1; HOST=\"marked\""
    ),
    unkeyed!(
        "RFC 7239 section 5.3",
        "Forwarded: host={host}, host=marked"
    ),
    unkeyed!(
        "RFC 7239 section 5.3",
        "Forwarded: for=192.0.2.1",
        "Forwarded: host=marked"
    ),
    unkeyed!("RFC 7239 section 5.4", "Forwarded: proto=marked"),
    unkeyed!(
        "RFC 7239 section 4, read leniently",
        "Forwarded: host = marked"
    ),
    unkeyed!(
        "RFC 7239 section 4, read leniently",
        "Forwarded: for=\"x;host=marked"
    ),
    unkeyed!(
        "RFC 7239 section 4, read leniently",
        "Forwarded: for=\"x\\\";host=marked"
    ),
    unkeyed!(
        "RFC 7239 section 4, read leniently",
        "Forwarded: \"host\"=marked"
    ),
    unkeyed!(SPOOFED_WSGI, "X_Forwarded_Host: marked"),
    unkeyed!(SPOOFED_WSGI, "X-Forwarded_Proto: marked"),
    unkeyed!(SPOOFED_WSGI, "X_Original_URL: /marked"),
    Attack {
        name: "X-Forwarded-For: marked",
        source: "every proxy writes another one for every client",
        gateway: TRUSTED,
        first: Sends::Each(&[get!("/", "X-Forwarded-For: marked")]),
        holds: Holds::Shared(
            "the layer's: a key with the client's address would be one for each client",
        ),
        ..ECHOED
    },
    from_anybody!(PRACTICAL, "X-Forwarded-Host: marked"),
    from_anybody!(PRACTICAL, "X-Forwarded-For: marked"),
    from_anybody!("RFC 7239 section 8.1", "Forwarded: host=marked"),
    from_anybody!(PRACTICAL, "X-Original-URL: /marked"),
    from_anybody!(PRACTICAL, "X-Host: marked"),
    from_anybody!(SPOOFED_WSGI, "X_Forwarded_Host: marked"),
    unsaid!("User-Agent: marked"),
    unsaid!("Accept: marked"),
    unsaid!("Accept-Encoding: marked"),
    unsaid!("Accept-Language: marked"),
    unsaid!("Origin: https://marked.example"),
    unsaid!("X-Of-Its-Own: marked"),
    Attack {
        name: "Origin: marked, named in Vary",
        source: "Exploiting CORS misconfigurations (Kettle 2016)",
        origin: Answers::Echo("cache-control: max-age=60\r\nvary: origin\r\n"),
        first: Sends::Each(&[get!("/", "Origin: https://marked.example")]),
        ..ECHOED
    },
    Attack {
        name: "X-Of-Its-Own: marked, named in Vary",
        source: PRACTICAL,
        origin: Answers::Echo("cache-control: max-age=60\r\nvary: accept, x-of-its-own\r\n"),
        first: Sends::Each(&[get!("/", "X-Of-Its-Own: marked")]),
        ..ECHOED
    },
];
