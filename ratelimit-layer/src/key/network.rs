//! Addresses by network: so many leading bits make a client.

use super::Kind;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// How many leading bits of an address make a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefixes {
    /// 1 to 32.
    pub(crate) ipv4: u8,
    /// 1 to 128.
    pub(crate) ipv6: u8,
}

impl Prefixes {
    pub(crate) fn group(self, address: IpAddr) -> AddressKey {
        let network = match address {
            IpAddr::V4(v4) => Ipv4Net::new(v4, self.ipv4).map(IpNet::V4),
            IpAddr::V6(v6) => Ipv6Net::new(v6, self.ipv6).map(IpNet::V6),
        };
        AddressKey(network.expect("the setters check the range").trunc())
    }
}

/// An address, grouped: what [`ClientIp`](crate::ClientIp) hashes. It prints as the address where all
/// bits count, and as the network otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressKey(IpNet);

impl Hash for AddressKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The number of bits is one for all keys of a kind.
        match self.0 {
            IpNet::V4(v4) => {
                state.write_u8(Kind::V4 as u8);
                state.write_u32(v4.addr().to_bits());
            }
            IpNet::V6(v6) => {
                state.write_u8(Kind::V6 as u8);
                state.write_u128(v6.addr().to_bits());
            }
        }
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

/// Addresses are unmapped before they are compared, so a network of mapped ones is the one it maps.
pub(crate) fn unmapped(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6
            .addr()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(96)),
        _ => None,
    };
    mapped
        .and_then(|(address, bits)| Ipv4Net::new(address, bits).ok())
        .map_or(network, IpNet::V4)
}
