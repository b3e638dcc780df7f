//! Who the client is, case by case.

use super::*;
use crate::hash::Seeds;
use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

const TRUSTED: [&str; 3] = ["10.0.0.0/8", "fd00::/8", "::ffff:192.168.0.0/112"];

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

#[test]
fn the_peer_counts_by_default() {
    let request = request(Some("10.0.0.1"), "x-forwarded-for", &[b"203.0.113.9"]);
    assert_eq!(ClientIp::peer().extract(&request), address("10.0.0.1"));
}

#[test]
fn without_a_peer_nothing_counts() {
    let request = request(None, "x-forwarded-for", &[b"203.0.113.9"]);
    assert_eq!(behind_proxies().extract(&request), None);
}

#[test]
fn an_untrusted_peer_is_the_client() {
    for peer in [
        "203.0.113.1",
        "2001:db8::1",
        "::ffff:203.0.113.1",
        "192.169.0.1",
    ] {
        let request = request(Some(peer), "x-forwarded-for", &[b"198.51.100.7"]);
        assert_eq!(
            behind_proxies().extract(&request),
            address(peer).map(|peer| peer.to_canonical())
        );
    }
}

#[test]
fn mapped_peers_are_trusted_as_what_they_are() {
    for peer in ["::ffff:10.0.0.1", "192.168.7.7", "::ffff:c0a8:0707"] {
        let request = request(Some(peer), "x-forwarded-for", &[b"198.51.100.7"]);
        assert_eq!(
            behind_proxies().extract(&request),
            address("198.51.100.7"),
            "{peer}"
        );
    }
}

/// Where nothing else is said the peer, 10.0.0.1, is the answer.
const PEER: &str = "10.0.0.1";

#[test]
fn x_forwarded_for_is_walked_from_the_right() {
    let cases: &[(&[&str], &str)] = &[
        (&[], PEER),
        (&[""], PEER),
        (&["203.0.113.9"], "203.0.113.9"),
        (&["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (&["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (
            &["198.51.100.1, 203.0.113.9", "10.0.0.2,10.0.0.3"],
            "203.0.113.9",
        ),
        (&["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (&["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        // Empty members mean nothing.
        (&["203.0.113.9,, ,10.0.0.2,"], "203.0.113.9"),
        // Ports and brackets.
        (&["203.0.113.9:8080"], "203.0.113.9"),
        (&["2001:db8::9"], "2001:db8::9"),
        (&["[2001:db8::9]"], "2001:db8::9"),
        (&["[2001:db8::9]:443"], "2001:db8::9"),
        (&["203.0.113.9, fd00::7, [fd00::8]:1"], "203.0.113.9"),
        // Mapped is IPv4, by range and not by spelling.
        (&["203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
        (&["203.0.113.9, ::ffff:a00:2"], "203.0.113.9"),
        (&["::FFFF:203.0.113.9"], "203.0.113.9"),
        (&["64:ff9b::203.0.113.9"], "64:ff9b::cb00:7109"),
        // All trusted.
        (&["10.0.0.3, 10.0.0.2"], PEER),
        // Unreadable: stop, never go further left.
        (&["203.0.113.9, unknown"], PEER),
        (&["203.0.113.9, unknown, 10.0.0.2"], PEER),
        (&["203.0.113.9", "x, 10.0.0.2"], PEER),
        (&["unknown, 203.0.113.9"], "203.0.113.9"),
        (&["010.0.0.2"], PEER),
        (&["0x0a.0.0.2"], PEER),
        (&["167772162"], PEER),
        (&["10.2"], PEER),
        (&["203.0.113.256"], PEER),
        (&["203.0.113.9:"], PEER),
        (&["203.0.113.9:65536"], PEER),
        (&["203.0.113.9:+80"], PEER),
        (&["203.0.113.9 198.51.100.1"], PEER),
        (&["fe80::1%eth0"], PEER),
        (&["[fe80::1%1]:80"], PEER),
        (&["[2001:db8::9"], PEER),
        (&["[2001:db8::9]80"], PEER),
        (&["[203.0.113.9]"], PEER),
        (&["localhost"], PEER),
        (&["\"203.0.113.9\""], PEER),
    ];
    for (lines, client) in cases {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        let request = request(Some(PEER), "x-forwarded-for", &lines);
        assert_eq!(
            behind_proxies().extract(&request),
            address(client),
            "{lines:?}"
        );
    }
}

#[test]
fn forwarded_is_walked_from_the_right() {
    let cases: &[(&[&str], &str)] = &[
        (&[], PEER),
        (&["for=203.0.113.9"], "203.0.113.9"),
        (
            &["For=\"203.0.113.9:4711\";proto=https;by=203.0.113.43"],
            "203.0.113.9",
        ),
        (
            &["proto=http; for=203.0.113.9 ; host=\"a,b;c\""],
            "203.0.113.9",
        ),
        (
            &["for=198.51.100.1, for=203.0.113.9, for=10.0.0.2"],
            "203.0.113.9",
        ),
        (
            &["for=198.51.100.1, for=203.0.113.9", "for=10.0.0.2"],
            "203.0.113.9",
        ),
        (&["for=\"[2001:db8::9]\""], "2001:db8::9"),
        (&["for=\"[2001:db8::9]:4711\""], "2001:db8::9"),
        (&["for=\"203.0.113.9:_port\""], "203.0.113.9"),
        (&["for=\"[::ffff:203.0.113.9]\""], "203.0.113.9"),
        (&["for=203.0.113.9,"], "203.0.113.9"),
        // What stands in quotes separates nothing.
        (
            &["host=\"x, for=198.51.100.1\";for=203.0.113.9"],
            "203.0.113.9",
        ),
        (
            &["host=\"x\\\", for=198.51.100.1\";for=203.0.113.9"],
            "203.0.113.9",
        ),
        // Unreadable: stop.
        (&["for=203.0.113.9, for=unknown"], PEER),
        (&["for=203.0.113.9, for=_hidden"], PEER),
        (&["for=203.0.113.9, for=\"_gazonk\", for=10.0.0.2"], PEER),
        (&["for=203.0.113.9, proto=https"], PEER),
        (&["for=203.0.113.9, nonsense"], PEER),
        (&["for=203.0.113.9;for=198.51.100.1"], PEER),
        (&["for=198.51.100.1, for=\"203.0.113.9"], PEER),
        (&["for=\"2001:db8::9\""], PEER),
        (&["for="], PEER),
        (&["for=\"\""], PEER),
        (&["for=\"203.0.113.9:_\""], PEER),
        (&["203.0.113.9"], PEER),
        // An open quote does not reach into the next line.
        (&["for=\"198.51.100.1", "for=203.0.113.9"], "203.0.113.9"),
        (&["for=\"198.51.100.1", "for=10.0.0.2"], PEER),
    ];
    let client_ip = behind_proxies().header(ProxyHeader::Forwarded);
    for (lines, client) in cases {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        let request = request(Some(PEER), "forwarded", &lines);
        assert_eq!(client_ip.extract(&request), address(client), "{lines:?}");
    }
}

#[test]
fn only_the_configured_header_counts() {
    let real_ip = behind_proxies().header(ProxyHeader::Other(HeaderName::from_static("x-real-ip")));
    let forwarded = behind_proxies().header(ProxyHeader::Forwarded);
    let with = |name| request(Some(PEER), name, &[b"203.0.113.9"]);
    assert_eq!(real_ip.extract(&with("x-real-ip")), address("203.0.113.9"));
    assert_eq!(real_ip.extract(&with("x-forwarded-for")), address(PEER));
    assert_eq!(forwarded.extract(&with("x-forwarded-for")), address(PEER));
}

#[test]
fn ipv6_is_grouped_after_the_trust_check() {
    let seeds = Seeds::new();
    let hash = |client_ip: &ClientIp, peer: &str| {
        let request = request(Some(peer), "x-forwarded-for", &[]);
        seeds.client(&client_ip.key(&Head::from(&request)).unwrap())
    };
    let (one, neighbour, other) = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1");
    let by_64 = ClientIp::peer();
    assert_eq!(hash(&by_64, one), hash(&by_64, neighbour));
    assert_ne!(hash(&by_64, one), hash(&by_64, other));
    let by_56 = ClientIp::peer().ipv6_prefix(56);
    assert_eq!(hash(&by_56, one), hash(&by_56, other));
    let by_128 = ClientIp::peer().ipv6_prefix(128);
    assert_ne!(hash(&by_128, one), hash(&by_128, neighbour));
    assert_eq!(hash(&by_64, "192.0.2.1"), hash(&by_64, "::ffff:192.0.2.1"));
    assert_ne!(hash(&by_64, "192.0.2.1"), hash(&by_64, "192.0.2.2"));
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

#[test]
#[should_panic(expected = "an IPv6 prefix of 0 bits")]
fn no_prefix_panics() {
    let _ = ClientIp::peer().ipv6_prefix(0);
}

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

proptest! {
    /// Garbage is answered, and never with an address that is not written in the header or the peer.
    #[test]
    fn garbage_is_answered(lines in prop::collection::vec(line(), 0..4)) {
        let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
        for (name, header) in [("forwarded", ProxyHeader::Forwarded), ("x-forwarded-for", ProxyHeader::XForwardedFor)] {
            let request = request(Some(PEER), name, &lines);
            let client = behind_proxies().header(header).extract(&request).unwrap();
            let trusted = behind_proxies().extract(&super::tests::request(Some(&client.to_string()), "x-forwarded-for", &[b"192.0.2.1"]));
            prop_assert!(client == address(PEER).unwrap() || trusted == Some(client), "{client} is trusted");
        }
    }

    /// What a client writes itself stands left of what its proxy saw, and changes nothing.
    #[test]
    fn what_stands_left_does_not_count(forged in line()) {
        prop_assume!(!forged.contains(&b'"'));
        let same_line = [&forged[..], b", 203.0.113.9, 10.0.0.2"].concat();
        let extracted = behind_proxies().extract(&request(Some(PEER), "x-forwarded-for", &[&same_line]));
        prop_assert_eq!(extracted, address("203.0.113.9"));
        let forwarded = [&forged[..], b", for=203.0.113.9, for=10.0.0.2"].concat();
        let client_ip = behind_proxies().header(ProxyHeader::Forwarded);
        prop_assert_eq!(client_ip.extract(&request(Some(PEER), "forwarded", &[&forwarded])), address("203.0.113.9"));
        let own_line: [&[u8]; 2] = [&forged, b"for=203.0.113.9"];
        prop_assert_eq!(client_ip.extract(&request(Some(PEER), "forwarded", &own_line)), address("203.0.113.9"));
    }
}
