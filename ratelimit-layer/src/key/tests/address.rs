//! Which peers are believed, which entry counts, how addresses are grouped.

use super::*;

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
    let hash = |client_ip: &ClientIp, peer: &str| {
        hashed(client_ip, &request(Some(peer), "x-forwarded-for", &[])).unwrap()
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
fn the_nth_entry_from_the_right_counts() {
    let cases: &[(u8, &[&str], &str)] = &[
        (1, &["203.0.113.9"], "203.0.113.9"),
        (1, &["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        // Trusted or not: it is the place that counts.
        (1, &["203.0.113.9, 10.0.0.2"], "10.0.0.2"),
        (2, &["198.51.100.1, 203.0.113.9, 192.0.2.7"], "203.0.113.9"),
        (
            2,
            &["198.51.100.1", "203.0.113.9", "192.0.2.7"],
            "203.0.113.9",
        ),
        (2, &["203.0.113.9,, ,192.0.2.7,"], "203.0.113.9"),
        (
            3,
            &["::ffff:203.0.113.9, [2001:db8::1]:80, 192.0.2.7:1"],
            "203.0.113.9",
        ),
        // Fewer entries than proxies.
        (1, &[], PEER),
        (1, &[""], PEER),
        (2, &["203.0.113.9"], PEER),
        (255, &["203.0.113.9, 192.0.2.7"], PEER),
        // Unreadable at the place, or right of it.
        (1, &["203.0.113.9, unknown"], PEER),
        (2, &["203.0.113.9, unknown"], PEER),
        (2, &["unknown, 192.0.2.7"], PEER),
        // Left of it nothing counts.
        (1, &["unknown, 203.0.113.9"], "203.0.113.9"),
    ];
    for (hops, lines, client) in cases {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        let request = request(Some(PEER), "x-forwarded-for", &lines);
        for client_ip in [ClientIp::trusted_hops(*hops), behind_proxies().hops(*hops)] {
            let extracted = client_ip.clone().extract(&request);
            assert_eq!(extracted, address(client), "{hops} {lines:?}");
            let strict = client_ip.when_unreadable(Unreadable::NoKey);
            let expected = (*client != PEER).then(|| client.parse().unwrap());
            assert_eq!(strict.extract(&request), expected, "{hops} {lines:?}");
        }
    }
}

#[test]
fn hops_of_all_peers_or_of_the_listed() {
    let said = |peer| request(peer, "x-forwarded-for", &[b"203.0.113.9"]);
    let of_all = ClientIp::trusted_hops(1);
    let of_listed = behind_proxies().hops(1);
    let stranger = said(Some("192.0.2.7"));
    assert_eq!(of_all.extract(&stranger), address("203.0.113.9"));
    assert_eq!(of_listed.extract(&stranger), address("192.0.2.7"));
    // A proxy on a Unix socket has no address.
    assert_eq!(of_all.extract(&said(None)), address("203.0.113.9"));
    assert_eq!(of_listed.extract(&said(None)), None);
}

#[test]
fn unreadable_is_the_peer_or_no_key() {
    let strict = behind_proxies().when_unreadable(Unreadable::NoKey);
    let client = |lines: &[&[u8]]| strict.extract(&request(Some(PEER), "x-forwarded-for", lines));
    assert_eq!(client(&[b"203.0.113.9, unknown"]), None);
    assert_eq!(client(&[b"203.0.113.9", b"x, 10.0.0.2"]), None);
    assert_eq!(client(&[b"unknown, 203.0.113.9"]), address("203.0.113.9"));
    // Nothing is unreadable where nobody says anything, or the proxies alone are named.
    assert_eq!(client(&[]), address(PEER));
    assert_eq!(client(&[b"10.0.0.3, 10.0.0.2"]), address(PEER));
    // Who is not believed cannot be unreadable.
    let stranger = request(Some("192.0.2.7"), "x-forwarded-for", &[b"unknown"]);
    assert_eq!(strict.extract(&stranger), address("192.0.2.7"));
}

#[test]
fn networks_of_mapped_addresses_are_what_they_map() {
    let trusts = |network: &str, peer: &str| {
        let client_ip = ClientIp::trusted_proxies([network.parse().unwrap()]).hops(1);
        let request = request(Some(peer), "x-forwarded-for", &[b"203.0.113.9"]);
        let trusted = client_ip.trusts_peer(peer.parse().unwrap());
        let extracted = client_ip.extract(&request);
        assert_eq!(
            trusted,
            extracted == address("203.0.113.9"),
            "{network} {peer}"
        );
        trusted
    };
    for peer in ["10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203"] {
        for network in [
            "10.0.0.0/8",
            "::ffff:10.0.0.0/104",
            "::ffff:a09:9/104",
            "::ffff:0:0/96",
        ] {
            assert!(trusts(network, peer), "{network} {peer}");
        }
        for network in [
            "::/0",
            "::ffff:11.0.0.0/104",
            "::a01:203/128",
            "64:ff9b::/96",
        ] {
            assert!(!trusts(network, peer), "{network} {peer}");
        }
    }
    assert!(trusts("::/0", "2001:db8::1"));
    assert!(!trusts("0.0.0.0/0", "2001:db8::1"));
}

#[test]
fn labels_are_addresses_or_networks() {
    let label = |client_ip: &ClientIp, peer| {
        label(client_ip, &request(Some(peer), "x-forwarded-for", &[])).unwrap()
    };
    let peer = ClientIp::peer();
    assert_eq!(label(&peer, "203.0.113.9"), "203.0.113.9");
    assert_eq!(label(&peer, "::ffff:203.0.113.9"), "203.0.113.9");
    assert_eq!(label(&peer, "2001:db8::9"), "2001:db8::/64");
    let other = peer.ipv4_prefix(24).ipv6_prefix(128);
    assert_eq!(label(&other, "203.0.113.9"), "203.0.113.0/24");
    assert_eq!(label(&other, "2001:db8::9"), "2001:db8::9");
}

#[test]
fn settings_outside_their_range_panic() {
    let refused = |set: fn()| {
        let panic = std::panic::catch_unwind(set).unwrap_err();
        match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
        }
    };
    for (set, why) in [
        (
            || drop(ClientIp::peer().ipv6_prefix(0)),
            "allowed are 1 to 128",
        ),
        (
            || drop(ClientIp::peer().ipv6_prefix(129)),
            "allowed are 1 to 128",
        ),
        (
            || drop(ClientIp::peer().ipv4_prefix(0)),
            "allowed are 1 to 32",
        ),
        (
            || drop(ClientIp::peer().ipv4_prefix(33)),
            "allowed are 1 to 32",
        ),
        (|| drop(ClientIp::trusted_hops(0)), "allowed are 1 to 255"),
        (|| drop(behind_proxies().hops(0)), "allowed are 1 to 255"),
        (|| drop(ClientIp::peer().hops(1)), "without trusted proxies"),
        (
            || drop(ClientIp::trusted_proxies([]).hops(1)),
            "without trusted proxies",
        ),
    ] as [(fn(), &str); 8]
    {
        let text = refused(set);
        assert!(text.contains(why), "{text}");
    }
    let _ = ClientIp::trusted_hops(255).ipv4_prefix(1).ipv6_prefix(1);
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        any::<[u8; 4]>().prop_map(|v4| std::net::Ipv4Addr::from(v4).to_ipv6_mapped().into()),
    ]
}

proptest! {
    /// However an address is written it is read as what it is.
    #[test]
    fn printing_and_reading_agree(address in any_address(), port in any::<u16>()) {
        let socket = SocketAddr::new(address, port);
        let spellings = match address {
            IpAddr::V4(v4) => vec![
                format!("{v4}"), format!("{socket}"),
                format!("::ffff:{v4}"), format!("[::ffff:{v4}]:{port}"),
                v4.to_ipv6_mapped().segments().map(|segment| format!("{segment:x}")).join(":"),
            ],
            IpAddr::V6(v6) => vec![
                format!("{v6}"), format!("[{v6}]"), format!("{socket}"),
                v6.segments().map(|segment| format!("{segment:04X}")).join(":"),
            ],
        };
        for spelling in spellings {
            let client_ip = ClientIp::trusted_hops(1);
            let line = format!("198.51.100.1, {spelling}");
            let read = client_ip.extract(&request(None, "x-forwarded-for", &[line.as_bytes()]));
            prop_assert_eq!(read, Some(address.to_canonical()), "{}", line);
            // Forwarded wants brackets.
            if spelling.starts_with('[') || spelling.contains('.') && !spelling.starts_with(':') {
                let line = format!("for=unknown, proto=https;for=\"{spelling}\"");
                let client_ip = client_ip.header(ProxyHeader::Forwarded);
                let read = client_ip.extract(&request(None, "forwarded", &[line.as_bytes()]));
                prop_assert_eq!(read, Some(address.to_canonical()), "{}", line);
            }
        }
    }

    /// Two clients are one if, and only if, they are called the same, and the name can be read.
    #[test]
    fn labels_agree_with_keys(
        one in any_address(), flip in 0_u32..128, ipv4 in 1_u8..=32, ipv6 in 1_u8..=128,
    ) {
        let other = match one.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() ^ 1 << (flip % 32)).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() ^ 1 << flip).into()),
        };
        let client_ip = ClientIp::peer().ipv4_prefix(ipv4).ipv6_prefix(ipv6);
        let of = |address: IpAddr| {
            let request = request(Some(&address.to_string()), "x", &[]);
            (hashed(&client_ip, &request), label(&client_ip, &request).unwrap())
        };
        let ((hash, label), (other_hash, other_label)) = (of(one), of(other));
        prop_assert_eq!(hash == other_hash, label == other_label);
        let network: ipnet::IpNet = match label.parse() {
            Ok(network) => network,
            Err(_) => label.parse::<IpAddr>().unwrap().into(),
        };
        prop_assert!(network.contains(&one.to_canonical()), "{} {}", label, one);
    }
}
