//! Which policies apply to a request, and whose buckets are charged.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rate_limit_core::{Charge, Charges, ClientIdentity, IpPrefixes, RateLimitPolicy};

/// Whose bucket a policy charges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Key {
    /// Everybody's together.
    Global,
    /// That of the client's address.
    Ip,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "global",
            Self::Ip => "per IP",
        })
    }
}

/// One policy and whose bucket it charges.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) key: Key,
    pub(crate) policy: Arc<RateLimitPolicy>,
}

/// The rules of a layer.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) rules: Box<[Rule]>,
    pub(crate) ip_prefixes: IpPrefixes,
}

impl Rules {
    /// What a request from `peer` is charged. Everybody without an address shares one bucket.
    pub(crate) fn charges(&self, peer: Option<IpAddr>) -> Charges {
        let owner = |key| match (key, peer) {
            (Key::Global, _) => ClientIdentity::GLOBAL,
            (Key::Ip, Some(peer)) => ClientIdentity::ip_within(peer, self.ip_prefixes),
            (Key::Ip, None) => ClientIdentity::ANONYMOUS,
        };
        self.rules.iter().map(|rule| Charge::new(owner(rule.key), rule.policy.clone(), 1)).collect()
    }

    /// The policies of all rules.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &RateLimitPolicy> {
        self.rules.iter().map(|rule| &*rule.policy)
    }

    /// Whether any bucket belongs to an address.
    pub(crate) fn charge_addresses(&self) -> bool {
        self.rules.iter().any(|rule| rule.key == Key::Ip)
    }
}
