//! The client's address: the peer, or what a trusted proxy says about it.

use super::forwarded::{Entry, ReadLine, forwarded_for, x_forwarded_for};
use super::peer::peer;
use super::{ClientKey, Kind};
use crate::head::Head;
use http::header::{FORWARDED, HeaderName};
use ipnet::{IpNet, Ipv4Net};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's IP address as the key; IPv6 clients count by their /64.
///
/// By default that is the peer of the connection, and no header counts. Behind reverse proxies,
/// name their addresses with [`trusted_proxies`](Self::trusted_proxies) and the header they write
/// with [`header`](Self::header). Then, if the peer is trusted, the header's entries are read from
/// the right, over all its lines; trusted addresses are skipped and the first other is the client.
/// What stands further left was written by the client and does not count. If an entry cannot be
/// read (`unknown`, an obfuscated name, rubbish), or all are trusted, the peer is the client.
///
/// The peer's address is looked up in the request's extensions: `axum::extract::ConnectInfo<SocketAddr>`
/// (feature `axum`), tonic's `TcpConnectInfo` (feature `tonic`; behind tonic's TLS `tonic-tls`), or
/// a bare [`SocketAddr`](std::net::SocketAddr). IPv4 addresses mapped into IPv6 count as IPv4.
///
/// # Examples
///
/// ```
/// use http::Request;
/// use ratelimit_layer::{ClientIp, ProxyHeader};
/// use std::net::SocketAddr;
///
/// let behind_proxies = ClientIp::trusted_proxies(["10.0.0.0/8".parse().unwrap()])
///     .header(ProxyHeader::XForwardedFor);
///
/// let request = Request::builder()
///     .extension(SocketAddr::from(([10, 0, 0, 1], 80)))
///     .header("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.2")
///     .body(())
///     .unwrap();
/// assert_eq!(behind_proxies.extract(&request), "198.51.100.7".parse().ok());
/// ```
#[derive(Debug, Clone)]
pub struct ClientIp {
    trusted: Vec<IpNet>,
    header: ProxyHeader,
    ipv6_prefix: u8,
}

/// The one header in which trusted proxies write the client's address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For`: addresses by comma, each proxy appends. The default.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), of which only `for` counts.
    Forwarded,
    /// Another header, read as `X-Forwarded-For` is: one address (`X-Real-IP`) or several.
    Other(HeaderName),
}

impl ClientIp {
    /// The peer of the connection; headers do not count.
    #[must_use]
    pub fn peer() -> Self {
        Self {
            trusted: Vec::new(),
            header: ProxyHeader::XForwardedFor,
            ipv6_prefix: 64,
        }
    }

    /// What proxies with these addresses say counts, in `X-Forwarded-For` unless
    /// [`header`](Self::header) names another.
    #[must_use]
    pub fn trusted_proxies(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            trusted: networks.into_iter().map(unmapped).collect(),
            ..Self::peer()
        }
    }

    /// The header that trusted proxies write; no other counts. The default is `X-Forwarded-For`.
    #[must_use]
    pub fn header(self, header: ProxyHeader) -> Self {
        Self { header, ..self }
    }

    /// How many leading bits of an IPv6 address make a client, 1 to 128; the default is 64, the
    /// least a network is given. It groups keys only: trust is decided on the whole address.
    ///
    /// # Panics
    ///
    /// When `bits` is outside that range.
    #[must_use]
    #[track_caller]
    pub fn ipv6_prefix(self, bits: u8) -> Self {
        assert!(
            (1..=128).contains(&bits),
            "an IPv6 prefix of {bits} bits cannot be used: allowed are 1 to 128"
        );
        Self {
            ipv6_prefix: bits,
            ..self
        }
    }

    /// The client's whole address, not grouped, or `None` if the peer is not known.
    #[must_use]
    pub fn extract<'a>(&self, head: impl Into<Head<'a>>) -> Option<IpAddr> {
        let head = &head.into();
        let peer = peer(head)?;
        if !self.trusts(peer) {
            return Some(peer);
        }
        Some(self.forwarded_client(head).unwrap_or(peer))
    }

    /// The rightmost address that is not trusted, if nothing right of it is unreadable.
    fn forwarded_client(&self, head: &Head<'_>) -> Option<IpAddr> {
        let (name, read) = match &self.header {
            ProxyHeader::XForwardedFor => (&X_FORWARDED_FOR, x_forwarded_for as ReadLine),
            ProxyHeader::Forwarded => (&FORWARDED, forwarded_for as ReadLine),
            ProxyHeader::Other(name) => (name, x_forwarded_for as ReadLine),
        };
        for line in head.headers.get_all(name).iter().rev() {
            match read(line.as_bytes(), &|address| self.trusts(address)) {
                Entry::Trusted => {}
                Entry::Client(address) => return Some(address),
                Entry::Unreadable => return None,
            }
        }
        None
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// The peer of the connection.
impl Default for ClientIp {
    fn default() -> Self {
        Self::peer()
    }
}

/// Addresses are unmapped before they are compared, so networks must be too.
fn unmapped(network: IpNet) -> IpNet {
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

impl ClientKey for ClientIp {
    type Key<'a> = AddressKey;

    fn key<'a>(&'a self, head: &Head<'a>) -> Option<AddressKey> {
        self.extract(*head)
            .map(|address| AddressKey::new(address, self.ipv6_prefix))
    }
}

/// An address, grouped: what [`ClientIp`] hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressKey {
    kind: Kind,
    bits: u128,
}

impl AddressKey {
    fn new(address: IpAddr, ipv6_prefix: u8) -> Self {
        match address {
            IpAddr::V4(v4) => Self {
                kind: Kind::V4,
                bits: u128::from(v4.to_bits()),
            },
            IpAddr::V6(v6) => {
                let host = u32::from(128 - ipv6_prefix);
                // A prefix has at least one bit, so the shift stays below 128.
                Self {
                    kind: Kind::V6,
                    bits: v6.to_bits() >> host,
                }
            }
        }
    }
}

impl Hash for AddressKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.kind as u8);
        state.write_u128(self.bits);
    }
}
