//! Why there is no connection to a server, and what cures it.

use std::mem;
use std::sync::Arc;

use thiserror::Error;

/// Why there is no connection to a server. The text goes on where "the server" stands before it,
/// names the cure and contains no secret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AwayReason {
    /// The first attempt is still under way.
    #[error("is being connected for the first time")]
    Connecting,
    /// The server cannot be reached.
    #[error("cannot be reached ({cause}); it is tried again until it answers")]
    Unreachable {
        /// What the system said.
        cause: Arc<str>,
    },
    /// The server accepts connections or has one, and does not reply in time.
    #[error("does not reply in time; it is tried again until it answers")]
    Silent,
    /// The connection broke.
    #[error("is disconnected ({cause}); the connection is made anew")]
    Lost {
        /// What the system said.
        cause: Arc<str>,
    },
    /// The server is reading its data.
    #[error("is loading its data; it is asked again until it is ready")]
    Loading,
    /// The server is a replica, or has become one.
    #[error("is a replica and takes no decisions; its master is looked for")]
    NotMaster,
    /// Sentinels name another master now.
    #[error("is no longer the master that the Sentinels name; the new one is connected")]
    Replaced,
    /// No Sentinel knows the master.
    #[error(
        "is unknown: no Sentinel knows a master `{name}`; cure: use the name from \
         `sentinel monitor` in the path of the URL"
    )]
    UnknownMaster {
        /// The name that was asked for.
        name: Arc<str>,
    },
    /// No node owns the slot.
    #[error("is unknown: no node of the cluster owns the slot; cure: see CLUSTER INFO")]
    SlotWithoutOwner,
    /// The server is not part of a cluster.
    #[error("has cluster mode off; cure: use a redis:// URL instead of redis+cluster://")]
    NotACluster,
    /// User name or password are wrong, or missing.
    #[error(
        "refuses user name or password ({code}); cure: correct user:password@ in the Redis URL"
    )]
    WrongCredentials {
        /// The server's error code.
        code: Arc<str>,
    },
    /// The user lacks a permission.
    #[error(
        "refuses the user, who lacks a permission ({detail}); cure: ACL SETUSER with the rules \
         for the request path in the documentation of rate-limit-redis"
    )]
    NoPermission {
        /// What the server said.
        detail: Arc<str>,
    },
    /// The certificate is not valid for this server, or the server does not encrypt.
    #[error(
        "shows a certificate that is refused ({detail}); nothing is sent in clear instead; cure: \
         renew the certificate, or name its authority with `TlsOptions::ca_certificate_pem`"
    )]
    Certificate {
        /// What is wrong with it.
        detail: Arc<str>,
    },
    /// The server replied with another error.
    #[error("refuses the connection ({code}: {detail})")]
    Refused {
        /// The server's error code.
        code: Arc<str>,
        /// What the server said.
        detail: Arc<str>,
    },
}

impl AwayReason {
    /// Whether somebody has to act before the server can be used.
    pub fn needs_action(&self) -> bool {
        matches!(
            self,
            Self::WrongCredentials { .. }
                | Self::NoPermission { .. }
                | Self::Certificate { .. }
                | Self::UnknownMaster { .. }
                | Self::NotACluster
        )
    }

    /// Whether the two are the same state; texts may differ from one attempt to the next.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        mem::discriminant(self) == mem::discriminant(other)
    }
}
