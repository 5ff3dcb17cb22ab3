//! Who is exempt or blocked.

use rate_limit_core::{ApiKeyDigest, Network, Timestamp};

/// One entry of the lists `exempt` and `block`. It names a client if any of its lists does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct AccessEntry {
    /// Networks that the client's address may lie in.
    pub networks: Vec<Network>,
    /// Users, as a verified token names them.
    pub users: Vec<String>,
    /// SHA-256 digests of API keys.
    pub api_keys: Vec<ApiKeyDigest>,
    /// Texts that `User-Agent` may contain, whatever their case. A client writes what it likes there.
    pub user_agents: Vec<String>,
    /// The time of day (nanoseconds since the Unix epoch) from which the entry says nothing any more.
    pub until: Option<Timestamp>,
    /// Why the entry is there, for operators.
    pub reason: Option<String>,
}
