//! The way to the server.

use std::fmt;

use rate_limit_core::{RepositoryError, RepositoryErrorKind};
use redis::aio::MultiplexedConnection;

use crate::script::ScriptCall;

/// A slot of a cluster: what decides on which node a key lies.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Slot(u16);

impl Slot {
    /// How many slots a cluster has.
    pub(crate) const COUNT: u16 = 16_384;

    /// Where everything lies on a single server.
    pub(crate) const ONLY: Self = Self(0);

    /// The slot of the keys whose hash tag is `tag`.
    pub(crate) fn of_tag(tag: &[u8]) -> Self {
        Self(crc16::State::<crc16::XMODEM>::calculate(tag) % Self::COUNT)
    }
}

/// How many servers share the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Topology {
    /// All keys lie on one server; a call may carry keys of any slot.
    OneServer,
    /// Each slot lies on one of several servers; a call may carry keys of one slot.
    Cluster,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) struct LinkError {
    kind: RepositoryErrorKind,
    source: Option<redis::RedisError>,
}

impl LinkError {
    pub(crate) const fn new(kind: RepositoryErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<redis::RedisError> for LinkError {
    fn from(error: redis::RedisError) -> Self {
        let kind = if error.is_timeout() {
            RepositoryErrorKind::Timeout
        } else {
            RepositoryErrorKind::Unavailable
        };
        Self { kind, source: Some(error) }
    }
}

impl From<LinkError> for RepositoryError {
    fn from(error: LinkError) -> Self {
        match error.source {
            Some(source) => Self::with_source(error.kind, source),
            None => Self::new(error.kind),
        }
    }
}

/// A connection that many calls share.
#[derive(Clone)]
pub(crate) struct Link {
    connection: MultiplexedConnection,
}

impl Link {
    /// Connects to the server at `url`.
    pub(crate) async fn connect(url: &str) -> Result<Self, LinkError> {
        let client = redis::Client::open(url)?;
        let info = client.get_connection_info().clone();
        // Off by default in this version of the client, which delays small packets.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let client = redis::Client::open(info.set_tcp_settings(tcp))?;
        Ok(Self { connection: client.get_multiplexed_async_connection().await? })
    }

    /// How many servers share the keys.
    pub(crate) const fn topology(&self) -> Topology {
        Topology::OneServer
    }

    /// Runs a script on the node that owns `slot`; sends its text if the server does not know it.
    pub(crate) async fn evaluate(
        &self,
        _slot: Slot,
        call: &ScriptCall,
    ) -> Result<redis::Value, LinkError> {
        let mut connection = self.connection.clone();
        match connection.send_packed_command(&call.evalsha()).await {
            // The reply proves that nothing ran, so sending it again charges nothing twice.
            Err(error) if error.code() == Some("NOSCRIPT") => {
                Ok(connection.send_packed_command(&call.eval()).await?)
            }
            other => Ok(other?),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(..)")
    }
}
