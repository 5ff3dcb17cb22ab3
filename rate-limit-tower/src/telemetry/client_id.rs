//! How a client is named in logs: by a number that says nothing about who it is.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use rate_limit_core::ClientIdentity;

/// One key per process, from its source of randomness: lines about one client can be told to belong
/// together, and nobody can try out who it is.
static KEY: OnceLock<RandomState> = OnceLock::new();

/// How log lines name a client: a digest of its identity, 64 bits long, under a key that each process
/// draws for itself. For programs that show clients elsewhere and want them found in the log.
///
/// # Example: the same client, without its name
///
/// ```
/// use rate_limit_tower::{ClientId, ClientIdentity};
///
/// let alice = ClientIdentity::user("alice")?;
/// assert_eq!(ClientId::of(&alice), ClientId::of(&alice));
/// assert!(!ClientId::of(&alice).to_string().contains("alice"));
/// # Ok::<(), rate_limit_tower::IdentityError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientId(u64);

impl ClientId {
    /// The digest of an identity.
    pub fn of(identity: &ClientIdentity) -> Self {
        Self(KEY.get_or_init(RandomState::new).hash_one(identity.as_bytes()))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_one_id() {
        let id = |name: &str| ClientId::of(&ClientIdentity::user(name).unwrap()).to_string();
        assert_eq!(id("alice"), id("alice"));
        assert_ne!(id("alice"), id("bob"));
        assert_eq!(id("alice").len(), 16);
    }
}
