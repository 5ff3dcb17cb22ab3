//! Which proxies are trusted to say for whom they forward a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;

use ipnet::IpNet;
use rate_limit_core::Network;

use super::error::ClientAddressError;
use super::hops::MAX_HOPS;

/// The proxies whose word is taken for the client's address.
///
/// Trust proxies and nobody else: whoever can send requests from a trusted address chooses its own
/// bucket for every one of them. A network in which clients live too is too wide.
///
/// # Example: two load balancers
///
/// ```
/// use rate_limit_tower::TrustedProxies;
///
/// let proxies = TrustedProxies::parse(["192.0.2.10", "2001:db8:0:1::/64"])?;
///
/// let mistake = TrustedProxies::parse(["10.0.0.0/33"]).unwrap_err();
/// assert_eq!(
///     mistake.to_string(),
///     "`10.0.0.0/33` is not a network; expected an address such as `192.0.2.1`, or an address \
///      and a prefix length such as `192.0.2.0/24` or `2001:db8::/32`",
/// );
/// # Ok::<(), rate_limit_tower::ClientAddressError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustedProxies(Trust);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Trust {
    /// Every hop is trusted that lies in one of these.
    Networks(Box<[Network]>),
    /// So many hops are trusted, the peer being the first of them.
    Hops { count: NonZeroU8, peers: Peers },
}

/// Who counts as the first of the trusted hops.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Peers {
    Any,
    Within(Box<[Network]>),
}

impl TrustedProxies {
    /// Trusts the hops whose addresses lie in one of `networks`: the peer, and then, from right to
    /// left, the hops in the header. The first other one is the client.
    ///
    /// # Errors
    ///
    /// If there are no networks, or one of them contains every address.
    pub fn networks(
        networks: impl IntoIterator<Item = Network>,
    ) -> Result<Self, ClientAddressError> {
        Ok(Self(Trust::Networks(checked(networks)?)))
    }

    /// Trusts the last `count` hops, of which the peer is the first and has to lie in one of
    /// `peers`. The client is the hop before them; where the header has fewer, its first one.
    ///
    /// Suits proxies whose own addresses change, if every request passes the same number of them.
    /// Clients that can skip one, or a `count` that is too high, choose their own addresses.
    ///
    /// # Errors
    ///
    /// If `count` is above 16, there are no networks, or one of them contains every address.
    pub fn hops(
        count: NonZeroU8,
        peers: impl IntoIterator<Item = Network>,
    ) -> Result<Self, ClientAddressError> {
        let (count, peers) = (checked_count(count)?, Peers::Within(checked(peers)?));
        Ok(Self(Trust::Hops { count, peers }))
    }

    /// Trusts whoever is connected, as the only proxy.
    ///
    /// This is right only where nobody but the proxy can connect, such as on a Unix socket, where a
    /// peer has no address at all. Anywhere else, every client chooses its own bucket; the code
    /// `RL003` says so once.
    pub const fn any_peer() -> Self {
        Self(Trust::Hops { count: NonZeroU8::MIN, peers: Peers::Any })
    }

    /// Trusts whoever is connected, and the `count - 1` hops before it. See
    /// [`any_peer`](Self::any_peer) for when that is right.
    ///
    /// # Errors
    ///
    /// If `count` is above 16.
    pub fn any_peer_and_hops(count: NonZeroU8) -> Result<Self, ClientAddressError> {
        Ok(Self(Trust::Hops { count: checked_count(count)?, peers: Peers::Any }))
    }

    /// [`networks`](Self::networks), read from texts such as `192.0.2.1` or `2001:db8::/32`.
    ///
    /// # Errors
    ///
    /// As there, or if a text is not a network. An address with bits beyond its prefix length is
    /// refused, because nobody can tell whether the address or the length was meant.
    pub fn parse<T: AsRef<str>>(
        networks: impl IntoIterator<Item = T>,
    ) -> Result<Self, ClientAddressError> {
        Self::networks(parsed(networks)?)
    }

    /// [`hops`](Self::hops), with the networks of the peer read from texts such as `192.0.2.1` or
    /// `2001:db8::/32`.
    ///
    /// # Errors
    ///
    /// As there, or if a text is not a network.
    pub fn parse_hops<T: AsRef<str>>(
        count: NonZeroU8,
        peers: impl IntoIterator<Item = T>,
    ) -> Result<Self, ClientAddressError> {
        Self::hops(count, parsed(peers)?)
    }

    /// Whether the header of a request from `peer` is looked at.
    pub(super) fn include_peer(&self, peer: Option<IpAddr>) -> bool {
        let networks = match &self.0 {
            Trust::Hops { peers: Peers::Any, .. } => return true,
            Trust::Networks(networks) | Trust::Hops { peers: Peers::Within(networks), .. } => {
                networks
            }
        };
        peer.is_some_and(|peer| contain(networks, peer))
    }

    /// Whether the walk crosses `hop`, which is the `number`th of the header from its end.
    pub(super) fn cross(&self, hop: IpAddr, number: u8) -> bool {
        match &self.0 {
            Trust::Networks(networks) => contain(networks, hop),
            // The peer, which is not in the header, is one of the trusted hops.
            Trust::Hops { count, .. } => number < count.get(),
        }
    }

    /// Whether everybody who can connect is trusted.
    pub(super) const fn include_everybody(&self) -> bool {
        matches!(self.0, Trust::Hops { peers: Peers::Any, .. })
    }
}

fn contain(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

fn checked_count(count: NonZeroU8) -> Result<NonZeroU8, ClientAddressError> {
    if count.get() > MAX_HOPS {
        return Err(ClientAddressError::Hops { hops: count.get() });
    }
    Ok(count)
}

fn checked(
    networks: impl IntoIterator<Item = Network>,
) -> Result<Box<[Network]>, ClientAddressError> {
    let networks: Box<[Network]> = networks.into_iter().collect();
    if networks.is_empty() {
        return Err(ClientAddressError::NobodyTrusted);
    }
    match networks.iter().find_map(family_of_everybody) {
        Some(network) => Err(ClientAddressError::EveryAddress { network }),
        None => Ok(networks),
    }
}

/// Only a network without a prefix holds both ends of its family.
fn family_of_everybody(network: &Network) -> Option<&'static str> {
    let holds = |first: IpAddr, last: IpAddr| network.contains(first) && network.contains(last);
    if holds(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()) {
        return Some("0.0.0.0/0");
    }
    holds(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from_bits(u128::MAX).into()).then_some("::/0")
}

fn parsed<T: AsRef<str>>(
    texts: impl IntoIterator<Item = T>,
) -> Result<Vec<Network>, ClientAddressError> {
    texts.into_iter().map(|text| parse_network(text.as_ref())).collect()
}

/// A network, read from a text such as `192.0.2.1`, `192.0.2.0/24` or `2001:db8::/32`.
///
/// # Errors
///
/// If the text is not a network, or has bits beyond its prefix length.
///
/// # Example: a list that an operator wrote
///
/// ```
/// use rate_limit_tower::{AccessLists, parse_network};
///
/// let lists = AccessLists::new().block_network(parse_network("192.0.2.0/24")?);
/// assert!(parse_network("192.0.2.1/24").is_err(), "the address or the length is a mistake");
/// # Ok::<(), rate_limit_tower::ClientAddressError>(())
/// ```
pub fn parse_network(text: &str) -> Result<Network, ClientAddressError> {
    let refused = || ClientAddressError::NotANetwork { text: text.to_owned() };
    let parsed = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| refused())?,
    };
    if parsed.addr() != parsed.network() {
        let network = parsed.trunc().to_string();
        return Err(ClientAddressError::StrayBits { text: text.to_owned(), network });
    }
    Network::new(parsed.addr(), parsed.prefix_len()).map_err(|_| refused())
}
