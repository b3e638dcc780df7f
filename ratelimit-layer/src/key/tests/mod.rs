//! Who the client is, case by case.

mod address;
mod kinds;
mod lists;
mod path;

use super::*;
use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};

const TRUSTED: [&str; 3] = ["10.0.0.0/8", "fd00::/8", "::ffff:192.168.0.0/112"];

/// Where nothing else is said the peer, a trusted one, is the answer.
const PEER: &str = "10.0.0.1";

fn request(peer: Option<&str>, name: &str, lines: &[&[u8]]) -> Request<()> {
    let mut request = Request::new(());
    if let Some(peer) = peer {
        request
            .extensions_mut()
            .insert(SocketAddr::new(peer.parse().unwrap(), 80));
    }
    for line in lines {
        let name = HeaderName::try_from(name).unwrap();
        request
            .headers_mut()
            .append(name, HeaderValue::from_bytes(line).unwrap());
    }
    request
}

fn behind_proxies() -> ClientIp {
    ClientIp::trusted_proxies(TRUSTED.map(|network| network.parse().unwrap()))
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// What a field's value can be: rubbish, and what looks like lists of addresses.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "for=",
        "For",
        "=",
        ";",
        ",",
        ", ",
        "\"",
        "\\",
        "[",
        "]",
        ":",
        "%",
        "unknown",
        "_x",
        "10.0.0.1",
        "203.0.113.9",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "80",
        "0x",
        " ",
        "\t",
        "proto=https",
        "\u{fc}",
    ]);
    prop_oneof![
        prop::collection::vec(pieces, 0..30).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(prop_oneof![Just(b'\t'), 0x20_u8..0x7f, 0x80_u8..], 0..60),
    ]
}

/// Everything that a key hashes, in order.
#[derive(Default)]
struct Recorder(Vec<u8>);

impl std::hash::Hasher for Recorder {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("a recorder is read")
    }
}

/// What the key of a request hashes, if it has one.
fn hashed(key: &impl ClientKey, request: &Request<()>) -> Option<Vec<u8>> {
    let key = key.key(&Head::from(request))?;
    let mut recorder = Recorder::default();
    key.hash(&mut recorder);
    Some(recorder.0)
}

fn label(key: &impl ClientKey, request: &Request<()>) -> Option<String> {
    key.label(&Head::from(request))
}
