//! Addresses as bits: canonical form and prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::IdentityError;

/// How many leading bits of an address make up an identity.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct IpPrefixes {
    ipv4_bits: u8,
    ipv6_bits: u8,
}

impl IpPrefixes {
    /// All 32 bits of IPv4; the first 64 of IPv6, which is what one subscriber is given at least.
    pub const DEFAULT: Self = Self { ipv4_bits: 32, ipv6_bits: 64 };

    /// `ipv4_bits` from 0 to 32 and `ipv6_bits` from 0 to 128.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Prefix`] if one is longer than its address.
    pub fn new(ipv4_bits: u8, ipv6_bits: u8) -> Result<Self, IdentityError> {
        if ipv4_bits > 32 {
            return Err(IdentityError::Prefix { family: "IPv4", length: ipv4_bits, max: 32 });
        }
        if ipv6_bits > 128 {
            return Err(IdentityError::Prefix { family: "IPv6", length: ipv6_bits, max: 128 });
        }
        Ok(Self { ipv4_bits, ipv6_bits })
    }

    /// Bits of an IPv4 address.
    #[inline]
    pub const fn ipv4_bits(self) -> u8 {
        self.ipv4_bits
    }

    /// Bits of an IPv6 address.
    #[inline]
    pub const fn ipv6_bits(self) -> u8 {
        self.ipv6_bits
    }
}

impl Default for IpPrefixes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The address that `address` stands for: the IPv4 address inside an IPv4-mapped
/// (`::ffff:0:0/96`) or NAT64 (`64:ff9b::/96`) one, otherwise the address itself.
#[inline]
pub fn canonical_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => address,
    }
}

#[inline]
pub(super) fn ipv4_network(address: Ipv4Addr, bits: u8) -> Ipv4Addr {
    // Shifting by the whole width is not a shift: no bits means no network.
    let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
    Ipv4Addr::from(u32::from(address) & mask)
}

pub(super) fn ipv6_network(address: Ipv6Addr, bits: u8) -> Ipv6Addr {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    Ipv6Addr::from(u128::from(address) & mask)
}
