//! What can be wrong with how the client's address is to be found.

use thiserror::Error;

use super::hops::MAX_HOPS;

/// Why a header or a list of trusted proxies is refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ClientAddressError {
    /// A network of which every address is a part.
    #[error(
        "the trusted network `{network}` contains every address, so any client could claim to be \
         any other; expected the addresses of your proxies, or `TrustedProxies::any_peer()` if \
         nobody else can connect"
    )]
    EveryAddress {
        /// `0.0.0.0/0` or `::/0`.
        network: &'static str,
    },
    /// A header of that name is a list and not a single address.
    #[error(
        "the header `{name}` holds a list; expected the name of a header with one address, or \
         `ForwardingHeader::{variant}`"
    )]
    HoldsList {
        /// The name, in lower case.
        name: String,
        /// How such a header is named instead.
        variant: &'static str,
    },
    /// More hops than are looked at.
    #[error("{hops} trusted hops are too many; expected 1 to {MAX_HOPS}")]
    Hops {
        /// The refused number.
        hops: u8,
    },
    /// A text is neither an address nor a network.
    #[error(
        "`{text}` is not a network; expected an address such as `192.0.2.1`, or an address and a \
         prefix length such as `192.0.2.0/24` or `2001:db8::/32`"
    )]
    NotANetwork {
        /// The refused text.
        text: String,
    },
    /// A text is not the name of a header.
    #[error("`{name}` is not the name of a header; expected one such as `cf-connecting-ip`")]
    NotAHeaderName {
        /// The refused text.
        name: String,
    },
    /// Nobody is trusted, so the header would never be believed.
    #[error(
        "the list of trusted proxies is empty; expected the address of at least one, or \
         `ClientAddress::peer()` if there is none"
    )]
    NobodyTrusted,
    /// An address has bits that its prefix length leaves out.
    #[error("`{text}` has bits set beyond its prefix length; expected `{network}`")]
    StrayBits {
        /// The refused text.
        text: String,
        /// The network it lies in, which may or may not be what was meant.
        network: String,
    },
}
