//! The client's address: the peer, or what a trusted proxy says about it.

use super::ClientKey;
use super::forwarded::{forwarded, x_forwarded_for};
use super::network::{AddressKey, Prefixes, unmapped};
use super::peer::peer;
use crate::head::Head;
use http::HeaderValue;
use http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;
use std::net::IpAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's IP address as the key; IPv6 clients count by their /64.
///
/// By default that is the peer of the connection, and no header counts. Behind reverse proxies say
/// which entry of the one [`header`](Self::header) they write is the client's, counted from the
/// right over all lines of the header:
///
/// | | whose header counts | the client |
/// | --- | --- | --- |
/// | [`trusted_proxies`](Self::trusted_proxies) | of peers in these networks | the first entry that is in none of them |
/// | [`trusted_hops`](Self::trusted_hops) | of all peers | the n-th entry |
/// | `trusted_proxies` with [`hops`](Self::hops) | of peers in these networks | the n-th entry |
///
/// What stands further left was written by the client and does not count, whatever it is. Reading
/// stops at the first entry that is no address (`unknown`, an obfuscated name, rubbish), and
/// [`when_unreadable`](Self::when_unreadable) decides. Where all entries are proxies of the list, or
/// there is none, the peer is the client.
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
/// let request = Request::builder()
///     .extension(SocketAddr::from(([10, 0, 0, 1], 80)))
///     .header("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.2")
///     .body(())
///     .unwrap();
///
/// let behind_proxies = ClientIp::trusted_proxies(["10.0.0.0/8".parse().unwrap()])
///     .header(ProxyHeader::XForwardedFor);
/// assert_eq!(behind_proxies.extract(&request), "198.51.100.7".parse().ok());
///
/// let behind_two = ClientIp::trusted_hops(2);
/// assert_eq!(behind_two.extract(&request), "198.51.100.7".parse().ok());
/// ```
#[derive(Debug, Clone)]
pub struct ClientIp {
    believed: Believed,
    hops: Option<u8>,
    header: ProxyHeader,
    unreadable: Unreadable,
    prefixes: Prefixes,
}

/// The peers whose header counts.
#[derive(Debug, Clone)]
enum Believed {
    In(Vec<IpNet>),
    All,
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

/// What becomes of a request in whose header the client's entry cannot be read or is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Unreadable {
    /// The peer is the client, so such requests count for the proxy. The default.
    #[default]
    Peer,
    /// It has no key; then [`when_unkeyed`](crate::RateLimitLayer::when_unkeyed) decides.
    NoKey,
}

/// What a header comes to, read from the right.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Client(IpAddr),
    /// All entries are proxies of the list.
    Nobody,
    Unreadable,
}

impl ClientIp {
    fn new(believed: Believed, hops: Option<u8>) -> Self {
        Self {
            believed,
            hops,
            header: ProxyHeader::XForwardedFor,
            unreadable: Unreadable::default(),
            prefixes: Prefixes { ipv4: 32, ipv6: 64 },
        }
    }

    /// The peer of the connection; headers do not count.
    #[must_use]
    pub fn peer() -> Self {
        Self::new(Believed::In(Vec::new()), None)
    }

    /// What proxies with these addresses say counts, in `X-Forwarded-For` unless
    /// [`header`](Self::header) names another.
    ///
    /// IPv4 is trusted by IPv4 networks, however its addresses are written, and by networks of
    /// mapped addresses: `::ffff:10.0.0.0/104` is `10.0.0.0/8`, while `::/0` is IPv6 only. At most
    /// 255 entries are read.
    #[must_use]
    pub fn trusted_proxies(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let networks = networks.into_iter().map(unmapped).collect();
        Self::new(Believed::In(networks), None)
    }

    /// `hops` proxies stand before this server, 1 to 255, on every way to it: the entry at that
    /// place from the right is the client. The last of them is the peer, whoever it is.
    ///
    /// Where a request can come by fewer proxies, its client writes that entry itself. Then add
    /// the networks of the last proxy, see [`hops`](Self::hops), or use
    /// [`trusted_proxies`](Self::trusted_proxies). A header with fewer entries is
    /// [unreadable](Self::when_unreadable).
    ///
    /// # Panics
    ///
    /// When `hops` is 0.
    #[must_use]
    #[track_caller]
    pub fn trusted_hops(hops: u8) -> Self {
        Self::new(Believed::All, None).hops(hops)
    }

    /// The entry at this place from the right is the client, 1 to 255, where the peer is trusted:
    /// it is the last of so many proxies. The default is to skip the entries that are
    /// [`trusted_proxies`](Self::trusted_proxies) themselves.
    ///
    /// It is for proxies before the last whose addresses nobody knows, a delivery network's.
    ///
    /// # Panics
    ///
    /// When `hops` is 0, or no peer is trusted.
    #[must_use]
    #[track_caller]
    pub fn hops(self, hops: u8) -> Self {
        assert!(hops > 0, "0 hops cannot be used: allowed are 1 to 255");
        if let Believed::In(networks) = &self.believed {
            assert!(
                !networks.is_empty(),
                "hops cannot be used without trusted proxies: name their networks, or use \
                 `trusted_hops`"
            );
        }
        Self {
            hops: Some(hops),
            ..self
        }
    }

    /// The header that trusted proxies write; no other counts. The default is `X-Forwarded-For`.
    #[must_use]
    pub fn header(self, header: ProxyHeader) -> Self {
        Self { header, ..self }
    }

    /// What becomes of a request from a trusted peer whose header has no address where the client's
    /// should be, or ends before it. The default is [`Unreadable::Peer`].
    #[must_use]
    pub fn when_unreadable(self, unreadable: Unreadable) -> Self {
        Self { unreadable, ..self }
    }

    /// How many leading bits of an IPv6 address make a client, 1 to 128; the default is 64, the
    /// least a network is given. It groups keys only: trust is decided on the whole address.
    ///
    /// # Panics
    ///
    /// When `bits` is outside that range.
    #[must_use]
    #[track_caller]
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        assert!(
            (1..=128).contains(&bits),
            "an IPv6 prefix of {bits} bits cannot be used: allowed are 1 to 128"
        );
        self.prefixes.ipv6 = bits;
        self
    }

    /// How many leading bits of an IPv4 address make a client, 1 to 32; the default is 32. It
    /// groups keys only: trust is decided on the whole address.
    ///
    /// # Panics
    ///
    /// When `bits` is outside that range.
    #[must_use]
    #[track_caller]
    pub fn ipv4_prefix(mut self, bits: u8) -> Self {
        assert!(
            (1..=32).contains(&bits),
            "an IPv4 prefix of {bits} bits cannot be used: allowed are 1 to 32"
        );
        self.prefixes.ipv4 = bits;
        self
    }

    /// The client's whole address, not grouped; `None` if the peer's address is not known and no
    /// header counts, or where [`Unreadable::NoKey`] says so.
    #[must_use]
    pub fn extract<'a>(&self, head: impl Into<Head<'a>>) -> Option<IpAddr> {
        self.client(&head.into())
    }

    #[inline]
    fn client(&self, head: &Head<'_>) -> Option<IpAddr> {
        let peer = peer(head);
        let believed = match peer {
            Some(peer) => self.trusts_peer(peer),
            None => matches!(self.believed, Believed::All),
        };
        if !believed {
            return peer;
        }
        match (self.said(head.headers), self.unreadable) {
            (Said::Client(address), _) => Some(address),
            (Said::Nobody, _) | (Said::Unreadable, Unreadable::Peer) => peer,
            (Said::Unreadable, Unreadable::NoKey) => None,
        }
    }

    /// Whether what this peer says of others counts, so that the same answer can decide elsewhere:
    /// which of its fields are passed on, say.
    #[must_use]
    #[inline]
    pub fn trusts_peer(&self, peer: IpAddr) -> bool {
        match self.believed {
            Believed::In(_) => self.lists(peer.to_canonical()),
            Believed::All => true,
        }
    }

    fn lists(&self, address: IpAddr) -> bool {
        match &self.believed {
            Believed::In(networks) => networks.iter().any(|network| network.contains(&address)),
            Believed::All => false,
        }
    }

    #[inline(never)]
    fn said(&self, headers: &HeaderMap) -> Said {
        let name = match &self.header {
            ProxyHeader::XForwardedFor => &X_FORWARDED_FOR,
            ProxyHeader::Forwarded => &FORWARDED,
            ProxyHeader::Other(name) => name,
        };
        let lines = headers.get_all(name).iter().rev();
        let lines = lines.map(HeaderValue::as_bytes);
        match self.header {
            ProxyHeader::Forwarded => self.walk(lines.flat_map(forwarded)),
            _ => self.walk(lines.flat_map(x_forwarded_for)),
        }
    }

    /// Walks entries from the right to the client's. Nobody stands behind 255 proxies, so no list
    /// is read further.
    pub(super) fn walk(&self, entries: impl Iterator<Item = Option<IpAddr>>) -> Said {
        for (hop, entry) in (1..=u8::MAX).zip(entries) {
            let Some(address) = entry else {
                return Said::Unreadable;
            };
            let is_client = match self.hops {
                Some(hops) => hop == hops,
                None => !self.lists(address),
            };
            if is_client {
                return Said::Client(address);
            }
        }
        match self.hops {
            Some(_) => Said::Unreadable,
            None => Said::Nobody,
        }
    }
}

/// The peer of the connection.
impl Default for ClientIp {
    fn default() -> Self {
        Self::peer()
    }
}

impl ClientKey for ClientIp {
    type Key<'a> = AddressKey;

    #[inline]
    fn key<'a>(&'a self, head: &Head<'a>) -> Option<AddressKey> {
        self.client(head)
            .map(|address| self.prefixes.group(address))
    }

    /// The address, or the network it is grouped into: `203.0.113.9`, `2001:db8::/64`.
    fn label(&self, head: &Head<'_>) -> Option<String> {
        self.key(head).map(|key| key.to_string())
    }
}
