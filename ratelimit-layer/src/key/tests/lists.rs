//! Lists of addresses, whoever wrote them.

use super::*;
use crate::key::address::Said;
use crate::key::forwarded::x_forwarded_for;

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
        (&["for=\"203.0.113.9:_a.b-c_1\""], "203.0.113.9"),
        (&["for=\"203.0.113.9:_a:b\""], PEER),
        // A client's open quote ends before what its proxy wrote.
        (&["for=\"198.51.100.1, for=203.0.113.9"], "203.0.113.9"),
        (&["\", for=203.0.113.9;host=\"a\""], "203.0.113.9"),
        (&["host=\"\\, for=\"203.0.113.9\""], "203.0.113.9"),
        // A proxy's own open or escaped quote is rubbish.
        (&["for=203.0.113.9;host=\"a"], PEER),
        (&["for=203.0.113.9;host=a\""], PEER),
        (&["for=203.0.113.9;host=\"a\\\""], PEER),
        (&["for=203.0.113.9;host=\"a\"b"], PEER),
        (&["for=203.0.113.9;host=a\"b\""], PEER),
        (&["for=203.0.113.9;=\"b\""], PEER),
        (&["for=203.0.113.9;=b"], PEER),
        (&["for =203.0.113.9"], PEER),
        (&[";for=203.0.113.9;;proto=https;"], "203.0.113.9"),
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

/// Only as much of a list is read as counts, however long it is.
#[test]
fn reading_stops_at_the_client() {
    let read = |client_ip: &ClientIp, list: &str| {
        let mut read = 0;
        let said = client_ip.walk(x_forwarded_for(list.as_bytes()).inspect(|_| read += 1));
        (said, read)
    };
    let client = "203.0.113.9".parse().unwrap();
    let forged = "198.51.100.1,".repeat(10_000);
    let list = format!("{forged} 203.0.113.9, 10.0.0.2");
    for client_ip in ways() {
        assert_eq!(read(&client_ip, &list), (Said::Client(client), 2));
    }
    let unreadable = format!("{forged} unknown, 10.0.0.2");
    for client_ip in ways() {
        assert_eq!(read(&client_ip, &unreadable), (Said::Unreadable, 2));
    }
    // Nobody stands behind so many proxies.
    let proxies = "10.0.0.2,".repeat(10_000);
    assert_eq!(read(&behind_proxies(), &proxies), (Said::Nobody, 255));
    let last = ClientIp::trusted_hops(255);
    assert_eq!(
        read(&last, &list),
        (Said::Client("198.51.100.1".parse().unwrap()), 255)
    );
}

#[test]
fn absurd_lengths_are_unreadable() {
    let quotes = format!("for={}", "\\\"".repeat(20_000));
    for line in [
        "1".repeat(100_000),
        "[".repeat(100_000),
        format!("{}::1", "0:".repeat(50_000)),
        format!("203.0.113.9:{}", "0".repeat(100_000)),
        format!("for=\"{}\"", "1".repeat(100_000)),
        format!("for=203.0.113.9;x=\"{}\"\"", "\\".repeat(100_000)),
        quotes,
    ] {
        for (header, name) in [
            (ProxyHeader::XForwardedFor, "x-forwarded-for"),
            (ProxyHeader::Forwarded, "forwarded"),
        ] {
            let lines: [&[u8]; 2] = [b"for=203.0.113.9", line.as_bytes()];
            for client_ip in ways() {
                let client_ip = client_ip.header(header.clone());
                let extracted = client_ip.extract(&request(Some(PEER), name, &lines));
                assert_eq!(extracted, address(PEER), "{}", &line[..20]);
            }
        }
    }
    // Blanks and empty entries mean nothing, however many.
    let blank = format!("203.0.113.9{}", ", ".repeat(50_000));
    let request = request(Some(PEER), "x-forwarded-for", &[blank.as_bytes()]);
    assert_eq!(behind_proxies().extract(&request), address("203.0.113.9"));
}

/// All ways to say whom to believe; with the header that `PEER` writes, the client is what stands
/// before one more proxy.
fn ways() -> [ClientIp; 3] {
    [
        behind_proxies(),
        ClientIp::trusted_hops(2),
        behind_proxies().hops(2),
    ]
}

proptest! {
    /// Garbage is answered, and never with an address that is not written in the header or the peer.
    #[test]
    fn garbage_is_answered(lines in prop::collection::vec(line(), 0..4)) {
        let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
        for (name, header) in [("forwarded", ProxyHeader::Forwarded), ("x-forwarded-for", ProxyHeader::XForwardedFor)] {
            let request = request(Some(PEER), name, &lines);
            for client_ip in ways() {
                prop_assert!(client_ip.header(header.clone()).extract(&request).is_some());
            }
            let client = behind_proxies().header(header).extract(&request).unwrap();
            let trusted = behind_proxies().extract(&super::request(Some(&client.to_string()), "x-forwarded-for", &[b"192.0.2.1"]));
            prop_assert!(client == address(PEER).unwrap() || trusted == Some(client), "{client} is trusted");
        }
    }

    /// What a client writes itself stands left of what its proxy saw, and changes nothing: not with
    /// quotes, not with lines of its own, and whether its proxy names it or not.
    #[test]
    fn what_stands_left_does_not_count(
        mut forged in prop::collection::vec(line(), 1..4),
        own_line in any::<bool>(),
        (entry, client) in prop::sample::select(vec![
            ("203.0.113.9", Some("203.0.113.9")),
            ("[2001:db8::9]:80", Some("2001:db8::9")),
            ("unknown", None),
            ("_hidden", None),
        ]),
    ) {
        let list = format!("{entry}, 10.0.0.2");
        let elements = format!("proto=https;for=\"{entry}\";host=\"a\\\",;b\", for=10.0.0.2;by=_x");
        for (header, name, honest) in [
            (ProxyHeader::XForwardedFor, "x-forwarded-for", &list),
            (ProxyHeader::Forwarded, "forwarded", &elements),
        ] {
            let last = forged.len() - 1;
            let kept = forged[last].clone();
            if own_line {
                forged.push(honest.as_bytes().to_vec());
            } else {
                forged[last] = [&kept[..], b", ", honest.as_bytes()].concat();
            }
            let lines: Vec<_> = forged.iter().map(Vec::as_slice).collect();
            for client_ip in ways() {
                let client_ip = client_ip.header(header.clone()).when_unreadable(Unreadable::NoKey);
                let extracted = client_ip.extract(&request(Some(PEER), name, &lines));
                prop_assert_eq!(extracted, client.and_then(address), "{:?}", client_ip);
            }
            forged.truncate(last + 1);
            forged[last] = kept;
        }
    }
}
