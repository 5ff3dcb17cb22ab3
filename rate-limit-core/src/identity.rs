//! Who asks: the identity that a bucket belongs to.
//!
//! An identity *is* its encoding: a short string of bytes, typed by its first byte, in which no two
//! different identities are equal whatever bytes an attacker puts into them. It is made once, at
//! the edge; stores use the bytes (or a keyed digest of them) and never look inside.
//!
//! # The encoding
//!
//! | first byte | identity | what follows |
//! | --- | --- | --- |
//! | `0x00` | [global](ClientIdentity::GLOBAL) | nothing |
//! | `0x01` | [anonymous](ClientIdentity::ANONYMOUS) | nothing |
//! | `0x04` | IPv4 | prefix length, the bytes that the prefix covers |
//! | `0x06` | IPv6 | prefix length, the bytes that the prefix covers |
//! | `0x10` | user | the name |
//! | `0x11` | API key | its 32-byte digest |
//! | `0x12` | tenant | the name |
//! | `0x13` | custom | length of the dimension in 2 bytes, dimension, value |
//! | `0x20` | composition | for each part: length in 4 bytes, encoding |
//!
//! Numbers are big-endian.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use thiserror::Error;

mod prefix;

pub use prefix::{IpPrefixes, canonical_address};

/// Who a bucket belongs to.
///
/// Comparing and cloning are cheap; up to 38 bytes of encoding, hence every address, digest and
/// UUID, need no allocation.
///
/// # Example: addresses are compared by their bits, not by their notation
///
/// ```
/// use rate_limit_core::ClientIdentity;
///
/// let plain = ClientIdentity::ip("192.0.2.1".parse()?);
/// let mapped = ClientIdentity::ip("::ffff:192.0.2.1".parse()?);
/// assert_eq!(plain, mapped);
///
/// // An IPv6 subscriber owns a whole /64; addresses from it share one bucket.
/// let one = ClientIdentity::ip("2001:db8::1".parse()?);
/// let two = ClientIdentity::ip("2001:db8::ffff:2".parse()?);
/// assert_eq!(one, two);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
///
/// # Example: no secret in logs
///
/// ```
/// use rate_limit_core::ClientIdentity;
///
/// let user = ClientIdentity::user("alice@example.com")?;
/// assert_eq!(format!("{user:?}"), "ClientIdentity(user)");
/// # Ok::<(), rate_limit_core::IdentityError>(())
/// ```
#[derive(Clone)]
pub struct ClientIdentity(Encoding);

/// The bytes, in place if they are few.
#[derive(Clone)]
enum Encoding {
    Inline { length: u8, bytes: [u8; INLINE] },
    Shared(Arc<[u8]>),
}

/// Makes the whole identity 40 bytes, and a user named by a UUID fit without an allocation.
const INLINE: usize = 38;

mod tag {
    pub(super) const GLOBAL: u8 = 0x00;
    pub(super) const ANONYMOUS: u8 = 0x01;
    pub(super) const IPV4: u8 = 0x04;
    pub(super) const IPV6: u8 = 0x06;
    pub(super) const USER: u8 = 0x10;
    pub(super) const API_KEY: u8 = 0x11;
    pub(super) const TENANT: u8 = 0x12;
    pub(super) const CUSTOM: u8 = 0x13;
    pub(super) const ALL_OF: u8 = 0x20;
}

/// Why an identity cannot be made. No variant carries the value: it may be a secret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum IdentityError {
    /// A composition of nothing.
    #[error("a composed identity has no parts; expected at least one")]
    EmptyComposition,
    /// The value is empty.
    #[error("the {dimension} is empty; expected at least one byte")]
    EmptyValue {
        /// Which value.
        dimension: &'static str,
    },
    /// A prefix length is longer than the address.
    #[error("an {family} prefix of {length} bits is too long; expected 0 to {max}")]
    Prefix {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The refused length in bits.
        length: u8,
        /// The bits of an address.
        max: u8,
    },
    /// The value is too long.
    #[error("the {dimension} has {length} bytes; expected at most {max}")]
    TooLong {
        /// Which value.
        dimension: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The longest accepted one.
        max: usize,
    },
}

/// The SHA-256 digest of an API key.
///
/// The key itself never enters the domain: whoever reads it from a request digests it at once. The
/// digest is not keyed, so that every process finds the same bucket; API keys are long and random,
/// which is what makes that safe.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct ApiKeyDigest([u8; 32]);

impl ApiKeyDigest {
    /// Wraps the 32 bytes of a SHA-256 digest.
    pub const fn from_sha256(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Debug for ApiKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyDigest(..)")
    }
}

impl ClientIdentity {
    /// Everybody together, for system-wide limits.
    pub const GLOBAL: Self = Self(Encoding::tagged(tag::GLOBAL));

    /// Everybody whose identity is missing; they share one bucket.
    pub const ANONYMOUS: Self = Self(Encoding::tagged(tag::ANONYMOUS));

    /// The longest user, tenant, dimension or custom value: 65,535 bytes.
    pub const MAX_VALUE_BYTES: usize = u16::MAX as usize;

    /// An address, cut to the default prefixes: all 32 bits of IPv4, the first 64 of IPv6.
    ///
    /// IPv4-mapped (`::ffff:0:0/96`) and NAT64 (`64:ff9b::/96`, RFC 6052) addresses count as the
    /// IPv4 address they carry.
    pub fn ip(address: IpAddr) -> Self {
        Self::ip_within(address, IpPrefixes::DEFAULT)
    }

    /// An address, cut to the given prefixes.
    #[inline]
    pub fn ip_within(address: IpAddr, prefixes: IpPrefixes) -> Self {
        match canonical_address(address) {
            IpAddr::V4(address) => {
                let bits = prefixes.ipv4_bits();
                Self::prefix(tag::IPV4, bits, prefix::ipv4_network(address, bits).octets())
            }
            IpAddr::V6(address) => {
                let bits = prefixes.ipv6_bits();
                Self::prefix(tag::IPV6, bits, prefix::ipv6_network(address, bits).octets())
            }
        }
    }

    /// An authenticated user.
    ///
    /// # Errors
    ///
    /// If the name is empty or longer than [`MAX_VALUE_BYTES`](Self::MAX_VALUE_BYTES).
    pub fn user(name: impl AsRef<[u8]>) -> Result<Self, IdentityError> {
        Self::named(tag::USER, "user", name.as_ref())
    }

    /// The holder of an API key.
    pub fn api_key(digest: ApiKeyDigest) -> Self {
        Self(Encoding::new(&[&[tag::API_KEY], &digest.0]))
    }

    /// A tenant of a system that serves several.
    ///
    /// # Errors
    ///
    /// If the name is empty or longer than [`MAX_VALUE_BYTES`](Self::MAX_VALUE_BYTES).
    pub fn tenant(name: impl AsRef<[u8]>) -> Result<Self, IdentityError> {
        Self::named(tag::TENANT, "tenant", name.as_ref())
    }

    /// A value of a dimension of your own, such as a card number's digest or a route.
    ///
    /// # Errors
    ///
    /// If either is empty or longer than [`MAX_VALUE_BYTES`](Self::MAX_VALUE_BYTES).
    ///
    /// # Example: no two pairs run into each other
    ///
    /// ```
    /// use rate_limit_core::ClientIdentity;
    ///
    /// assert_ne!(ClientIdentity::custom("a", "b:c")?, ClientIdentity::custom("a:b", "c")?);
    /// # Ok::<(), rate_limit_core::IdentityError>(())
    /// ```
    pub fn custom(
        dimension: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Self, IdentityError> {
        let dimension = checked("dimension", dimension.as_ref())?;
        let value = checked("value", value.as_ref())?;
        // `checked` made sure that the length fits.
        let length = u16::try_from(dimension.len()).unwrap_or(u16::MAX).to_be_bytes();
        Ok(Self(Encoding::new(&[&[tag::CUSTOM], &length, dimension, value])))
    }

    /// Several identities together: a bucket for each combination. Their order matters.
    ///
    /// # Errors
    ///
    /// If there are no parts.
    ///
    /// # Example: one bucket for each user of each tenant
    ///
    /// ```
    /// use rate_limit_core::ClientIdentity;
    ///
    /// let acme = ClientIdentity::tenant("acme")?;
    /// let alice = ClientIdentity::user("alice")?;
    /// let both = ClientIdentity::all_of(&[acme.clone(), alice.clone()])?;
    /// assert!(both.contains(&alice) && both.contains(&acme));
    /// assert_eq!(format!("{both:?}"), "ClientIdentity(tenant + user)");
    /// # Ok::<(), rate_limit_core::IdentityError>(())
    /// ```
    pub fn all_of(parts: &[Self]) -> Result<Self, IdentityError> {
        if parts.is_empty() {
            return Err(IdentityError::EmptyComposition);
        }
        let mut encoding = vec![tag::ALL_OF];
        for part in parts {
            let bytes = part.as_bytes();
            let length = u32::try_from(bytes.len()).map_err(|_| IdentityError::TooLong {
                dimension: "composed identity",
                length: bytes.len(),
                max: u32::MAX as usize,
            })?;
            encoding.extend_from_slice(&length.to_be_bytes());
            encoding.extend_from_slice(bytes);
        }
        Ok(Self(Encoding::new(&[&encoding])))
    }

    /// The encoding, unique to this identity. It may contain what a client sent: do not log it.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Encoding::Inline { length, bytes } => {
                bytes.get(..usize::from(*length)).unwrap_or_default()
            }
            Encoding::Shared(bytes) => bytes,
        }
    }

    /// Whether this identity is `other` or a composition with `other` as a part.
    pub fn contains(&self, other: &Self) -> bool {
        self == other || parts(self.as_bytes()).any(|part| part == other.as_bytes())
    }

    /// Every request makes one of these, so it is written without a loop over pieces.
    #[inline]
    fn prefix<const N: usize>(tag: u8, bits: u8, octets: [u8; N]) -> Self {
        let mut bytes = [0; INLINE];
        bytes[0] = tag;
        bytes[1] = bits;
        bytes[2..2 + N].copy_from_slice(&octets);
        // Bytes beyond the prefix are zero and say nothing; leaving them out makes the key shorter.
        Self(Encoding::Inline { length: 2 + bits.div_ceil(8), bytes })
    }

    fn named(tag: u8, dimension: &'static str, name: &[u8]) -> Result<Self, IdentityError> {
        Ok(Self(Encoding::new(&[&[tag], checked(dimension, name)?])))
    }
}

fn checked<'a>(dimension: &'static str, value: &'a [u8]) -> Result<&'a [u8], IdentityError> {
    let max = ClientIdentity::MAX_VALUE_BYTES;
    match value.len() {
        0 => Err(IdentityError::EmptyValue { dimension }),
        length if length > max => Err(IdentityError::TooLong { dimension, length, max }),
        _ => Ok(value),
    }
}

/// The encodings of the parts of a composition; nothing for any other encoding.
fn parts(encoding: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = match encoding.split_first() {
        Some((&tag::ALL_OF, rest)) => rest,
        _ => &[],
    };
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after;
        Some(part)
    })
}

impl Encoding {
    const fn tagged(tag: u8) -> Self {
        let mut bytes = [0; INLINE];
        bytes[0] = tag;
        Self::Inline { length: 1, bytes }
    }

    fn new(pieces: &[&[u8]]) -> Self {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut bytes = [0; INLINE];
        if length > INLINE {
            return Self::Shared(pieces.concat().into());
        }
        let mut end = 0;
        for piece in pieces {
            let start = end;
            end += piece.len();
            // The sum of all lengths was checked above, so there is always room.
            if let Some(place) = bytes.get_mut(start..end) {
                place.copy_from_slice(piece);
            }
        }
        Self::Inline { length: u8::try_from(length).unwrap_or(u8::MAX), bytes }
    }
}

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ClientIdentity {}

impl Hash for ClientIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for ClientIdentity {
    /// Shows the kind, never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = Vec::new();
        collect_kinds(self.as_bytes(), &mut kinds);
        write!(f, "ClientIdentity({})", kinds.join(" + "))
    }
}

fn collect_kinds(encoding: &[u8], kinds: &mut Vec<&'static str>) {
    kinds.push(match encoding.first() {
        Some(&tag::GLOBAL) => "global",
        Some(&tag::ANONYMOUS) => "anonymous",
        Some(&tag::IPV4) => "ipv4",
        Some(&tag::IPV6) => "ipv6",
        Some(&tag::USER) => "user",
        Some(&tag::API_KEY) => "api key",
        Some(&tag::TENANT) => "tenant",
        Some(&tag::CUSTOM) => "custom",
        _ => return parts(encoding).for_each(|part| collect_kinds(part, kinds)),
    });
}

impl From<IpAddr> for ClientIdentity {
    fn from(address: IpAddr) -> Self {
        Self::ip(address)
    }
}

impl From<Ipv4Addr> for ClientIdentity {
    fn from(address: Ipv4Addr) -> Self {
        Self::ip(address.into())
    }
}

impl From<Ipv6Addr> for ClientIdentity {
    fn from(address: Ipv6Addr) -> Self {
        Self::ip(address.into())
    }
}

#[cfg(test)]
mod tests;
