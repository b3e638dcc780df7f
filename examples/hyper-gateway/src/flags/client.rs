//! The flags that say whom a request counts for.

use clap::{ArgGroup, Args, value_parser};
use http::HeaderName;
use ipnet::IpNet;
use ratelimit_layer::{ClientHeader, ClientIp, ClientKey, Or, ProxyHeader};

use super::values::{client_header, header_name, network};

/// Whom a request counts for.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("trusted").args(["trusted_proxy", "trusted_hops"]).multiple(true)))]
pub struct ClientFlags {
    /// Network whose --client-header is believed, such as 10.0.0.0/8; repeatable.
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,

    /// How many proxies every request comes through, 1 to 255: the client is the entry at that place
    /// from the right of --client-header. Every peer is believed unless --trusted-proxy says whom.
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..))]
    pub trusted_hops: Option<u8>,

    /// Header in which trusted proxies name the client: x-forwarded-for, forwarded or any other;
    /// needs --trusted-proxy or --trusted-hops.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "x-forwarded-for",
        value_parser = client_header,
        requires = "trusted"
    )]
    pub client_header: ProxyHeader,

    /// Leading bits of an IPv6 address that make a client, 1 to 128.
    #[arg(long, value_name = "N", default_value = "64", value_parser = value_parser!(u8).range(1..=128))]
    pub ipv6_prefix: u8,

    /// Header with the client's API key: it counts in place of the address where it is present.
    /// Nobody checks it here, and who makes up keys is a new client with each.
    #[arg(long, value_name = "NAME", value_parser = header_name)]
    pub key_header: Option<HeaderName>,
}

impl ClientFlags {
    /// The client's address.
    pub(crate) fn address(&self) -> ClientIp {
        let networks = self.trusted_proxy.iter().copied();
        let client = match self.trusted_hops {
            Some(hops) if self.trusted_proxy.is_empty() => ClientIp::trusted_hops(hops),
            Some(hops) => ClientIp::trusted_proxies(networks).hops(hops),
            None => ClientIp::trusted_proxies(networks),
        };
        client
            .header(self.client_header.clone())
            .ipv6_prefix(self.ipv6_prefix)
    }

    /// The client's API key, or its address.
    pub(crate) fn key(&self) -> Or<Option<ClientHeader>, ClientIp> {
        let api_key = self.key_header.clone().map(ClientHeader::new);
        ClientKey::or(api_key, self.address())
    }
}
