//! Who is not limited at all, and who is not let in at all.

use std::fmt;
use std::net::IpAddr;

use crate::charge::Charges;
use crate::identity::{ClientIdentity, IdentityError, canonical_address};

/// What the lists say of a request before any policy is asked.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Access {
    /// Turned away, whatever the policies say.
    Block,
    /// Let through without being counted.
    Exempt,
    /// Subject to the policies.
    Limit,
}

impl Access {
    /// What two say together: exempt beats block, whoever says so.
    #[must_use]
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exempt, _) | (_, Self::Exempt) => Self::Exempt,
            (Self::Block, _) | (_, Self::Block) => Self::Block,
            (Self::Limit, Self::Limit) => Self::Limit,
        }
    }
}

/// Lists of networks and identities that are exempt or blocked. Exempt beats block.
///
/// Networks are compared with the client's full address, identities with the owners of the charged
/// buckets and, if these are composed, with their parts.
///
/// # Example: the office is exempt even while its neighbours are blocked
///
/// ```
/// use rate_limit_core::{Access, AccessLists, Charges, Network};
///
/// let lists = AccessLists::new()
///     .exempt_network(Network::new("192.0.2.7".parse()?, 32)?)
///     .block_network(Network::new("192.0.2.0".parse()?, 24)?);
/// let nothing = Charges::new();
/// assert_eq!(lists.access(Some("192.0.2.7".parse()?), &nothing), Access::Exempt);
/// assert_eq!(lists.access(Some("192.0.2.8".parse()?), &nothing), Access::Block);
/// assert_eq!(lists.access(Some("::ffff:192.0.2.8".parse()?), &nothing), Access::Block);
/// assert_eq!(lists.access(Some("198.51.100.1".parse()?), &nothing), Access::Limit);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessLists {
    exempt: List,
    block: List,
}

#[derive(Clone, Debug, Default)]
struct List {
    networks: Vec<Network>,
    identities: Vec<ClientIdentity>,
}

/// A network: an address and the number of its bits that count.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of the first `bits` bits of `address`. An IPv4-mapped or NAT64 address with at
    /// least 96 bits counts as the IPv4 network it carries.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Prefix`] if `bits` is longer than the address.
    pub fn new(address: IpAddr, bits: u8) -> Result<Self, IdentityError> {
        let (family, max) = match address {
            IpAddr::V4(_) => ("IPv4", 32),
            IpAddr::V6(_) => ("IPv6", 128),
        };
        if bits > max {
            return Err(IdentityError::Prefix { family, length: bits, max });
        }
        match (address, canonical_address(address), bits.checked_sub(96)) {
            (IpAddr::V6(_), carried @ IpAddr::V4(_), Some(bits)) => {
                Ok(Self { address: carried, bits })
            }
            _ => Ok(Self { address, bits }),
        }
    }

    /// Whether `address` lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (differ, width) = match (self.address, canonical_address(address)) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(u32::from(a) ^ u32::from(b)), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b), 128),
            _ => return false,
        };
        differ.checked_shr(width - u32::from(self.bits)).unwrap_or(0) == 0
    }
}

/// In its one spelling: `192.0.2.0/24`, and a network of one address as that address.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = match self.address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if self.bits == width {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl List {
    fn names(&self, address: Option<IpAddr>, charges: &Charges) -> bool {
        address.is_some_and(|address| self.networks.iter().any(|network| network.contains(address)))
            || charges.iter().any(|charge| {
                self.identities.iter().any(|identity| charge.identity().contains(identity))
            })
    }

    fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.identities.is_empty()
    }
}

impl AccessLists {
    /// Empty lists: everybody is subject to the policies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a network through without counting it.
    #[must_use]
    pub fn exempt_network(mut self, network: Network) -> Self {
        self.exempt.networks.push(network);
        self
    }

    /// Lets an identity through without counting it.
    #[must_use]
    pub fn exempt_identity(mut self, identity: ClientIdentity) -> Self {
        self.exempt.identities.push(identity);
        self
    }

    /// Turns a network away.
    #[must_use]
    pub fn block_network(mut self, network: Network) -> Self {
        self.block.networks.push(network);
        self
    }

    /// Turns an identity away.
    #[must_use]
    pub fn block_identity(mut self, identity: ClientIdentity) -> Self {
        self.block.identities.push(identity);
        self
    }

    /// The identities that are let through, for callers that would otherwise not find out who asks.
    pub fn exempt_identities(&self) -> impl Iterator<Item = &ClientIdentity> {
        self.exempt.identities.iter()
    }

    /// What the lists say of a request from `address` that would make `charges`.
    pub fn access(&self, address: Option<IpAddr>, charges: &Charges) -> Access {
        if !self.exempt.is_empty() && self.exempt.names(address, charges) {
            return Access::Exempt;
        }
        if !self.block.is_empty() && self.block.names(address, charges) {
            return Access::Block;
        }
        Access::Limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_compared_by_bits() {
        let network = |text: &str, bits| Network::new(text.parse().unwrap(), bits).unwrap();
        let holds = |network: Network, text: &str| network.contains(text.parse().unwrap());
        assert!(holds(network("0.0.0.0", 0), "203.0.113.9"));
        assert!(!holds(network("0.0.0.0", 0), "2001:db8::1"), "families do not mix");
        assert!(holds(network("::", 0), "2001:db8::1"));
        assert!(holds(network("::ffff:10.0.0.0", 104), "10.255.0.1"));
        assert!(holds(network("10.0.0.0", 8), "::ffff:10.255.0.1"));
        assert!(!holds(network("10.0.0.0", 8), "11.0.0.0"));
        assert!(Network::new("10.0.0.0".parse().unwrap(), 33).is_err());
    }

    #[test]
    fn a_network_has_one_spelling() {
        for (text, bits, written) in [
            ("192.0.2.0", 24, "192.0.2.0/24"),
            ("192.0.2.1", 32, "192.0.2.1"),
            ("0.0.0.0", 0, "0.0.0.0/0"),
            ("2001:DB8:0::", 32, "2001:db8::/32"),
            ("2001:DB8:0::1", 128, "2001:db8::1"),
            ("::ffff:192.0.2.1", 128, "192.0.2.1"),
            ("::ffff:192.0.2.0", 120, "192.0.2.0/24"),
        ] {
            let network = Network::new(text.parse().unwrap(), bits).unwrap();
            assert_eq!(network.to_string(), written);
        }
    }

    #[test]
    fn an_identity_is_found_inside_a_composition() {
        use crate::{Charge, RateLimitPolicy};
        let alice = ClientIdentity::user("alice").unwrap();
        let acme = ClientIdentity::tenant("acme").unwrap();
        let both = ClientIdentity::all_of(&[acme, alice.clone()]).unwrap();
        let policy = RateLimitPolicy::per_second(1).build().unwrap().into();
        let charges = [Charge::new(both, policy, 1)].into_iter().collect();
        let lists = AccessLists::new().block_identity(alice);
        assert_eq!(lists.access(None, &charges), Access::Block);
    }
}
