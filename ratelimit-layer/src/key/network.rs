//! Addresses by network: so many leading bits make a client.

use super::Kind;
use ipnet::{IpNet, Ipv4Net};
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
    #[inline]
    pub(crate) fn group(self, address: IpAddr) -> AddressKey {
        match address {
            IpAddr::V4(v4) => AddressKey::V4 {
                bits: v4.to_bits() & u32::MAX << (32 - self.ipv4),
                prefix: self.ipv4,
            },
            IpAddr::V6(v6) => AddressKey::V6 {
                bits: v6.to_bits() & u128::MAX << (128 - self.ipv6),
                prefix: self.ipv6,
            },
        }
    }
}

/// An address, grouped: what [`ClientIp`](crate::ClientIp) hashes. It prints as the address where all
/// bits count, and as the network otherwise.
// Numbers, not octets: these are written and read back in one piece each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKey {
    /// Of IPv4.
    V4 {
        /// Those that count; the others are 0.
        bits: u32,
        /// How many count.
        prefix: u8,
    },
    /// Of IPv6.
    V6 {
        /// Those that count; the others are 0.
        bits: u128,
        /// How many count.
        prefix: u8,
    },
}

impl Hash for AddressKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The number of bits is one for all keys of a kind.
        match *self {
            Self::V4 { bits, .. } => {
                state.write_u8(Kind::V4 as u8);
                state.write_u32(bits);
            }
            Self::V6 { bits, .. } => {
                state.write_u8(Kind::V6 as u8);
                state.write_u128(bits);
            }
        }
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, prefix) = match *self {
            Self::V4 { bits, prefix } => (IpAddr::V4(bits.into()), prefix),
            Self::V6 { bits, prefix } => (IpAddr::V6(bits.into()), prefix),
        };
        match IpNet::new(address, prefix) {
            Ok(network) if prefix < network.max_prefix_len() => network.fmt(f),
            _ => address.fmt(f),
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
