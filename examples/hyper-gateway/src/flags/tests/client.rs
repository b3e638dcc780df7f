use ratelimit_layer::ProxyHeader;

use super::{read, refused};

#[test]
fn nobody_is_trusted_unless_said() {
    let client = read("--upstream http://h").unwrap().client;
    assert!(client.trusted_proxy.is_empty() && client.trusted_hops.is_none());
    assert_eq!(client.client_header, ProxyHeader::XForwardedFor);
    assert_eq!(client.ipv6_prefix, 64);
    assert!(client.key_header.is_none());
    assert!(!client.address().trusts_peer("127.0.0.1".parse().unwrap()));
}

#[test]
fn who_is_trusted_and_what_makes_a_client_is_read() {
    let line = "--upstream http://h --trusted-hops 255 --client-header Forwarded --ipv6-prefix 128 \
                --key-header X-Api-Key";
    let client = read(line).unwrap().client;
    assert_eq!((client.trusted_hops, client.ipv6_prefix), (Some(255), 128));
    assert_eq!(client.client_header, ProxyHeader::Forwarded);
    assert_eq!(client.key_header.as_ref().unwrap(), "x-api-key");
    let (one, other) = ("10.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
    assert!(client.address().trusts_peer(one) && client.address().trusts_peer(other));

    let both = read("--upstream http://h --trusted-hops 1 --trusted-proxy 10.0.0.0/8").unwrap();
    let address = both.client.address();
    assert!(address.trusts_peer(one) && !address.trusts_peer(other));
}

#[test]
fn what_cannot_be_used_is_refused() {
    for (flags, why) in [
        ("--trusted-hops 0", "0 is not in 1..=255"),
        ("--trusted-hops 256", "256 is not in 1..=255"),
        ("--trusted-hops two", "--trusted-hops"),
        ("--ipv6-prefix 0", "0 is not in 1..=128"),
        ("--ipv6-prefix 129", "129 is not in 1..=128"),
        ("--key-header a=b", "the name of a header field"),
        (
            "--client-header forwarded",
            "<--trusted-proxy <CIDR>|--trusted-hops <N>>",
        ),
        ("--trusted-proxy ::1 --client-header a=b", "--client-header"),
    ] {
        let text = refused(&format!("--upstream http://h {flags}"));
        assert!(text.contains(why), "{flags}: {text}");
    }
}

#[test]
fn one_may_listen_on_several_addresses() {
    let line = "--upstream http://h --listen 0.0.0.0:8080 --listen [::]:8080";
    let all = [
        "0.0.0.0:8080".parse().unwrap(),
        "[::]:8080".parse().unwrap(),
    ];
    assert_eq!(read(line).unwrap().listen, all);
    assert!(refused("--upstream http://h --listen ::1").contains("must be IP:PORT"));
}
