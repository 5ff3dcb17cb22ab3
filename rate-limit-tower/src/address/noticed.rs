//! What a request shows of how its proxies and this program are put together.

use std::net::IpAddr;

/// Who a request comes from, and what was noticed while finding out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Resolved {
    /// The client's address in canonical form, if there is one.
    pub(crate) address: Option<IpAddr>,
    /// At most one thing, since they exclude each other.
    pub(crate) noticed: Noticed,
}

/// What a program should be told once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Noticed {
    /// Nothing out of the ordinary.
    Nothing,
    /// A forwarding header is present, but nobody said what to do about such headers.
    HeaderNotNamed,
    /// Everybody who can connect is trusted with the header.
    AnyPeerTrusted,
    /// A trusted proxy sent both `Forwarded` and `X-Forwarded-For`.
    BothHeaders,
    /// The header that was named came from a peer that is not trusted.
    PeerNotTrusted,
}

impl Noticed {
    /// The code under which it is documented.
    pub(crate) const fn code(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::HeaderNotNamed => Some("RL002"),
            Self::AnyPeerTrusted => Some("RL003"),
            Self::BothHeaders => Some("RL004"),
            Self::PeerNotTrusted => Some("RL005"),
        }
    }

    /// What to say; it begins with the code and ends with the page that explains the cure.
    pub(crate) const fn message(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::HeaderNotNamed => Some(HEADER_NOT_NAMED),
            Self::AnyPeerTrusted => Some(ANY_PEER_TRUSTED),
            Self::BothHeaders => Some(BOTH_HEADERS),
            Self::PeerNotTrusted => Some(PEER_NOT_TRUSTED),
        }
    }
}

/// Appends where to read on, so that the texts below differ in nothing else.
macro_rules! diagnosis {
    ($code:literal, $text:literal) => {
        concat!(
            $code,
            ": ",
            $text,
            " This is reported once per layer. See ",
            env!("CARGO_PKG_REPOSITORY"),
            "/blob/main/docs/",
            $code,
            ".md"
        )
    };
}

const HEADER_NOT_NAMED: &str = diagnosis!(
    "RL002",
    "a request carries a forwarding header, but none is named, so it was ignored and all clients \
     behind one proxy share a bucket. Cure: if there is a proxy, name its header and its addresses \
     with `.client_address(ClientAddress::forwarded(..))`; if there is none, say so with \
     `.client_address(ClientAddress::peer())`."
);

const ANY_PEER_TRUSTED: &str = diagnosis!(
    "RL003",
    "every peer is trusted to say who the client is, so whoever can connect without passing the \
     proxy chooses its own bucket. Cure: list the addresses of the proxies with \
     `TrustedProxies::parse(..)`, or make sure that nobody else can connect."
);

const BOTH_HEADERS: &str = diagnosis!(
    "RL004",
    "a trusted proxy sent both `Forwarded` and `X-Forwarded-For`; only the named one was read. If \
     the proxy writes the other one and passes this one on, clients choose their own addresses. \
     Cure: name the header that the proxy writes, and let the proxy remove the other one."
);

const PEER_NOT_TRUSTED: &str = diagnosis!(
    "RL005",
    "the named forwarding header came from a peer that is not a trusted proxy, so it was ignored \
     and the peer is taken for the client. A client that connects directly can cause this, and \
     then all is well. Cure, if the peer is your proxy: add its address to `TrustedProxies`."
);
