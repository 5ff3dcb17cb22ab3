//! Who asks: the client's address, which behind proxies is not the peer's.
//!
//! Nothing that a client can write is believed. So the client is whoever is connected, unless a
//! forwarding header is named together with the proxies that are trusted to write it. Then:
//!
//! 1. A peer that is not trusted is the client. Its headers are ignored.
//! 2. From the peer on, the walk goes from right to left through the hops of the named header, over
//!    all lines of it, and crosses the trusted ones. The first one that is not trusted is the
//!    client. If all are trusted, the left-most one is.
//! 3. What cannot be read ends the walk: an empty hop, `unknown`, `_hidden`, a host name, bytes that
//!    are not ASCII, more than 16 hops or 8 KiB. The client is then the last hop that was crossed.
//!    That is a proxy, whose bucket all such requests share: junk neither lets what is left of it
//!    be believed, nor does it mint a bucket.
//!
//! Addresses are compared in canonical form, so that IPv4-mapped and NAT64 addresses are the IPv4
//! addresses they carry.

use std::net::IpAddr;

use http::{HeaderMap, header};
use rate_limit_core::canonical_address;

mod error;
mod forwarded;
mod forwarding_header;
mod hops;
mod node;
mod noticed;
mod trusted;

pub use error::ClientAddressError;
pub use forwarding_header::ForwardingHeader;
pub(crate) use noticed::{Noticed, Resolved};
pub use trusted::{TrustedProxies, parse_network};

use forwarding_header::X_FORWARDED_FOR;

/// How the address of a request's client is found.
///
/// # Example: behind a load balancer that appends to `X-Forwarded-For`
///
/// A client can send such a header too, but only what the load balancer appended is believed.
///
/// ```
/// use http::HeaderMap;
/// use rate_limit_tower::{ClientAddress, ForwardingHeader, TrustedProxies};
///
/// let address = ClientAddress::forwarded(
///     ForwardingHeader::XForwardedFor,
///     TrustedProxies::parse(["10.0.0.0/24"])?,
/// );
///
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "6.6.6.6, 203.0.113.9".parse()?);
/// let load_balancer = "10.0.0.1".parse()?;
/// assert_eq!(address.address_of(Some(load_balancer), &headers), Some("203.0.113.9".parse()?));
///
/// // Somebody who found a way around the load balancer is believed nothing.
/// let somebody = "198.51.100.7".parse()?;
/// assert_eq!(address.address_of(Some(somebody), &headers), Some(somebody));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientAddress(Source);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Source {
    /// Nobody said, which deserves a word if there turns out to be a proxy.
    #[default]
    Undeclared,
    Peer,
    Forwarded {
        header: ForwardingHeader,
        trusted: TrustedProxies,
    },
}

impl ClientAddress {
    /// The address of the connection, and nothing else. This is the default.
    ///
    /// Saying so declares that there is no proxy: a request with a forwarding header is then no
    /// reason for the diagnosis `RL002`.
    pub const fn peer() -> Self {
        Self(Source::Peer)
    }

    /// The address that `trusted` proxies forward requests for, as they say in `header`.
    ///
    /// A request that did not come from one of them counts for the address of its connection,
    /// whatever its headers say.
    pub const fn forwarded(header: ForwardingHeader, trusted: TrustedProxies) -> Self {
        Self(Source::Forwarded { header, trusted })
    }

    /// The client's address in canonical form, as the layer finds it for a request from `peer`.
    ///
    /// Use it to log the address that is limited, or to test that your proxies are told right.
    pub fn address_of(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        self.resolve(peer, headers).address
    }

    /// As [`address_of`](Self::address_of), with what the program should be told.
    ///
    /// Every request comes by here, so nothing is allocated, and the work is bounded however long
    /// the header is.
    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    pub(crate) fn resolve(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Resolved {
        let peer = peer.map(canonical_address);
        let (address, noticed) = match &self.0 {
            Source::Undeclared => (peer, noticed(has_any(headers), Noticed::HeaderNotNamed)),
            Source::Peer => (peer, Noticed::Nothing),
            Source::Forwarded { header, trusted } if trusted.include_peer(peer) => {
                let both = !header.is_single() && has_both(headers);
                let client = header.client(headers, peer, trusted);
                (client, noticed(both, Noticed::BothHeaders))
            }
            Source::Forwarded { header, .. } => {
                // A peer without an address is reported as that.
                let ignored = peer.is_some() && headers.contains_key(header.name());
                (peer, noticed(ignored, Noticed::PeerNotTrusted))
            }
        };
        Resolved { address, noticed }
    }

    /// What the program should be told before there is any request.
    pub(crate) const fn noticed_when_built(&self) -> Noticed {
        match &self.0 {
            Source::Forwarded { trusted, .. } if trusted.include_everybody() => {
                Noticed::AnyPeerTrusted
            }
            _ => Noticed::Nothing,
        }
    }
}

fn has_any(headers: &HeaderMap) -> bool {
    // A request has few fields, and comparing them with two names is cheaper than hashing two.
    headers.keys().any(|name| *name == X_FORWARDED_FOR || *name == header::FORWARDED)
}

fn has_both(headers: &HeaderMap) -> bool {
    headers.contains_key(&X_FORWARDED_FOR) && headers.contains_key(header::FORWARDED)
}

fn noticed(is_so: bool, what: Noticed) -> Noticed {
    if is_so { what } else { Noticed::Nothing }
}
