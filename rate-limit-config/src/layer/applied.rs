//! What came of applying a configuration.

use rate_limit_tower::LayerError;
use thiserror::Error;

/// A configuration that is in force.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Applied {
    /// The number of the version: 1 for the first one.
    pub version: u64,
    /// The settings, such as `store.url`, that are other than those with which the program was
    /// started, and that it keeps until it is started again.
    pub needs_restart: Vec<&'static str>,
    /// Why the file of keys for tokens could not be read, if the keys that were read before serve in
    /// their place, until they are stale.
    pub stale_keys: Option<String>,
}

/// Why a configuration is not in force.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ApplyError {
    /// Tokens cannot be verified.
    #[cfg(feature = "jwt")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
    #[error(transparent)]
    Jwt(#[from] crate::jwt::JwtError),
    /// The configuration wants tokens verified, but the program was built without.
    #[error(
        "identity.jwt cannot be honoured, because the program was built without the feature `jwt` \
         of rate-limit-config; expected the feature, or no section identity.jwt"
    )]
    JwtUnsupported,
    /// The texts that `User-Agent` may contain are too many.
    #[error(
        "exempt and block: {count} user agents are too many to be searched for; expected fewer"
    )]
    UserAgents {
        /// How many there are.
        count: usize,
    },
    /// The rules do not make a layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
}
