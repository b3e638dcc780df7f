//! Who the client is, case by case.

mod address;
mod lists;

use super::*;
use crate::hash::Seeds;
use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;
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

#[test]
fn kinds_have_their_own_name_spaces() {
    let seeds = Seeds::new();
    // The same bits as IPv4 and, shifted into the prefix, as IPv6.
    let v4 = request(Some("0.0.0.1"), "k", &[b"1"]);
    let v6 = request(Some("0:0:0:1::"), "k", &[b"1"]);
    let header = ClientHeader::new(HeaderName::from_static("k"));
    let closure = KeyFn::new(|_: &Head<'_>| Some(1_u128));
    let hashes = [
        seeds.client(&ClientIp::peer().key(&Head::from(&v4)).unwrap()),
        seeds.client(&ClientIp::peer().key(&Head::from(&v6)).unwrap()),
        seeds.client(&header.key(&Head::from(&v4)).unwrap()),
        seeds.client(&closure.key(&Head::from(&v4)).unwrap()),
        seeds.unkeyed(),
    ];
    for (index, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..index].contains(hash));
    }
}

#[test]
fn all_lines_of_a_header_are_the_key() {
    let seeds = Seeds::new();
    let header = ClientHeader::new(HeaderName::from_static("x-api-key"));
    let hash = |lines: &[&[u8]]| {
        header
            .key(&Head::from(&request(None, "x-api-key", lines)))
            .map(|key| seeds.client(&key))
    };
    assert_eq!(hash(&[]), None);
    assert_eq!(hash(&[b"a"]), hash(&[b"a"]));
    assert_ne!(hash(&[b"a"]), hash(&[b"b"]));
    assert_ne!(hash(&[b"ab"]), hash(&[b"a", b"b"]));
    assert_ne!(hash(&[b""]), hash(&[b"", b""]));
}
